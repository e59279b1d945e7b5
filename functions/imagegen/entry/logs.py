"""Structured logs: one JSON object a line, as Cloud Logging reads them."""

import logging
import traceback

from firebase_functions import logger

_SEVERITIES = {
    logging.DEBUG: logger.LogSeverity.DEBUG,
    logging.INFO: logger.LogSeverity.INFO,
    logging.WARNING: logger.LogSeverity.WARNING,
    logging.ERROR: logger.LogSeverity.ERROR,
    logging.CRITICAL: logger.LogSeverity.CRITICAL,
}


class StructuredHandler(logging.Handler):
    """Hands records to the Functions SDK's logger.

    A traceback becomes part of the message, where Error Reporting looks for it. What is logged with
    ``extra={"json_fields": {...}}`` becomes fields of its own, for filters and alerts to match on.
    """

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            message += "\n" + "".join(traceback.format_exception(*record.exc_info))
        severity = _SEVERITIES[record.levelno]
        logger.write({**getattr(record, "json_fields", {}), "severity": severity, "message": message})


def configure() -> None:
    """Send what the product logs to the structured log, once."""
    product = logging.getLogger("imagegen")
    if not product.handlers:
        product.addHandler(StructuredHandler())
        product.setLevel(logging.INFO)
        product.propagate = False

"""Structured logs for Cloud Logging: one JSON object a line.

Only events of ``imagegen.events`` are logged with what they say. A library's message may quote a token, a body or a
URL, so only its origin is logged. No log line costs more than the length of what it holds.
"""

import logging
import traceback
from collections.abc import Iterator
from typing import Any

from firebase_functions import logger

from imagegen.events import Event

FRAMES_MAX = 50
"""The frames logged of each exception: the innermost ones."""
EXCEPTIONS_MAX = 10
"""The exceptions logged of a chain or group."""

_SEVERITIES = {
    logging.DEBUG: logger.LogSeverity.DEBUG,
    logging.INFO: logger.LogSeverity.INFO,
    logging.WARNING: logger.LogSeverity.WARNING,
    logging.ERROR: logger.LogSeverity.ERROR,
    logging.CRITICAL: logger.LogSeverity.CRITICAL,
}


class StructuredHandler(logging.Handler):
    """Passes records to the logger of the Functions SDK.

    The message holds the event, its fields and the traceback, because Error Reporting looks for tracebacks there. The
    event and its fields are also fields of the log entry, which filters and alerts can match.
    """

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", Event.LIBRARY)
        fields = getattr(record, "fields", None) or {"logger": record.name, "place": f"{record.module}:{record.lineno}"}
        message = " ".join([event, *(f"{name}={value}" for name, value in fields.items())])
        if record.exc_info and record.exc_info[1] is not None:
            message += "\n" + "".join(_traceback(record.exc_info[1]))
        severity = _SEVERITIES[min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)]
        entry: Any = {**fields, "event": event, "severity": severity, "message": message}
        logger.write(entry)


def _traceback(error: BaseException) -> Iterator[str]:
    """Yield the lines of a traceback without the exceptions' messages, the first cause first."""
    for exception in reversed(_chain(error)):
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_list(traceback.extract_tb(exception.__traceback__, limit=-FRAMES_MAX))
        yield f"{type(exception).__module__}.{type(exception).__qualname__}\n"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception, its causes and the members of its groups, up to EXCEPTIONS_MAX."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < EXCEPTIONS_MAX:
        exception = waiting.pop(0)
        if exception is None or any(exception is other for other in found):
            continue
        found.append(exception)
        waiting.append(exception.__cause__ or (None if exception.__suppress_context__ else exception.__context__))
        if isinstance(exception, BaseExceptionGroup):
            waiting.extend(exception.exceptions[:EXCEPTIONS_MAX])
    return found


def configure() -> None:
    """Set up the structured log once: INFO and above from this project, WARNING and above from libraries."""
    root = logging.getLogger()
    if not any(isinstance(handler, StructuredHandler) for handler in root.handlers):
        root.handlers[:] = [StructuredHandler()]
        logging.getLogger("imagegen").setLevel(logging.INFO)
        logging.getLogger("httpx").setLevel(logging.WARNING)  # logs each request at INFO

"""Structured logs: one JSON object a line, as Cloud Logging reads them, without anything private in it."""

import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from firebase_functions import logger

REDACTED = "[redacted]"
SHORTEST_PRIVATE = 3
"""A shorter text is in too many words to be taken out of them."""

_SEVERITIES = {
    logging.DEBUG: logger.LogSeverity.DEBUG,
    logging.INFO: logger.LogSeverity.INFO,
    logging.WARNING: logger.LogSeverity.WARNING,
    logging.ERROR: logger.LogSeverity.ERROR,
    logging.CRITICAL: logger.LogSeverity.CRITICAL,
}
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+")
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]*\.?[\w-]*")  # a JWT: base64url of a JSON object that begins with {"

_private: ContextVar[tuple[str, ...]] = ContextVar("private", default=())


@contextmanager
def private(*texts: str | None) -> Iterator[None]:
    """Whatever is logged in this call while the block lasts, by whomever, is logged without these texts."""
    known = [text.removeprefix("Bearer ") for text in texts if text]
    token = _private.set((*_private.get(), *(text for text in known if len(text) >= SHORTEST_PRIVATE)))
    try:
        yield
    finally:
        _private.reset(token)


def redacted(message: str) -> str:
    """``message`` without the call's private texts, and without anything that looks like a token or e-mail address."""
    for text in sorted(_private.get(), key=len, reverse=True):
        message = message.replace(text, REDACTED).replace(repr(text)[1:-1], REDACTED)
    return _EMAIL.sub(REDACTED, _TOKEN.sub(REDACTED, message))


class StructuredHandler(logging.Handler):
    """Hands records to the Functions SDK's logger.

    A traceback becomes part of the message, where Error Reporting looks for it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            message += "\n" + "".join(traceback.format_exception(*record.exc_info))
        severity = _SEVERITIES[record.levelno]
        logger.write({"severity": severity, "message": redacted(message)})


def configure() -> None:
    """Send what is logged to the structured log: by the product from INFO on, by libraries from WARNING on. Once."""
    root = logging.getLogger()
    if not any(isinstance(handler, StructuredHandler) for handler in root.handlers):
        # Instead of what functions-framework has set up: the SDK logs the tokens that it refuses.
        root.handlers[:] = [StructuredHandler()]
        logging.getLogger("imagegen").setLevel(logging.INFO)
        for library in ("httpx", "httpcore"):  # at finer levels they tell whole URLs, which may hold secrets
            logging.getLogger(library).setLevel(logging.WARNING)

"""Structured logs for Cloud Logging: one JSON object a line, with private texts redacted."""

import base64
import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from firebase_functions import logger

REDACTED = "[redacted]"
PRIVATE_LENGTH_MIN = 3
"""The minimum length of a text to redact. A shorter text is part of too many words."""

_SEVERITIES = {
    logging.DEBUG: logger.LogSeverity.DEBUG,
    logging.INFO: logger.LogSeverity.INFO,
    logging.WARNING: logger.LogSeverity.WARNING,
    logging.ERROR: logger.LogSeverity.ERROR,
    logging.CRITICAL: logger.LogSeverity.CRITICAL,
}
_EMAIL = re.compile(r"[\w.+%-]{1,64}(@|%40)[\w-]+(\.[\w-]+)+")
_TOKEN = re.compile(r"eyJ[\w-]{8,}(\.[\w-]*)*")  # a JWT or a part of it: base64url of JSON that begins with {"
_UNIT = re.compile(r"""\\+["']?|.""", re.DOTALL)

_private: ContextVar[tuple[str, ...]] = ContextVar("private", default=())


@contextmanager
def private(*texts: str | None) -> Iterator[None]:
    """Redact these texts in everything that this call logs inside the block, also in the logs of libraries."""
    known = (text for text in texts if text and len(text) >= PRIVATE_LENGTH_MIN)
    token = _private.set((*_private.get(), *known))
    try:
        yield
    finally:
        _private.reset(token)


def secrets_of(header: str | None) -> Iterator[str]:
    """Yield the texts that identify a header's token: the token, its parts, and each of these decoded."""
    token = (header or "").replace("Bearer ", "")
    for part in {token, *token.split(".")}:
        yield part
        with suppress(ValueError):
            yield base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("utf-8", "backslashreplace")


def redacted(message: str) -> str:
    """Return ``message`` with the call's private texts, tokens and e-mail addresses redacted."""
    for text in sorted(_private.get(), key=len, reverse=True):
        message = re.sub(_pattern_of(text), REDACTED, message)
    return _EMAIL.sub(REDACTED, _TOKEN.sub(REDACTED, message))


def _pattern_of(text: str) -> str:
    """Return a pattern that matches ``text``, plain or escaped any number of times by repr, JSON or bytes literals."""
    return "".join(_unit_pattern(unit) for unit in _UNIT.findall(text))


def _unit_pattern(unit: str) -> str:
    if unit[0] == "\\":  # includes the quote after it, so that only one part of the pattern matches the backslashes
        return rf"\\{{{unit.count(unit[0])},}}{unit.strip(unit[0])}"
    if unit in "\"'":
        return rf"\\*{unit}"
    if unit.isascii() and unit.isprintable():
        return re.escape(unit)
    as_bytes = "".join(f"\\x{byte:02x}" for byte in unit.encode("utf-8", "surrogatepass"))
    escaped = {ascii(unit)[1:-1], json.dumps(unit)[1:-1], as_bytes}
    forms = [re.escape(form).replace(r"\\", r"\\+") for form in sorted(escaped)]
    plain = r"\n[ |]*" if unit == "\n" else re.escape(unit)  # tracebacks of exception groups indent each line
    return f"(?:{'|'.join([plain, *forms])})"


class StructuredHandler(logging.Handler):
    """Passes records to the logger of the Functions SDK.

    A traceback becomes part of the message, because Error Reporting looks for it there. The ``json_fields`` of a
    record's ``extra`` become fields of the log entry, which filters and alerts can match.
    """

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            message += "\n" + "".join(traceback.format_exception(*record.exc_info))
        severity = _SEVERITIES[min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)]
        fields = _redacted(getattr(record, "json_fields", {}))
        logger.write({**fields, "severity": severity, "message": redacted(message)})


def _redacted(value: Any) -> Any:
    """Return a field's value with every text in it redacted."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {name: _redacted(inner) for name, inner in value.items()}
        case list():
            return [_redacted(inner) for inner in value]
    return value


def configure() -> None:
    """Set up the structured log once: INFO and above from this project, WARNING and above from libraries."""
    root = logging.getLogger()
    if not any(isinstance(handler, StructuredHandler) for handler in root.handlers):
        # Replaces the handlers of functions-framework, because the SDK logs the tokens that it refuses.
        root.handlers[:] = [StructuredHandler()]
        logging.getLogger("imagegen").setLevel(logging.INFO)
        for library in ("httpx", "httpcore"):  # at INFO and below they log whole URLs, which may contain secrets
            logging.getLogger(library).setLevel(logging.WARNING)

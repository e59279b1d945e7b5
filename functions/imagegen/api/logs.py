"""Structured logs: one JSON object a line, as Cloud Logging reads them, without anything private in it."""

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
SHORTEST_PRIVATE = 3
"""A shorter text is in too many words to be taken out of them."""

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
    """Whatever is logged in this call while the block lasts, by whomever, is logged without these texts."""
    known = (text for text in texts if text and len(text) >= SHORTEST_PRIVATE)
    token = _private.set((*_private.get(), *known))
    try:
        yield
    finally:
        _private.reset(token)


def secrets_of(header: str | None) -> Iterator[str]:
    """What a header with a token can be known by: the token, its parts, and what each of these says when decoded."""
    token = (header or "").replace("Bearer ", "")
    for part in {token, *token.split(".")}:
        yield part
        with suppress(ValueError):
            yield base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("utf-8", "backslashreplace")


def redacted(message: str) -> str:
    """``message`` without the call's private texts, and without anything that looks like a token or e-mail address."""
    for text in sorted(_private.get(), key=len, reverse=True):
        message = re.sub(_anyhow(text), REDACTED, message)
    return _EMAIL.sub(REDACTED, _TOKEN.sub(REDACTED, message))


def _anyhow(text: str) -> str:
    """A pattern of ``text`` as it is, or escaped however often, as messages quote it: by repr, in JSON, as bytes."""
    return "".join(_unit_anyhow(unit) for unit in _UNIT.findall(text))


def _unit_anyhow(unit: str) -> str:
    if unit[0] == "\\":  # with the quote after it, so that no two parts of the pattern compete for a backslash
        return rf"\\{{{unit.count(unit[0])},}}{unit.strip(unit[0])}"
    if unit in "\"'":
        return rf"\\*{unit}"
    if unit.isascii() and unit.isprintable():
        return re.escape(unit)
    as_bytes = "".join(f"\\x{byte:02x}" for byte in unit.encode("utf-8", "surrogatepass"))
    escaped = {ascii(unit)[1:-1], json.dumps(unit)[1:-1], as_bytes}
    forms = [re.escape(form).replace(r"\\", r"\\+") for form in sorted(escaped)]
    as_it_is = r"\n[ |]*" if unit == "\n" else re.escape(unit)  # the lines of a group of exceptions are indented
    return f"(?:{'|'.join([as_it_is, *forms])})"


class StructuredHandler(logging.Handler):
    """Hands records to the Functions SDK's logger.

    A traceback becomes part of the message, where Error Reporting looks for it. What is logged with
    ``extra={"json_fields": {...}}`` becomes fields of its own, for filters and alerts to match on.
    """

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            message += "\n" + "".join(traceback.format_exception(*record.exc_info))
        severity = _SEVERITIES[min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)]
        fields = _redacted(getattr(record, "json_fields", {}))
        logger.write({**fields, "severity": severity, "message": redacted(message)})


def _redacted(value: Any) -> Any:
    """A field's value with every text in it redacted."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {name: _redacted(inner) for name, inner in value.items()}
        case list():
            return [_redacted(inner) for inner in value]
    return value


def configure() -> None:
    """Send what is logged to the structured log: by the product from INFO on, by libraries from WARNING on. Once."""
    root = logging.getLogger()
    if not any(isinstance(handler, StructuredHandler) for handler in root.handlers):
        # Instead of what functions-framework has set up: the SDK logs the tokens that it refuses.
        root.handlers[:] = [StructuredHandler()]
        logging.getLogger("imagegen").setLevel(logging.INFO)
        for library in ("httpx", "httpcore"):  # at finer levels they tell whole URLs, which may hold secrets
            logging.getLogger(library).setLevel(logging.WARNING)

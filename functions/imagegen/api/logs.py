"""Structured logs for Cloud Logging: one JSON object a line.

Only events of ``imagegen.events`` are logged with what they say. A library's message may quote a token, a body or a
URL, so only its origin is logged. No log line costs more than the length of what it holds.
"""

import hashlib
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from imagegen import settings, tracing
from imagegen.events import Event

FRAMES_MAX = 50
"""The frames logged of each exception: the innermost ones."""
EXCEPTIONS_MAX = 10
"""The exceptions logged of a chain or group."""

_SEVERITIES = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARNING",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "CRITICAL",
}


class StructuredHandler(logging.Handler):
    """Writes each record as a line of JSON, errors to stderr and others to stdout, as the Functions SDK does.

    The message holds the event, its fields and the traceback, because Error Reporting looks for tracebacks there. The
    event and its fields are also fields of the log entry, which filters and alerts can match.
    """

    def __init__(self) -> None:
        super().__init__()
        self._project = settings.project_id()

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", Event.LIBRARY)
        fields = getattr(record, "fields", None) or {"logger": record.name, "place": f"{record.module}:{record.lineno}"}
        message = " ".join([event, *(f"{name}={value}" for name, value in fields.items())])
        if record.exc_info and record.exc_info[1] is not None:
            message += "\n" + "".join(_traceback(record.exc_info[1]))
        severity = _SEVERITIES[min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)]
        entry = {**fields, "event": event, "severity": severity, "message": message, **self._origin()}
        stream = sys.stderr if severity == "ERROR" else sys.stdout
        with suppress(OSError):  # the work must not fail because nobody reads the log
            stream.write(json.dumps(entry) + "\n")
            stream.flush()

    def _origin(self) -> dict[str, Any]:
        """Return the trace and the labels of the line, in the fields in which Cloud Logging looks for them.

        https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
        """
        work = tracing.current()
        origin: dict[str, Any] = {}
        if work.trace is not None:
            origin["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{work.trace.trace_id}"
            origin["logging.googleapis.com/trace_sampled"] = work.trace.is_sampled
            if work.trace.span_id is not None:
                origin["logging.googleapis.com/spanId"] = work.trace.span_id
        labels = {
            "generationRequestId": work.request_id,
            "userHash": work.user_id and user_hash(work.user_id),
            "model": work.model,
            "attempt": work.attempt and str(work.attempt),
        }
        if present := {name: value for name, value in labels.items() if value}:
            origin["logging.googleapis.com/labels"] = present
        return origin


def user_hash(user_id: str) -> str:
    """Return the hash by which lines about a user are found: `printf %s UID | sha256sum | cut -c1-16`.

    It has no key, so that an operator can compute it. It hides a uid only from those who do not know the uid.
    """
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


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

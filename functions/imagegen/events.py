"""Log events: a name and typed fields, and nothing that a caller wrote.

An event's fields are ids, codes, counts and durations. Exceptions are logged as their types and frames, because their
messages may quote a caller. ``api.logs`` writes the events.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum


class Event(StrEnum):
    """All events. Alerts match their names in ``jsonPayload.event``."""

    CALL_FAILED = "CALL_FAILED"
    TASK_NOT_DONE = "TASK_NOT_DONE"
    PROVIDER_CRASHED = "PROVIDER_CRASHED"
    PROVIDER_HANGS = "PROVIDER_HANGS"
    PROVIDER_MISCONFIGURED = "PROVIDER_MISCONFIGURED"
    PICTURE_STORED = "PICTURE_STORED"
    PICTURE_INVALID = "PICTURE_INVALID"
    IMAGE_NOT_STORED = "IMAGE_NOT_STORED"
    IMAGES_NOT_SWEPT = "IMAGES_NOT_SWEPT"
    DOCUMENT_UNREADABLE = "DOCUMENT_UNREADABLE"
    ACCOUNT_LOST = "ACCOUNT_LOST"
    DELETION_NOT_FINISHED = "DELETION_NOT_FINISHED"
    DELETION_STEP_FAILED = "DELETION_STEP_FAILED"
    EXPORT_FAILED = "EXPORT_FAILED"
    EXPORT_NOT_QUEUED = "EXPORT_NOT_QUEUED"
    EXPORT_NOT_SWEPT = "EXPORT_NOT_SWEPT"
    REFUND_WITHOUT_USER = "REFUND_WITHOUT_USER"
    REQUEST_QUEUED = "REQUEST_QUEUED"
    REQUEST_STARTED = "REQUEST_STARTED"
    REQUEST_ENDED = "REQUEST_ENDED"
    REQUEST_NOT_QUEUED = "REQUEST_NOT_QUEUED"
    REQUEST_NOT_SWEPT = "REQUEST_NOT_SWEPT"
    SWEEP_ENDED = "SWEEP_ENDED"
    SWEEP_NOT_FINISHED = "SWEEP_NOT_FINISHED"
    WEBHOOK_NOT_QUEUED = "WEBHOOK_NOT_QUEUED"
    WEBHOOK_NOT_SWEPT = "WEBHOOK_NOT_SWEPT"
    WEBHOOK_ACCEPTED = "WEBHOOK_ACCEPTED"
    WEBHOOK_NOT_ACCEPTED = "WEBHOOK_NOT_ACCEPTED"
    WEBHOOK_RECEIVER_GIVEN_UP = "WEBHOOK_RECEIVER_GIVEN_UP"
    CATALOG_NOT_LOADED = "CATALOG_NOT_LOADED"
    CATALOG_LOAD_SLOW = "CATALOG_LOAD_SLOW"
    OPTION_NOT_OFFERED = "OPTION_NOT_OFFERED"
    WEEKLY_REPORT_ANOMALY = "WEEKLY_REPORT_ANOMALY"
    AUDIT_FINDING = "AUDIT_FINDING"
    AUDIT_USER_LEFT_OUT = "AUDIT_USER_LEFT_OUT"
    AUDIT_ENDED = "AUDIT_ENDED"
    AUDIT_NOT_FINISHED = "AUDIT_NOT_FINISHED"
    ALERTS_NOT_DELIVERED = "ALERTS_NOT_DELIVERED"
    PACKAGES_NOT_LOADED = "PACKAGES_NOT_LOADED"
    PURCHASE_NOT_CREATED = "PURCHASE_NOT_CREATED"
    PURCHASE_NOT_RECONCILED = "PURCHASE_NOT_RECONCILED"
    PURCHASE_RECONCILED = "PURCHASE_RECONCILED"
    PURCHASE_DIFFERS = "PURCHASE_DIFFERS"
    PURCHASE_NOT_REFUNDED = "PURCHASE_NOT_REFUNDED"
    PURCHASE_OF_DELETED = "PURCHASE_OF_DELETED"
    PAYMENT_EVENT_IGNORED = "PAYMENT_EVENT_IGNORED"
    PAYMENT_EVENT_FAILED = "PAYMENT_EVENT_FAILED"
    LIBRARY = "LIBRARY"


class SafeText(str):
    """A text of our own or an operator's words, which contains nothing that a caller wrote."""

    __slots__ = ()


Field = bool | int | float | str | None | Sequence["Field"] | Mapping[str, "Field"]

WITHHELD = "[withheld]"
_ID = re.compile(r"[A-Za-z0-9_.:/+-]{1,300}")

_log = logging.getLogger("imagegen")


def info(event: Event, **fields: Field) -> None:
    _write(logging.INFO, event, fields)


def warning(event: Event, **fields: Field) -> None:
    _write(logging.WARNING, event, fields)


def error(event: Event, **fields: Field) -> None:
    _write(logging.ERROR, event, fields)


def exception(event: Event, **fields: Field) -> None:
    """Log an error with the traceback of the exception that is being handled."""
    _write(logging.ERROR, event, fields, with_traceback=True)


def type_of(error: BaseException) -> str:
    """Return the name of an exception's type, as the field of an event."""
    return type(error).__name__


def _write(level: int, event: Event, fields: Mapping[str, Field], *, with_traceback: bool = False) -> None:
    if not _log.isEnabledFor(level):
        return
    safe = {
        name: value if value is None or isinstance(value, int | float) else _safe(value)
        for name, value in fields.items()
    }
    error = sys.exc_info() if with_traceback else None
    # Logger.log would first look for the line of code, which costs more than the rest and is not logged.
    _log.handle(_log.makeRecord(_log.name, level, "", 0, event, (), error, extra={"event": event, "fields": safe}))


def _safe(value: Field) -> Field:
    """Return a field's value with every text withheld that is neither an id nor a SafeText."""
    match value:
        case str():
            return value if isinstance(value, SafeText) or _ID.fullmatch(value) else WITHHELD
        case Mapping():
            return {name: _safe(inner) for name, inner in value.items()}
        case Sequence():
            return [_safe(inner) for inner in value]
    return value

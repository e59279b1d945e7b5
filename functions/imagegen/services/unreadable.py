"""Logs documents that cannot be read, so that one of them does not stop the work on the others."""

from collections.abc import Callable
from typing import TypeVar

from imagegen import events
from imagegen.documents.fields import Unreadable
from imagegen.events import Event, SafeText
from imagegen.ports.database import Snapshot

T = TypeVar("T")


def read_or_log(of: Callable[[Snapshot], T], document: Snapshot) -> T | None:
    """Return the document as read by ``of``, or log it and return None if it cannot be read."""
    try:
        return of(document)
    except Unreadable as error:
        log(error)
        return None


def log(error: Unreadable) -> None:
    """Log the path and the field of a document that cannot be read. An operator needs both, whatever the ids hold."""
    events.error(Event.DOCUMENT_UNREADABLE, path=SafeText(error.path), field=SafeText(error.field))

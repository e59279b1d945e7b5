"""Reads one generation request, or lists and counts a user's requests."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from datetime import datetime

from imagegen.dataclass import dataclass
from imagegen.documents.fields import MOMENT_MIN, Unreadable
from imagegen.documents.generations import REQUESTS, request_of, request_path
from imagegen.domain.generation import GenerationRequest
from imagegen.errors import RequestNotFound
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, DatabaseUnavailable, Query, Sum, Where
from imagegen.services.pagination import Page, page

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 1.0
"""The delays between the reads of a request that a call waits for."""


@dataclass(frozen=True)
class Filter:
    """Filters requests by owner, field values and creation time. ``created_before`` is exclusive."""

    user_id: str
    fields: Mapping[str, str] = field(default_factory=dict)
    created_from: datetime | None = None
    created_before: datetime | None = None

    @property
    def where(self) -> tuple[Where, ...]:
        conditions = [Where("userId", "==", self.user_id)]
        conditions += [Where(name, "==", value) for name, value in self.fields.items()]
        conditions.append(Where("createdAt", ">=", self.created_from or MOMENT_MIN))
        if self.created_before is not None:
            conditions.append(Where("createdAt", "<", self.created_before))
        return tuple(conditions)


@dataclass(frozen=True)
class Requests:
    """Generation requests, read-only. All methods but ``wait`` raise DatabaseUnavailable."""

    database: Database
    clock: Clock

    def get(self, request_id: str) -> GenerationRequest:
        """Return the request. Raises RequestNotFound."""
        [document] = self.database.read(request_path(request_id))
        if not document.exists:
            raise not_found(request_id)
        return request_of(document)

    def wait(self, request: GenerationRequest, seconds: float) -> GenerationRequest:
        """Return the request when it has ended, or as it is after ``seconds``.

        The request is read again after growing delays, about once a second in the end. If it cannot be read, the last
        state read is returned.
        """
        deadline, delay = self.clock.monotonic() + seconds, FIRST_DELAY_SECONDS
        while request.is_open and (left := deadline - self.clock.monotonic()) > 0:
            self.clock.sleep(min(delay, left))
            delay = min(2 * delay, MAX_DELAY_SECONDS)
            with suppress(DatabaseUnavailable, RequestNotFound, Unreadable):
                request = self.get(request.id)
        return request

    def list(
        self, filter: Filter, size: int, after: tuple[datetime, str] | None = None, offset: int = 0
    ) -> Page[GenerationRequest]:
        """Return up to ``size`` matching requests, newest first.

        The page starts after the cursor (created_at, id), or after ``offset`` requests, for each of which Firestore
        bills a read.
        """
        newest = Query(REQUESTS, filter.where, order_by="createdAt", start_after=after, offset=offset)
        return page(self.database, newest, size, request_of)

    def count(self, filter: Filter, limit: int | None = None) -> int:
        """Return the number of matching requests, counted by the server, up to ``limit``."""
        # In the order of ``list``, so that the count uses the same indexes.
        in_order = Query(REQUESTS, filter.where, order_by="createdAt", limit=limit)
        [totals] = self.database.totals(Sum(in_order))
        return totals.count


def not_found(request_id: str) -> RequestNotFound:
    """Return the error for a missing request. It also hides other users' requests: no caller learns which ids exist."""
    return RequestNotFound(f"You have no generation request {request_id!r}.", generationRequestId=request_id)

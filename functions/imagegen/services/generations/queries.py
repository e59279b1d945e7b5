"""Reads one generation request, or lists and counts a user's requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from imagegen.documents.generations import REQUESTS, request_of, request_path
from imagegen.domain.generation import GenerationRequest
from imagegen.errors import RequestNotFound
from imagegen.ports.database import Database, Query, Sum, Where
from imagegen.services.pagination import Page, page


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
        if self.created_from is not None:
            conditions.append(Where("createdAt", ">=", self.created_from))
        if self.created_before is not None:
            conditions.append(Where("createdAt", "<", self.created_before))
        return tuple(conditions)


@dataclass(frozen=True)
class Requests:
    """Generation requests, read-only. All methods raise DatabaseUnavailable."""

    database: Database

    def get(self, request_id: str) -> GenerationRequest:
        """Return the request. Raises RequestNotFound."""
        [document] = self.database.read(request_path(request_id))
        if not document.exists:
            raise not_found(request_id)
        return request_of(document)

    def list(self, filter: Filter, size: int, after: tuple[datetime, str] | None = None) -> Page[GenerationRequest]:
        """Return up to ``size`` matching requests, newest first, starting after the cursor (created_at, id)."""
        newest = Query(REQUESTS, filter.where, order_by="createdAt", start_after=after)
        return page(self.database, newest, size, request_of)

    def count(self, filter: Filter) -> int:
        """Return the number of matching requests, counted by the server."""
        in_order = Query(REQUESTS, filter.where, order_by="createdAt")  # so that it uses the indexes of ``list``
        [totals] = self.database.totals(Sum(in_order))
        return totals.count


def not_found(request_id: str) -> RequestNotFound:
    """Return the error for a missing request. It also hides other users' requests: no caller learns which ids exist."""
    return RequestNotFound(f"You have no generation request {request_id!r}.", generationRequestId=request_id)

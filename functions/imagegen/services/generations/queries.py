"""Looking at generation requests: one, or a user's, newest first."""

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
    """Whose requests, with which values of their fields, made from when on and until when (exclusive)."""

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
    """Raises DatabaseUnavailable."""

    database: Database

    def get(self, request_id: str) -> GenerationRequest:
        """Raises RequestNotFound."""
        [document] = self.database.read(request_path(request_id))
        if not document.exists:
            raise not_found(request_id)
        return request_of(document)

    def list(self, filter: Filter, size: int, after: tuple[datetime, str] | None = None) -> Page[GenerationRequest]:
        """At most ``size`` requests that match, newest first, from after the one that was made then and has that id."""
        newest = Query(REQUESTS, filter.where, order_by="createdAt", start_after=after)
        return page(self.database, newest, size, request_of)

    def count(self, filter: Filter) -> int:
        """How many match, counted by the server."""
        in_order = Query(REQUESTS, filter.where, order_by="createdAt")  # so that the list's own indexes serve
        [totals] = self.database.totals(Sum(in_order, None))
        return totals.count


def not_found(request_id: str) -> RequestNotFound:
    """Also for what is someone else's: who may not see a request does not learn whether there is one."""
    return RequestNotFound(f"There is no generation request {request_id!r} of yours.", generationRequestId=request_id)

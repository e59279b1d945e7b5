"""Pagination of queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from imagegen.dataclass import dataclass
from imagegen.ports.database import Database, Query, Snapshot
from imagegen.services.unreadable import read_or_log

T = TypeVar("T")

QUERIES_MAX = 10
"""The maximum number of queries for a page. More than one is needed only for documents that cannot be read."""

Position = tuple[Any, str]
"""A place in a list: the value of the field that orders it, and the id, of the document before the place."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, in the list's order. ``next`` is where the next page starts, or None after the last page."""

    items: Sequence[T]
    next: Position | None


def page(database: Database, query: Query, size: int, of: Callable[[Snapshot], T]) -> Page[T]:
    """Return the first ``size`` documents of an ordered ``query``, each converted by ``of``.

    A document that cannot be read is logged and left out, and the next one takes its place. After ``QUERIES_MAX``
    queries, the page ends where the last query ended, and may have fewer items, or none. Raises DatabaseUnavailable.
    """
    assert query.order_by is not None, "a page continues after the last document of the page before"
    items: list[T] = []
    after: Position | None = None
    for _ in range(QUERIES_MAX):
        limit = size - len(items) + 1  # one document more shows whether another page follows
        found = database.find(replace(query, limit=limit))
        for document in found:
            item = read_or_log(of, document)
            if item is None:
                continue
            if len(items) == size:
                return Page(items, after)
            items.append(item)
            after = (document.data[query.order_by], document.id)
        if len(found) < limit:
            return Page(items, None)
        after = (found[-1].data[query.order_by], found[-1].id)
        query = replace(query, start_after=after, offset=0)
    return Page(items, after)

"""Pagination of queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from imagegen.dataclass import dataclass
from imagegen.ports.database import Database, Query, Snapshot
from imagegen.services.unreadable import read_or_log

T = TypeVar("T")

QUERIES_MAX = 10
"""The maximum number of queries for a page. More than one is needed only for documents that cannot be read."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, in the list's order. ``has_more`` is true if another page follows."""

    items: Sequence[T]
    has_more: bool


def page(database: Database, query: Query, size: int, of: Callable[[Snapshot], T]) -> Page[T]:
    """Return the first ``size`` documents of an ordered ``query``, each converted by ``of``.

    A document that cannot be read is logged and left out, and the next one takes its place. After ``QUERIES_MAX``
    queries, the page ends. Raises DatabaseUnavailable.
    """
    assert query.order_by is not None, "a page continues after the last document of the page before"
    items: list[T] = []
    for _ in range(QUERIES_MAX):
        limit = size - len(items) + 1  # one document more shows whether another page follows
        found = database.find(replace(query, limit=limit))
        for document in found:
            item = read_or_log(of, document)
            if item is None:
                continue
            if len(items) == size:
                return Page(items, has_more=True)
            items.append(item)
        if len(found) < limit:
            return Page(items, has_more=False)
        query = replace(query, start_after=(found[-1].data[query.order_by], found[-1].id), offset=0)
    return Page(items, has_more=bool(items))

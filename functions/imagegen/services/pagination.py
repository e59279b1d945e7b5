"""Pagination of queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from imagegen.ports.database import Database, Query, Snapshot

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, in the list's order. ``has_more`` is true if another page follows."""

    items: Sequence[T]
    has_more: bool


def page(database: Database, query: Query, size: int, of: Callable[[Snapshot], T]) -> Page[T]:
    """Return the first ``size`` documents of ``query``, each converted by ``of``. Raises DatabaseUnavailable."""
    found = database.find(replace(query, limit=size + 1))  # one document more shows whether another page follows
    return Page([of(document) for document in found[:size]], has_more=len(found) > size)

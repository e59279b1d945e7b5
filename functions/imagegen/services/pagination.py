"""Lists, page by page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from imagegen.ports.database import Database, Query, Snapshot

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list, in its order, and whether more of it follow."""

    items: Sequence[T]
    has_more: bool


def page(database: Database, query: Query, size: int, of: Callable[[Snapshot], T]) -> Page[T]:
    """The first ``size`` that ``query`` finds, each made by ``of``. Raises DatabaseUnavailable."""
    found = database.find(replace(query, limit=size + 1))  # one more than shown tells whether there are any
    return Page([of(document) for document in found[:size]], has_more=len(found) > size)

"""The port to the document database: the operations of Firestore that the services use.

Concurrency is optimistic. A commit is atomic and has the versions of the documents read before as preconditions. If a
document has changed, the whole commit is refused. No operation holds a lock between two calls.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from operator import add
from typing import Any, Literal, Protocol, Self

from imagegen.dataclass import dataclass

Data = Mapping[str, Any]

Version = datetime
"""The time of a document's last write, as the server reports it. Equal versions mean an unchanged document."""


class CommitRefused(Exception):
    """A precondition failed, or the server aborted the commit for another writer. Nothing was written."""


class OutcomeUnknown(Exception):
    """The server's answer is missing or does not say whether the commit was applied."""


class DatabaseUnavailable(Exception):
    """A read failed."""


@dataclass(frozen=True)
class Snapshot:
    """A document as read. ``version`` is None if the document does not exist."""

    path: str
    data: Data
    version: Version | None

    @property
    def exists(self) -> bool:
        return self.version is not None

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Create:
    """Write a document that must not exist yet."""

    path: str
    data: Data


@dataclass(frozen=True)
class Update:
    """Replace the named fields of a document if the document still has ``version``. All other fields stay.

    A name can be a path, such as ``credits.paid``. A part that is not a plain identifier must be in backticks.
    """

    path: str
    fields: Data
    version: Version


@dataclass(frozen=True)
class Put:
    """Write a whole document, whether or not it exists."""

    path: str
    data: Data


@dataclass(frozen=True)
class Replace:
    """Write a whole document if it still has ``version``. Fields that ``data`` lacks are removed."""

    path: str
    data: Data
    version: Version


@dataclass(frozen=True)
class Delete:
    """Delete a document, which may be missing. With a ``version``, delete it only if it still has this version."""

    path: str
    version: Version | None = None


Write = Create | Update | Put | Replace | Delete


@dataclass(frozen=True)
class Where:
    """A condition on one field. The value of ``in`` is a tuple."""

    field: str
    op: Literal["==", "<", ">=", "in"]
    value: Any


@dataclass(frozen=True)
class Query:
    """A query for the documents of a collection that meet all conditions.

    With ``collection_group``, the query reads all collections with this name. ``order_by`` is a field path, largest
    value first, or smallest first if ``ascending``. A part of the path that is not a plain identifier must be in
    backticks. ``start_after`` is a value of that field. If documents can share a value, it is a value and a document
    id, and documents of equal value come in the order of their ids, in the same direction. ``offset`` documents are
    left out at the start. Firestore bills a read for each of them.
    """

    collection: str
    where: tuple[Where, ...] = ()
    order_by: str | None = None
    ascending: bool = False
    start_after: tuple[Any] | tuple[Any, str] | None = None
    limit: int | None = None
    offset: int = 0
    collection_group: bool = False

    def halves(self) -> tuple["Query", "Query"] | None:
        """Return two queries for the same documents together, or None if no condition can be divided.

        A list of values is divided, or else a range of numbers, times or days with both ends.
        """
        if self.limit is not None:
            return None
        for condition in self.where:
            if condition.op == "in" and len(condition.value) > 1:
                middle = len(condition.value) // 2
                first, second = condition.value[:middle], condition.value[middle:]
                return (
                    self._with(condition, replace(condition, value=first)),
                    self._with(condition, replace(condition, value=second)),
                )
        ends = {condition.field: condition for condition in self.where if condition.op == "<"}
        for condition in self.where:
            if condition.op == ">=" and (end := ends.get(condition.field)):
                middle = _middle(condition.value, end.value)
                if condition.value < middle:
                    return (
                        self._with(end, replace(end, value=middle)),
                        self._with(condition, replace(condition, value=middle)),
                    )
        return None

    def _with(self, old: Where, new: Where) -> "Query":
        return replace(self, where=tuple(new if condition is old else condition for condition in self.where))


def _middle(start: Any, end: Any) -> Any:
    """Return a value between two numbers or times, or between two days such as ``2026-11-09``, or else ``start``."""
    if not isinstance(start, str):
        return start + (end - start) // 2
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError:
        return start
    return str(first + (last - first) // 2)


SUM_MAX = 2**53
"""The largest absolute value of a sum. A larger one is the fault of a wrong document, and is limited to this."""

MAX_SUMS = 4
"""The number of sums in an aggregation query. Firestore allows five aggregations, and the count is one of them."""


@dataclass(frozen=True)
class Sum:
    """An aggregation query for the number of documents that match and the sum of each of their ``fields``.

    Documents that lack one of the fields are left out, also from the count.
    """

    query: Query
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert len(self.fields) <= MAX_SUMS, "Firestore refuses the query"

    def halves(self) -> tuple["Sum", "Sum"] | None:
        """Return two queries for the same documents together, or None if the query cannot be divided."""
        halves = self.query.halves()
        return halves and (Sum(halves[0], self.fields), Sum(halves[1], self.fields))


@dataclass(frozen=True)
class Totals:
    """The result of a Sum: the number of documents, and a sum for each field."""

    count: int
    sums: tuple[int, ...] = ()

    def __add__(self, other: Self) -> "Totals":
        return Totals(self.count + other.count, tuple(map(add, self.sums, other.sums)))


class Database(Protocol):
    """A document database with atomic, conditional commits. ``FirestoreDatabase`` implements it."""

    def read(self, *paths: str) -> list[Snapshot]:
        """Return the documents at ``paths``, in that order and all from one moment, in one round trip.

        Raises DatabaseUnavailable.
        """

    def commit(self, *writes: Write) -> list[Version]:
        """Apply all ``writes`` or none, in one round trip. Return the new version of each document.

        The version of a deleted document means nothing.

        Raises CommitRefused if nothing was applied, and OutcomeUnknown if the commit may have been applied.
        """

    def find(self, query: Query) -> Sequence[Snapshot]:
        """Return the documents that match. Raises DatabaseUnavailable."""

    def scan(self, collection: str) -> Iterator[Snapshot]:
        """Yield all documents of a collection in the order of their ids, without keeping them all in memory.

        Raises DatabaseUnavailable.
        """

    def totals(self, *sums: Sum) -> list[Totals]:
        """Return the result of each Sum, all from one moment. The server counts without returning documents.

        A Sum that takes too long is divided into halves, several times if need be. Raises DatabaseUnavailable.
        """

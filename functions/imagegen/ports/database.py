"""The port to the document database: what services may ask of Firestore, and no more.

Everything here is optimistic. A commit is atomic, carries what its author read as preconditions, and is refused as
a whole when any of it has moved. No operation holds a lock between two calls.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

Data = Mapping[str, Any]

Version = datetime
"""The time of a document's last write, as the server reports it. Equal versions mean an unchanged document."""


class CommitRefused(Exception):
    """A precondition did not hold, or the server gave way to another writer. Nothing was applied."""


class OutcomeUnknown(Exception):
    """The server did not answer, or answered without saying whether it applied the commit."""


class DatabaseUnavailable(Exception):
    """A read could not be served."""


@dataclass(frozen=True)
class Snapshot:
    """A document as read; ``version`` is None where there is no such document."""

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
    """Replace the named fields of a document, if it still is at ``version``. All others stay.

    A name may be a path, as in ``credits.paid``; a part of it that is no plain identifier stands in backticks.
    """

    path: str
    fields: Data
    version: Version


@dataclass(frozen=True)
class Put:
    """Write a document whole, whether or not it exists."""

    path: str
    data: Data


Write = Create | Update | Put


@dataclass(frozen=True)
class Where:
    """A condition on one field; ``in`` takes a tuple of values."""

    field: str
    op: Literal["==", "<", ">=", "in"]
    value: Any


@dataclass(frozen=True)
class Query:
    """The documents of one collection that meet all conditions; ``everywhere``, of all collections of that name.

    ``order_by`` is one field path, newest (largest) first. ``start_after`` is a value of it, or, where documents may
    share one, a value and a document's id; among equal values, the largest id comes first then. A part of the path
    that is no plain identifier stands in backticks.
    """

    collection: str
    where: tuple[Where, ...] = ()
    order_by: str | None = None
    start_after: tuple[Any] | tuple[Any, str] | None = None
    limit: int | None = None
    everywhere: bool = False


@dataclass(frozen=True)
class Sum:
    """A question to the server: how many documents match, and what their ``field`` adds up to (None: 0)."""

    query: Query
    field: str | None


@dataclass(frozen=True)
class Totals:
    """The answer to a Sum; what only counts has the sum 0."""

    count: int
    sum: int


class Database(Protocol):
    """A document database with atomic, conditional commits. ``FirestoreDatabase`` is the real one."""

    def read(self, *paths: str) -> list[Snapshot]:
        """The documents at ``paths``, in that order, all as of one moment; one round trip.

        Raises DatabaseUnavailable.
        """

    def commit(self, *writes: Write) -> list[Version]:
        """Apply all ``writes`` or none of them; the new version of each; one round trip.

        Raises CommitRefused (nothing was applied) and OutcomeUnknown (it may have been).
        """

    def find(self, query: Query) -> Sequence[Snapshot]:
        """The documents that match. Raises DatabaseUnavailable."""

    def scan(self, collection: str) -> Iterator[Snapshot]:
        """Every document of a collection, in the order of their ids, without holding them all at once.

        Raises DatabaseUnavailable.
        """

    def totals(self, *questions: Sum) -> list[Totals]:
        """Counted and summed by the server, without reading the documents, all as of one moment.

        Raises DatabaseUnavailable.
        """

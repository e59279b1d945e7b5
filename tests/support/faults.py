"""Faults at the database port: lost commits, conflicting commits and an unreachable database."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from imagegen.ports.database import (
    CommitRefused,
    Database,
    DatabaseUnavailable,
    OutcomeUnknown,
    Query,
    Snapshot,
    Sum,
    Totals,
    Version,
    Write,
)


class Lost(Enum):
    """The time of a lost connection, relative to the commit."""

    BEFORE = "the server never saw the commit"
    AFTER = "the server had applied the commit"


Fault = Lost | Callable[[], object] | None
"""The fault of one commit. A callable runs just before the commit, like a conflicting process. None means no fault."""


@dataclass
class FaultyDatabase:
    """A database with faults. The next commits use up ``faults``, one each. If ``down``, every call fails."""

    database: Database
    faults: list[Fault] = field(default_factory=list)
    down: bool = False
    before_find: Callable[[], object] | None = None
    """Runs once before the next query, like a conflicting process after an earlier read."""

    def read(self, *paths: str) -> list[Snapshot]:
        self._check()
        return self.database.read(*paths)

    def commit(self, *writes: Write) -> list[Version]:
        if self.down:
            raise OutcomeUnknown("down")
        fault = self.faults.pop(0) if self.faults else None
        if fault is Lost.BEFORE:
            raise OutcomeUnknown(fault.value)
        if callable(fault):
            fault()
        versions = self.database.commit(*writes)
        if fault is Lost.AFTER:
            raise OutcomeUnknown(fault.value)
        return versions

    def find(self, query: Query) -> Sequence[Snapshot]:
        self._check()
        before_query, self.before_find = self.before_find, None
        if before_query:
            before_query()
        return self.database.find(query)

    def scan(self, collection: str) -> Iterator[Snapshot]:
        self._check()
        return self.database.scan(collection)

    def totals(self, *questions: Sum) -> list[Totals]:
        self._check()
        return self.database.totals(*questions)

    def _check(self) -> None:
        if self.down:
            raise DatabaseUnavailable("down")


def refuse() -> None:
    """Refuse the commit, as if another process had committed first."""
    raise CommitRefused("another commit was first")

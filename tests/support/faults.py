"""Faults at the database port, over the real emulator: what rivals and broken connections do to a commit."""

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
    """When the connection broke."""

    BEFORE = "the server never saw the commit"
    AFTER = "the server had applied the commit"


Fault = Lost | Callable[[], object] | None
"""What befalls a commit; a callable acts as a rival just before it, None lets it through."""


@dataclass
class FaultyDatabase:
    """A real database whose next commits meet the ``faults``, one each, in order; ``down`` fails everything."""

    database: Database
    faults: list[Fault] = field(default_factory=list)
    down: bool = False
    before_find: Callable[[], object] | None = None
    """Acts once, as a rival between a read and the query after it."""

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
        rival, self.before_find = self.before_find, None
        if rival:
            rival()
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
    """A rival that always wins."""
    raise CommitRefused("a rival was first")

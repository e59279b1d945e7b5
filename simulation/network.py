"""The database behind a faulty network, which is slow, loses answers, and delivers commits late."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from imagegen.ports.database import (
    CommitRefused,
    Create,
    Data,
    DatabaseUnavailable,
    OutcomeUnknown,
    Query,
    Snapshot,
    Sum,
    Totals,
    Update,
    Version,
    Write,
)
from simulation.checks import Violation
from simulation.faults import Faults
from simulation.scheduler import Scheduler
from simulation.store import Store

TIMEOUT_SECONDS = 10.0
LATE_ARRIVAL_SECONDS = (0.1, 20.0, 400.0)
"""The delays of a commit that arrives after its caller got OutcomeUnknown: soon, during a retry, or long after."""


class RemoteDatabase:
    """A ``Store`` behind a faulty network. Time passes before a call arrives, and before its answer arrives."""

    def __init__(
        self, store: Store, scheduler: Scheduler, faults: Faults, rng: random.Random, violations: list[Violation]
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._faults = faults
        self._rng = rng
        self._violations = violations
        self.renewals: Counter[tuple[str, str]] = Counter()
        """The commits, other than resends, after which a request or an attempt of a delivery may get another task."""

    def read(self, *paths: str) -> list[Snapshot]:
        self._arrive()
        documents = self._store.read(*paths)
        self._pass_latency()
        return documents

    def find(self, query: Query) -> Sequence[Snapshot]:
        self._arrive()
        documents = self._store.find(query)
        self._pass_latency()
        return documents

    def scan(self, collection: str) -> Iterator[Snapshot]:
        self._arrive()
        return self._store.scan(collection)

    def totals(self, *questions: Sum) -> list[Totals]:
        self._arrive()
        return self._store.totals(*questions)

    def commit(self, *writes: Write) -> list[Version]:
        # A correct backend never sends such a write, even if it would be refused.
        self._violations += [
            Violation("APPEND_ONLY", f"{write.path} is overwritten") for write in writes if _overwrites_ledger(write)
        ]
        self._pass_latency()
        rates = self._faults.rates
        if self._faults.occurs(rates.refused):
            self._note("refused", writes)
            self._pass_latency()
            raise CommitRefused("the server preferred another writer")
        if self._faults.occurs(rates.lost_before):
            self._note("lost before", writes)
            self._lose_answer()
        if self._faults.occurs(rates.late):
            self._note("sent, still on its way", writes)
            self._scheduler.later(
                self._rng.uniform(0, self._rng.choice(LATE_ARRIVAL_SECONDS)), lambda: self._arrive_late(writes)
            )
            self._lose_answer()
        lost_after = self._faults.occurs(rates.lost_after)
        try:
            versions = self._apply(writes)
        except CommitRefused:
            self._note("conflict", writes)
            self._pass_latency()
            raise
        if lost_after:
            self._note("lost after", writes)
            self._lose_answer()
        self._note("applied", writes)
        self._pass_latency()
        return versions

    def _apply(self, writes: Sequence[Write]) -> list[Version]:
        before = self._store.read(*(write.path for write in writes))
        versions = self._store.commit(*writes)
        self._violations += [
            Violation("APPEND_ONLY", f"{write.path} loses an attempt")
            for write, document in zip(writes, before, strict=True)
            if isinstance(write, Update) and _loses_attempts(document.data, write.fields)
        ]
        self.renewals.update(
            (document.id, str(document.data.get("attemptCount", "")))
            for write, document in zip(writes, before, strict=True)
            if isinstance(write, Update) and _renews_task(document.data, write.fields)
        )
        return versions

    def _arrive(self) -> None:
        self._pass_latency()
        if self._faults.occurs(self._faults.rates.unavailable):
            self._scheduler.note("unavailable")
            self._pass_latency()
            raise DatabaseUnavailable("the server cannot be reached")

    def _pass_latency(self) -> None:
        """Let the latency of one direction pass. It is often zero, so that many events are simultaneous."""
        self._faults.step(self._rng.choice((0.0, 0.001, 0.002, 0.05)))

    def _lose_answer(self) -> None:
        """Raise OutcomeUnknown, soon (the connection breaks) or after a timeout."""
        self._faults.step(self._rng.choice((0.01, TIMEOUT_SECONDS)))
        raise OutcomeUnknown("no answer")

    def _arrive_late(self, writes: Sequence[Write]) -> None:
        try:
            self._apply(writes)
        except CommitRefused:
            self._note("arrived late, refused", writes)
        else:
            self._note("arrived late, applied", writes)

    def _note(self, kind: str, writes: Sequence[Write]) -> None:
        self._scheduler.note(kind, ", ".join(write.path.rpartition("/")[2][:32] for write in writes))


def _overwrites_ledger(write: Write) -> bool:
    if isinstance(write, Update) and write.fields == {"reason": None}:
        return False  # no hash covers it
    return "/creditTransactions/" in write.path and not isinstance(write, Create)


def _loses_attempts(before: Data, after: Data) -> bool:
    """Return whether a write changes a delivery's attempts without adding one."""
    if "attempts" not in before or after["attemptCount"] > before["attemptCount"]:
        return False
    return bool(after["attempts"] != before["attempts"])


def _renews_task(before: Data, after: Data) -> bool:
    """Return whether a write gives a request another task number, or claims or postpones an attempt of a delivery."""
    if "attempts" not in before:
        return "taskNumber" in after
    return all(after[name] == before[name] for name in ("attemptCount", "giveUpAt"))

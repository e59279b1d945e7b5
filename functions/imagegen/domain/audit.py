"""The audit: the invariants that it checks, its findings, and the record of a run."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from imagegen.dataclass import dataclass

FINDINGS_KEPT = 100
"""The number of findings, and of users that were left out, that the record of a run names. It counts all of them."""

DOCUMENTS_KEPT = 5
MESSAGE_LENGTH_MAX = 500


class Invariant(StrEnum):
    """An invariant. The value is its description in the output of the audit."""

    READABLE = "every document can be read"
    BALANCE = "a balance is never below zero and equals the sum of its ledger, and so does each lifetime total"
    SEQUENCE = "ledger entries are numbered without gaps and carry the balance after them"
    CHAIN = "each entry's hash covers the hash before it, and the wallet has the last hash"
    OWNERSHIP = "each deduction or refund belongs to one request of its user, and has its cost and buckets"
    SETTLEMENT = "a request is charged once, and refunded once if it failed or was canceled; corrections count too"
    USAGE = "a user's weekly counters match their requests"
    END = "every request ends soon after its lease or its time in the queue expires"
    TRIAL = "each claim of trial credits has its grant"
    PURCHASE = "a paid purchase is granted once, and what was refunded or disputed is taken back or owed"
    PAYMENT = "every paid session has its purchase, and every granted purchase its paid session"
    DELETION = "the deletion of an account ends within a day, and leaves no credits and no profile"
    TOTAL = "all balances together equal all ledger entries together"


@dataclass(frozen=True)
class Finding:
    """A violation of an invariant, with the paths of the documents that show it, and the user if there is one."""

    invariant: Invariant
    message: str
    documents: tuple[str, ...]
    user_id: str | None = None

    def shortened(self) -> "Finding":
        """Return the finding as a record keeps it."""
        return replace(self, message=self.message[:MESSAGE_LENGTH_MAX], documents=self.documents[:DOCUMENTS_KEPT])


class AuditKind(StrEnum):
    """A daily audit checks a part of the users. A full audit checks every document."""

    DAILY = "daily"
    FULL = "full"


@dataclass
class Coverage:
    """Counts the documents that were checked one by one."""

    users: int = 0
    entries: int = 0
    requests: int = 0

    def add(self, other: "Coverage") -> None:
        self.users += other.users
        self.entries += other.entries
        self.requests += other.requests


@dataclass(frozen=True)
class Balances:
    """The sum of all balances, and of all ledger entries, at one moment."""

    balances: int
    ledgers: int


@dataclass(frozen=True)
class AuditRun:
    """An audit: what it has covered and found so far, and where it goes on.

    ``ended_at`` is None while it goes on. ``left_out`` are users that could not be checked.

    A daily audit first checks the users of ``recheck``, whom the last audit found violations of or whose deletion is
    overdue. Then it checks the users with ledger entries from ``entries_since`` to ``entries_until``. All entries
    before ``entries_checked`` are covered, and the first ``entries_number`` of those at that time. Then it checks
    ``rotation_left`` further users, in the order of their ids, after ``rotation_after``. The next daily audit starts at
    both places. ``total_tries`` counts how often the sums were tried. ``scheduled_for`` identifies a run when it is
    repeated.
    """

    kind: AuditKind
    started_at: datetime
    updated_at: datetime
    entries_checked: datetime
    ended_at: datetime | None = None
    scheduled_for: datetime | None = None
    users: int = 0
    entries: int = 0
    requests: int = 0
    findings: tuple[Finding, ...] = ()
    finding_count: int = 0
    left_out: tuple[str, ...] = ()
    left_out_count: int = 0
    entries_since: datetime | None = None
    entries_until: datetime | None = None
    entries_number: int = 0
    recheck: tuple[str, ...] = ()
    rotation_after: str | None = None
    rotation_left: int = 0
    total_tries: int = 0
    balances: Balances | None = None

    def found(self, findings: Iterable[Finding]) -> Self:
        """Return the run with further findings. One that the run names already was found before an interruption."""
        further = [short for finding in findings if (short := finding.shortened()) not in self.findings]
        kept = (*self.findings, *further)[:FINDINGS_KEPT]
        return replace(self, findings=kept, finding_count=self.finding_count + len(further))

    def covered(self, coverage: Coverage) -> Self:
        """Return the run with further documents covered."""
        return replace(
            self,
            users=self.users + coverage.users,
            entries=self.entries + coverage.entries,
            requests=self.requests + coverage.requests,
        )

    def without(self, user_id: str) -> Self:
        """Return the run with a user left out."""
        if user_id in self.left_out:
            return self
        return replace(
            self,
            left_out=(*self.left_out, user_id)[:FINDINGS_KEPT],
            left_out_count=self.left_out_count + 1,
        )

"""Tests of the daily audit on an in-memory Firestore: what it covers, interruptions, and documents that are bad."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagegen.documents.account_data import deletion_path, write_deletion
from imagegen.documents.audits import LATEST
from imagegen.domain.account_data import Deletion
from imagegen.domain.audit import AuditKind, AuditRun, Coverage, Invariant
from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import Credits
from imagegen.ports.database import (
    CommitRefused,
    Create,
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
from imagegen.services.credits import daily_audit
from imagegen.services.credits.accounts import Accounts, new_account
from imagegen.services.credits.audit import Audit
from imagegen.services.credits.daily_audit import ROTATION, RUN_SECONDS, DailyAudit
from imagegen.services.retry import Retry
from imagegen.services.server_keys import ServerKeys
from simulation.store import Store
from tests.support.times import NOON
from tools.fakes import ManualClock

DAY = timedelta(days=1)
OLD = NOON - 40 * DAY


@dataclass
class Observed(Store):
    """A store that runs ``before`` ahead of each operation, and remembers the users whose ledgers were read.

    The operation number ``fails`` fails. If it is a commit and ``is_applied``, only its answer is lost.
    """

    before: Callable[[], object] = field(default=lambda: None)
    ledgers_read: list[str] = field(default_factory=list)
    operations: int = 0
    fails: int = 0
    is_applied: bool = False

    def _begin(self) -> None:
        self.before()
        self.operations += 1
        if self.operations == self.fails:
            raise DatabaseUnavailable("gone")

    def read(self, *paths: str) -> list[Snapshot]:
        self._begin()
        return super().read(*paths)

    def commit(self, *writes: Write) -> list[Version]:
        self.before()
        self.operations += 1
        if self.operations != self.fails:
            return super().commit(*writes)
        if self.is_applied:
            super().commit(*writes)
        raise OutcomeUnknown("gone")

    def find(self, query: Query) -> Sequence[Snapshot]:
        self._begin()
        return super().find(query)

    def scan(self, collection: str) -> Iterator[Snapshot]:
        self._begin()
        if collection.startswith("users/"):
            self.ledgers_read.append(collection.split("/")[1])
        return super().scan(collection)

    def totals(self, *questions: Sum) -> list[Totals]:
        self._begin()
        return super().totals(*questions)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def store() -> Observed:
    return Observed()


@pytest.fixture
def audit(store: Observed, clock: ManualClock) -> DailyAudit:
    return DailyAudit(store, clock, Audit(store, clock))


@pytest.fixture
def accounts(store: Observed, clock: ManualClock) -> Accounts:
    retry = Retry(clock, random.Random(1), 1)
    return Accounts(store, clock, retry, ServerKeys("keys", store, random.Random(1)))


def add_users(store: Store, *ids: str, at: datetime = OLD) -> None:
    for id in ids:
        _, writes = new_account(id, {}, Credits(paid=5), at)
        store.commit(*writes)


def edit(store: Store, path: str, **fields: object) -> None:
    [document] = Store.read(store, path)
    assert document.version is not None
    Store.commit(
        store, Update(path, {name.replace("__", "."): value for name, value in fields.items()}, document.version)
    )


def grant(accounts: Accounts, user_id: str, key: str = "key") -> None:
    accounts.grant(user_id, Bucket.PAID, 5, reason="r", key=f"{user_id} {key}", granted_by="admin")


def rules(run: AuditRun) -> list[tuple[str | None, Invariant]]:
    return sorted((finding.user_id, finding.invariant) for finding in run.findings if finding.user_id)


def checked(store: Observed) -> list[str]:
    """Return the users that were checked since the last call."""
    ids, store.ledgers_read = store.ledgers_read, []
    return sorted(ids)


def test_users_with_an_entry_since_the_last_run_are_checked(
    store: Observed, clock: ManualClock, audit: DailyAudit, accounts: Accounts
) -> None:
    add_users(store, *(f"old-{number:02}" for number in range(31)))
    add_users(store, "new", at=NOON - timedelta(hours=2))
    first = audit.run(audit.clock.now())
    assert (first.kind, first.ended_at, first.finding_count) == (AuditKind.DAILY, NOON, 0)
    assert checked(store) == ["new", "old-00"]  # the next two of 32 users are a thirtieth, rounded up
    assert (first.users, first.entries, first.requests) == (2, 2, 0)
    assert first.balances is not None
    assert first.balances.balances == first.balances.ledgers == 32 * 5
    assert audit.latest() == first
    clock.at += timedelta(hours=12)
    grant(accounts, "old-20")
    edit(store, "users/old-20", credits__paid=7)
    clock.at += timedelta(hours=12)
    second = audit.run(audit.clock.now())
    assert checked(store) == ["old-01", "old-02", "old-20"]
    assert rules(second) == [("old-20", Invariant.BALANCE)]
    edit(store, "users/old-20", credits__paid=10)
    clock.at += DAY
    assert audit.run(audit.clock.now()).finding_count == 0
    assert checked(store) == ["old-03", "old-04", "old-20"]  # once more, because it had a finding
    clock.at += DAY
    audit.run(audit.clock.now())
    assert checked(store) == ["old-05", "old-06"]


def test_run_checks_only_the_longest_overdue_deletions(
    store: Observed, clock: ManualClock, audit: DailyAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotation comes to the others."""
    monkeypatch.setattr(daily_audit, "PAGE_SIZE", 2)
    add_users(store, *(f"user-{number:02}" for number in range(30)))
    for user_id, days in (("user-20", 2), ("user-21", 4), ("user-22", 3), ("user-23", 0)):
        at = NOON - days * DAY
        edit(store, f"users/{user_id}", deletedAt=at)
        [document] = Store.read(store, deletion_path(user_id))
        Store.commit(store, write_deletion(document, Deletion(user_id, at, None, due_at=at)))
    run = audit.run(clock.now())
    assert checked(store) == ["user-00", "user-21", "user-22"]
    assert rules(run) == [("user-21", Invariant.DELETION), ("user-22", Invariant.DELETION)]


def test_all_users_are_checked_in_thirty_runs(store: Observed, clock: ManualClock, audit: DailyAudit) -> None:
    ids = [f"user-{number:02}" for number in range(60)]
    add_users(store, *ids)
    edit(store, "users/user-59", credits__paid=7)
    found = []
    for _ in range(ROTATION):
        run = audit.run(audit.clock.now())
        assert run.ended_at == clock.at
        found += rules(run)
        assert [finding.invariant for finding in run.findings if not finding.user_id] == [Invariant.TOTAL]
        clock.at += DAY
    assert checked(store) == ids
    assert found == [("user-59", Invariant.BALANCE)]
    edit(store, "users/user-59", credits__paid=5)
    audit.run(clock.at)  # checks it once more
    clock.at += DAY
    checked(store)
    for _ in range(ROTATION):
        audit.run(audit.clock.now())
        clock.at += DAY
    assert set(checked(store)) == set(ids)


def test_entry_that_is_committed_late_is_covered_by_the_next_run(
    store: Observed, clock: ManualClock, audit: DailyAudit
) -> None:
    add_users(store, *(f"a-{number}" for number in range(3)))
    audit.run(audit.clock.now())
    add_users(store, "late", at=NOON - timedelta(minutes=1))  # its commit took a minute
    clock.at += DAY
    checked(store)
    audit.run(audit.clock.now())
    assert "late" in checked(store)


def test_entries_of_one_moment_on_several_pages_are_all_covered(
    store: Observed, audit: DailyAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_audit, "PAGE_SIZE", 2)
    ids = [f"user-{number}" for number in range(7)]
    add_users(store, *ids[:1], at=NOON - timedelta(hours=3))
    add_users(store, *ids[1:6], at=NOON - timedelta(hours=2))
    add_users(store, *ids[6:], at=NOON - timedelta(hours=1))
    assert audit.run(audit.clock.now()).users == 7
    assert checked(store) == ids


def run_to_the_end(audit: DailyAudit) -> AuditRun:
    """Return the result of a run that is repeated after an error, as the scheduler does."""
    for _ in range(3):
        try:
            run = audit.run(NOON)
        except (DatabaseUnavailable, OutcomeUnknown):
            continue
        if run.ended_at is not None:
            return run
    raise AssertionError("the run does not end")


@pytest.mark.parametrize("is_applied", [False, True])
def test_run_that_is_interrupted_anywhere_covers_the_same(
    clock: ManualClock, is_applied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_audit, "PAGE_SIZE", 2)
    monkeypatch.setattr(daily_audit, "SAVE_SECONDS", 0)
    new = [f"new-{number}" for number in range(5)]
    operations = 60
    for fails in range(operations):
        store = Observed(is_applied=is_applied)
        add_users(store, *(f"old-{number}" for number in range(5)))
        add_users(store, *new, at=NOON - timedelta(hours=2))
        for wrong in ("new-1", "new-4"):
            edit(store, f"users/{wrong}", credits__paid=7)
        store.operations, store.fails = 0, fails
        audit = DailyAudit(store, clock, Audit(store, clock))
        run = run_to_the_end(audit)
        if fails == 0:
            assert 40 < store.operations < operations, "so that each operation fails once"
        assert len(run.left_out) <= 1, "only a user whose documents cannot be read although the database answers"
        expected = {("new-1", Invariant.BALANCE), ("new-4", Invariant.BALANCE)}
        assert set(rules(run)) == {found for found in expected if found[0] not in run.left_out}
        assert run.finding_count == len(run.findings) == len(set(run.findings))
        assert run.balances is not None
        assert run.rotation_left == 0
        assert set(checked(store)) >= set(new) - set(run.left_out)
        assert run.users <= 5 + 1 + 1, "the run is not followed by another one for the same day"
        store.fails = 0
        assert audit.run(NOON) == run
        assert checked(store) == []


def test_run_stops_in_time_and_the_next_one_continues(
    store: Observed, clock: ManualClock, audit: DailyAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"user-{number:02}" for number in range(40)]
    add_users(store, *ids, at=NOON - timedelta(hours=2))
    began = clock.at

    def take_five_seconds() -> None:
        clock.sleep(5)

    store.before = take_five_seconds
    run = audit.run(audit.clock.now())
    assert run.ended_at is None
    assert clock.at - began < timedelta(seconds=RUN_SECONDS + 60)
    assert 0 < run.users < 40
    runs = 1
    while run.ended_at is None:
        clock.at += DAY
        run = audit.run(audit.clock.now())
        runs += 1
    assert runs > 2
    assert set(checked(store)) == set(ids)
    assert run.started_at < began + DAY


def test_slow_user_is_left_out_and_does_not_stop_the_others(
    store: Observed, clock: ManualClock, audit: DailyAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.services.credits.audit.USER_DOCUMENTS_MAX", 3)
    add_users(store, "a", "b", "c", at=NOON - timedelta(hours=2))
    accounts = Accounts(store, clock, Retry(clock, random.Random(1), 1), ServerKeys("keys", store, random.Random(1)))
    for number in range(3):
        grant(accounts, "b", str(number))
    edit(store, "users/c", credits__paid=7)
    run = audit.run(audit.clock.now())
    assert (run.left_out, run.left_out_count, run.users) == (("b",), 1, 2)
    assert rules(run) == [("c", Invariant.BALANCE)]
    assert run.ended_at is not None


def test_bad_documents_are_findings_and_stop_only_themselves(
    store: Observed, audit: DailyAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(store, "a", "b", "c", "d", at=NOON - timedelta(hours=2))
    edit(store, "users/a", credits="many")
    edit(store, "users/b/creditTransactions/welcome-grant", hash=5)
    store.commit(
        Create("users/c/creditTransactions/odd", {"type": "grant", "timestamp": NOON - timedelta(hours=1)}),
        Create("elsewhere/x/creditTransactions/odd", {"type": "grant", "timestamp": NOON - timedelta(hours=1)}),
        Create("users/ghost/creditTransactions/odd", {"type": "grant", "timestamp": NOON - timedelta(hours=1)}),
        Create("generationRequests/odd", {"userId": "d", "status": "odd"}),
    )
    run = audit.run(audit.clock.now())
    assert {user for user, rule in rules(run) if rule is Invariant.READABLE} == {"a", "b", "c", "d"}
    assert run.ended_at is not None

    def crash(_: object) -> Any:
        raise KeyError("a bug")

    monkeypatch.setattr("imagegen.services.credits.audit.account_of", crash)
    edit(store, LATEST, kind="weekly")  # an unreadable audit counts as none
    run = audit.run(audit.clock.now())
    assert {user for user, _ in rules(run)} == {"a", "b", "c", "d"}


def test_finding_of_a_user_who_cannot_exist_makes_the_last_audit_unreadable(
    store: Observed, clock: ManualClock, audit: DailyAudit
) -> None:
    add_users(store, "a")
    edit(store, "users/a", credits__paid=7)
    run = audit.run(clock.now())
    assert rules(run) == [("a", Invariant.BALANCE)]
    [found, *_] = [data for data in Store.read(store, LATEST)[0].data["findings"] if data["userId"] == "a"]
    edit(store, LATEST, findings=[{**found, "userId": "a/b"}])
    assert audit.latest() is None
    clock.at += timedelta(days=1)
    assert audit.run(clock.now()).recheck == ()


def test_change_between_two_reads_is_not_a_finding(
    store: Observed, clock: ManualClock, audit: DailyAudit, accounts: Accounts
) -> None:
    add_users(store, "a", at=NOON - timedelta(hours=2))
    grants = iter(range(2))
    original = store.scan

    def scan(collection: str) -> Iterator[Snapshot]:
        if collection == "users/a/creditTransactions" and (number := next(grants, None)) is not None:
            grant(accounts, "a", str(number))
        return original(collection)

    store.scan = scan  # type: ignore[method-assign]
    assert (audit.run(audit.clock.now()).findings, checked(store)) == ((), ["a"] * 3)


def test_user_who_changes_all_the_time_is_left_out(store: Observed, audit: DailyAudit, accounts: Accounts) -> None:
    add_users(store, "a", "b", at=NOON - timedelta(hours=2))
    original, number = store.scan, iter(range(100))

    def scan(collection: str) -> Iterator[Snapshot]:
        if collection == "users/a/creditTransactions":
            grant(accounts, "a", str(next(number)))
        return original(collection)

    store.scan = scan  # type: ignore[method-assign]
    run = audit.run(audit.clock.now())
    assert (run.left_out, run.users, run.finding_count) == (("a",), 1, 0)


def test_record_is_bounded_and_each_kept_finding_is_logged(
    store: Observed, audit: DailyAudit, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [f"user-{number:03}" for number in range(150)]
    add_users(store, *ids, at=NOON - timedelta(hours=2))
    for id in ids:
        edit(store, f"users/{id}", credits__paid=7)
    caplog.set_level("INFO")
    run = audit.run(audit.clock.now())
    assert (len(run.findings), run.finding_count) == (100, 151)
    logged = [vars(record) for record in caplog.records]
    assert [entry["event"] for entry in logged] == ["AUDIT_FINDING"] * 100 + ["AUDIT_ENDED"]
    assert logged[1]["fields"] == {"rule": "BALANCE", "userId": "user-000", "path": "users/user-000"}
    assert logged[-1]["fields"] == {"users": 150, "entries": 150, "requests": 0, "findings": 151, "leftOut": 0}
    assert audit.latest() == run


def test_full_audit_is_stored_and_stops_a_daily_run(store: Observed, clock: ManualClock, audit: DailyAudit) -> None:
    add_users(store, *(f"user-{number:02}" for number in range(31)))
    audit.run(audit.clock.now())
    clock.at += DAY
    add_users(store, "wrong", at=clock.at - timedelta(hours=1))
    edit(store, "users/wrong", credits__paid=7)
    coverage = Coverage()
    findings = list(audit.audit.findings(coverage))
    audit.store(clock.at, coverage, findings, len(findings))
    full = audit.latest()
    assert full is not None
    assert (full.kind, full.users, full.entries, full.finding_count) == (AuditKind.FULL, 32, 32, 1)
    assert rules(full) == [("wrong", Invariant.BALANCE)]
    checked(store)
    clock.at += DAY
    daily = audit.run(audit.clock.now())
    assert (daily.kind, daily.entries_since) == (AuditKind.DAILY, full.entries_checked)
    assert "user-00" not in checked(store)  # the rotation goes on
    clock.at += DAY
    replaced = False

    def replace_it() -> None:
        nonlocal replaced
        if store.ledgers_read and not replaced:
            replaced = True
            audit.store(clock.at, coverage, findings, len(findings))

    store.before = replace_it
    with pytest.raises(CommitRefused):
        audit.run(audit.clock.now())
    latest = audit.latest()
    assert latest is not None
    assert latest.kind is AuditKind.FULL

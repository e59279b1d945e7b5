"""Audits a part of all users each day, and stores what was covered and found in ``audits/latest``.

A run checks all balances against all ledgers in sums, then the users that the last run found violations of and those
whose deletion is overdue, the users with a ledger entry since the last run, and the next thirtieth of all users. It
stores its progress, so a run that was interrupted goes on where it stopped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from math import ceil

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.account_data import DELETIONS, due
from imagegen.documents.accounts import LEDGER, USERS, user_path
from imagegen.documents.audits import LATEST, audit_of, replace_audit, write_audit
from imagegen.documents.ledger_sums import ADDING, BEGINNING, TAKING, credits_of_entries
from imagegen.domain.account_data import DELETION_TIME_MAX
from imagegen.domain.audit import AuditKind, AuditRun, Balances, Coverage, Finding, Invariant
from imagegen.domain.ledger import EntryType
from imagegen.events import Event, SafeText, type_of
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, DatabaseUnavailable, Query, Snapshot, Sum, Where
from imagegen.services.credits.audit import Audit, TooLarge
from imagegen.services.unreadable import read_or_log

PAGE_SIZE = 300

ROTATION = 30
"""The number of daily runs in which all users are checked."""

FIRST_PERIOD = timedelta(days=1)
"""The age of the entries whose users the first run checks."""

COMMITTED_WITHIN = timedelta(minutes=5)
"""Longer than it takes to commit an entry, from the time that it records."""

RUN_SECONDS = 400.0
"""The time after which a run begins no further user. It leaves time for the last one before the timeout."""

USER_SECONDS = 60.0
"""The time to check one user."""

SAVE_SECONDS = 10.0
"""The time after which progress is stored."""

TOTAL_TRIES_MAX = 3


CHECKS_MAX = 3
"""The number of times that a user is checked whose account changes meanwhile."""


class _InUse(Exception):
    """A user's account has changed each time that it was checked."""


@dataclass
class _Progress:
    """A run in progress. ``checked`` are the users whom this process has checked."""

    database: Database
    clock: Clock
    document: Snapshot
    run: AuditRun
    began: float
    saved: float
    checked: set[str] = field(default_factory=set)

    @property
    def is_out_of_time(self) -> bool:
        return self.clock.monotonic() - self.began >= RUN_SECONDS

    def save_if_due(self) -> None:
        if self.clock.monotonic() - self.saved >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Store the progress. Raises CommitRefused if another process has stored an audit meanwhile."""
        self.run = replace(self.run, updated_at=self.clock.now())
        [version] = self.database.commit(write_audit(self.document, self.run))
        self.document = replace(self.document, version=version)
        self.saved = self.clock.monotonic()


@dataclass(frozen=True)
class DailyAudit:
    """Audits that are stored. A run that cannot read or store anything raises the error, and can be repeated."""

    database: Database
    clock: Clock
    audit: Audit

    def latest(self) -> AuditRun | None:
        """Return the latest audit, or None if there is none that can be read. Raises DatabaseUnavailable."""
        [document] = self.database.read(LATEST)
        return read_or_log(audit_of, document) if document.exists else None

    def store(self, started_at: datetime, coverage: Coverage, findings: Sequence[Finding], count: int) -> None:
        """Store a full audit, which found ``count`` violations. Raises CommitRefused and OutcomeUnknown.

        The rotation of the daily audits goes on where it is.
        """
        last, now = self.latest(), self.clock.now()
        run = AuditRun(
            AuditKind.FULL,
            started_at,
            updated_at=now,
            ended_at=now,
            entries_checked=started_at - COMMITTED_WITHIN,
            rotation_after=None if last is None else last.rotation_after,
        )
        run = replace(run.covered(coverage).found(findings), finding_count=count)
        self.database.commit(replace_audit(run))

    def run(self, scheduled_for: datetime) -> AuditRun:
        """Start a run, or continue one that has not ended, until it ends or ``RUN_SECONDS`` have passed.

        Return how far it came. A repeated call for the same time does not start another run. Raises
        DatabaseUnavailable, CommitRefused and OutcomeUnknown.
        """
        [document] = self.database.read(LATEST)
        last = read_or_log(audit_of, document) if document.exists else None
        if last is not None and last.ended_at is not None and last.scheduled_for == scheduled_for:
            return last
        began = self.clock.monotonic()
        goes_on = last is not None and last.ended_at is None
        run = last if last is not None and goes_on else self._started(last, scheduled_for)
        progress = _Progress(self.database, self.clock, document, run, began, began)
        if not goes_on:
            progress.save()
        self._check_totals(progress)
        steps = (self._check_suspects, self._check_changed_users, self._check_next_users)
        if all(step(progress) for step in steps):
            progress.run = replace(progress.run, ended_at=self.clock.now())
        progress.save()
        run = progress.run
        log = events.info if run.ended_at else events.warning
        log(
            Event.AUDIT_ENDED if run.ended_at else Event.AUDIT_NOT_FINISHED,
            users=run.users,
            entries=run.entries,
            requests=run.requests,
            findings=run.finding_count,
            leftOut=run.left_out_count,
        )
        return run

    def _started(self, last: AuditRun | None, scheduled_for: datetime) -> AuditRun:
        """Return a new run, which starts where ``last`` ended."""
        now = self.clock.now()
        since = now - FIRST_PERIOD if last is None else last.entries_checked
        [users] = self.database.totals(Sum(Query(USERS)))
        overdue = self.database.find(due(DELETIONS, now - DELETION_TIME_MAX, PAGE_SIZE))
        suspects = [*([] if last is None else _users_in(last.findings)), *(deletion.id for deletion in overdue)]
        return AuditRun(
            AuditKind.DAILY,
            started_at=now,
            updated_at=now,
            scheduled_for=scheduled_for,
            recheck=tuple(dict.fromkeys(suspects)),
            entries_since=since,
            entries_until=max(since, now - COMMITTED_WITHIN),
            entries_checked=since,
            rotation_after=None if last is None else last.rotation_after,
            rotation_left=ceil(users.count / ROTATION),
        )

    def _check_totals(self, progress: _Progress) -> None:
        """Compare the sum of all balances with the sum of all ledger entries, unless that has failed too often."""
        run = progress.run
        if run.balances is not None or run.total_tries >= TOTAL_TRIES_MAX:
            return
        progress.run = replace(run, total_tries=run.total_tries + 1)
        progress.save()  # so that the other checks go on although this one always fails
        period = (Where("timestamp", ">=", BEGINNING), Where("timestamp", "<", self.clock.now() + timedelta(days=1)))
        found = self.database.totals(
            *(Sum(Query(USERS), (f"credits.{bucket}",)) for bucket in ("trial", "paid")),
            *(credits_of_entries(types, *period) for types in (ADDING, TAKING)),
        )
        trial, paid, added, taken = (credits for totals in found for credits in totals.sums)
        balances = Balances(trial + paid, added - taken)
        progress.run = replace(progress.run, balances=balances)
        if balances.balances != balances.ledgers:
            message = f"All balances are {balances.balances} credits, but all ledgers add up to {balances.ledgers}."
            self._report(progress, [Finding(Invariant.TOTAL, message, (USERS, LEDGER))])
        progress.save()

    def _check_suspects(self, progress: _Progress) -> bool:
        """Check the users with earlier findings or overdue deletions. Return False if there was no time for all."""
        while progress.run.recheck:
            if progress.is_out_of_time:
                return False
            user_id, *others = progress.run.recheck
            self._check_user(progress, *self.database.read(user_path(user_id)))
            progress.run = replace(progress.run, recheck=tuple(others))
            progress.save_if_due()
        return True

    def _check_changed_users(self, progress: _Progress) -> bool:
        """Check the users with entries in the period. Return False if there was no time for all of them."""
        run = progress.run
        if run.entries_until is None:
            return True
        for entry, number in self._entries(run.entries_checked, run.entries_number, run.entries_until):
            user_id = _owner(entry)
            if user_id is not None and user_id not in progress.checked:
                if progress.is_out_of_time:
                    return False
                self._check_user(progress, *self.database.read(user_path(user_id)))
            at = entry.data["timestamp"]
            progress.run = replace(progress.run, entries_checked=at, entries_number=number + 1)
            progress.save_if_due()
        progress.run = replace(progress.run, entries_checked=run.entries_until, entries_number=0)
        return True

    def _entries(self, since: datetime, number: int, until: datetime) -> Iterator[tuple[Snapshot, int]]:
        """Yield the ledger entries of all users in a period, in the order of their times, after the first ``number``.

        Yield with each entry the number of entries before it that have the same time.
        """
        types = Where("type", "in", tuple(type.value for type in EntryType))
        while True:
            page = self.database.find(
                Query(
                    LEDGER,
                    (types, Where("timestamp", ">=", since), Where("timestamp", "<", until)),
                    order_by="timestamp",
                    ascending=True,
                    limit=PAGE_SIZE,
                    offset=number,
                    collection_group=True,
                )
            )
            for entry in page:
                at = entry.data["timestamp"]
                number = number if at == since else 0
                yield entry, number
                since, number = at, number + 1
            if len(page) < PAGE_SIZE:
                return

    def _check_next_users(self, progress: _Progress) -> bool:
        """Check the next users in the order of their ids. Return False if there was no time for all of them."""
        while (left := progress.run.rotation_left) > 0:
            after, limit = progress.run.rotation_after, min(left, PAGE_SIZE)
            page = self.database.find(
                Query(
                    USERS,
                    order_by="__name__",
                    ascending=True,
                    start_after=None if after is None else (after,),
                    limit=limit,
                )
            )
            for user in page:
                if progress.is_out_of_time:
                    return False
                if user.id not in progress.checked:
                    self._check_user(progress, user)
                left -= 1
                progress.run = replace(progress.run, rotation_after=user.id, rotation_left=left)
                progress.save_if_due()
            if len(page) < limit:  # the last user was checked, so it goes on with the first one
                progress.run = replace(progress.run, rotation_after=None, rotation_left=0 if after is None else left)
        return True

    def _check_user(self, progress: _Progress, user: Snapshot) -> None:
        """Check one user. A user who cannot be checked is recorded, and does not stop the others."""
        progress.checked.add(user.id)
        if not user.exists:  # as in a full audit, which reads the users that exist
            return
        coverage = Coverage()
        try:
            findings = self._findings_of(user, coverage)
        except (TooLarge, _InUse, DatabaseUnavailable) as error:
            progress.run = progress.run.without(user.id)
            events.warning(Event.AUDIT_USER_LEFT_OUT, path=SafeText(user.path), error=type_of(error))
            progress.save()  # raises if the database is unavailable, so that the run is repeated from where it was
            return
        except Exception as error:  # noqa: BLE001 - a finding, and the others go on
            events.exception(Event.AUDIT_USER_LEFT_OUT, path=SafeText(user.path), error=type_of(error))
            findings = [Finding(Invariant.READABLE, "The user's documents could not be checked.", (user.path,))]
        progress.run = progress.run.covered(coverage)
        self._report(progress, [replace(finding, user_id=user.id) for finding in findings])

    def _findings_of(self, user: Snapshot, coverage: Coverage) -> list[Finding]:
        """Return the violations of one user. Raises _InUse if the account changes each time that it is checked.

        Every change of a ledger also changes the user's document. So if that is the same before and after the check,
        a finding does not come from a change in between.
        """
        until = self.clock.monotonic() + USER_SECONDS
        for _ in range(CHECKS_MAX):
            counted = Coverage()
            findings = list(self.audit.findings_of(user, counted, until))
            version = user.version
            if findings:
                [user] = self.database.read(user.path)
            if user.version == version:
                coverage.add(counted)
                return findings
        raise _InUse

    def _report(self, progress: _Progress, findings: Sequence[Finding]) -> None:
        """Add findings to the run, and log those that its record keeps."""
        kept = len(progress.run.findings)
        progress.run = progress.run.found(findings)
        for finding in progress.run.findings[kept:]:
            events.error(
                Event.AUDIT_FINDING,
                rule=finding.invariant.name,
                userId=finding.user_id,
                path=SafeText(finding.documents[0]),
            )


def _users_in(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.user_id for finding in findings if finding.user_id is not None))


def _owner(entry: Snapshot) -> str | None:
    """Return the user of a ledger entry, or None if the entry is not in a user's ledger."""
    match entry.path.split("/"):
        case [collection, user_id, _, _] if collection == USERS:
            return user_id
    return None

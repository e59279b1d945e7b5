"""Tests of weekly report runs that stop early, are repeated, run concurrently or find later changes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.cloud import firestore

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend
from imagegen.documents.generations import TALLIED
from imagegen.domain.weeks import Week
from imagegen.ports.database import Data, DatabaseUnavailable, Sum, Totals
from imagegen.reports.documents import report_data
from imagegen.reports.model import Alert
from imagegen.reports.weekly import WeekNotOver
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.faults import FaultyDatabase, Lost
from tests.support.weeks import MONDAY, make, report
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

WEEK = Week.of(MONDAY)


@dataclass
class FailingDatabase(FaultyDatabase):
    """A database that becomes unavailable after ``totals_left`` calls of ``totals``."""

    totals_left: float = float("inf")
    days_counted: set[str] = field(default_factory=set)
    """The days whose requests were tallied."""

    def totals(self, *questions: Sum) -> list[Totals]:
        self.totals_left -= 1
        if self.totals_left < 0:
            raise DatabaseUnavailable("gone")
        tallied = [sum.query.where for sum in questions if sum.fields == TALLIED]
        self.days_counted |= {day for where in tallied for day in where[0].value}
        return super().totals(*questions)


@dataclass
class RecordingChannel:
    """A channel that records the alerts sent to it."""

    sent: list[tuple[Week, list[str]]] = field(default_factory=list)

    def send(self, week: Week, alerts: Sequence[Alert]) -> None:
        self.sent.append((week, [alert.id for alert in alerts]))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MONDAY)


@pytest.fixture
def faulty(database: FirestoreDatabase) -> FailingDatabase:
    return FailingDatabase(database)


@pytest.fixture
def channel() -> RecordingChannel:
    return RecordingChannel()


@pytest.fixture
def listeners(channel: RecordingChannel) -> Sequence[RecordingChannel]:
    return [channel]


@pytest.fixture
def week_with_requests(api: Api, clock: ManualClock, add_user: AddUser) -> None:
    """Create requests on each day of ``WEEK``, and set the clock to the time of its report."""
    add_user(paid=600, at=MONDAY - timedelta(days=1))
    for day in range(7):
        make(api, clock, MONDAY + timedelta(days=day), day + 1)
    clock.at = WEEK.end + timedelta(hours=6)


def add_late_users(add_user: AddUser, count: int) -> None:
    """Add users for late requests, because the times of one user must not go back."""
    for number in range(count):
        add_user(f"late-{number}", paid=10, at=MONDAY - timedelta(days=1))


def without_time(data: Data) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "generatedAt"}


@pytest.mark.usefixtures("week_with_requests")
def test_a_run_resumes_where_the_last_run_stopped(
    backend: Backend, client: ObservedClient, faulty: FailingDatabase, clock: ManualClock
) -> None:
    client.document("reportProgress/latest").set({"savedAt": clock.at, "days": {}})  # of an earlier version
    faulty.totals_left = 3
    with pytest.raises(DatabaseUnavailable):
        backend.reports.run(WEEK)
    assert (backend.reports.get(WEEK), faulty.days_counted) == (None, {*WEEK.days})
    faulty.totals_left, faulty.days_counted = float("inf"), set()
    resumed = backend.reports.run(WEEK)
    assert resumed.total.requests == 28
    assert without_time(report_data(backend.reports.run(WEEK))) == without_time(report_data(resumed))
    assert faulty.days_counted == set()


@pytest.mark.usefixtures("week_with_requests")
@pytest.mark.parametrize("daily_run", ["done", "failed"])
def test_a_report_has_the_same_numbers_with_and_without_daily_runs(
    api: Api, backend: Backend, client: ObservedClient, faulty: FailingDatabase, clock: ManualClock, daily_run: str
) -> None:
    clock.at = WEEK.end + timedelta(hours=5)
    faulty.down = daily_run == "failed"
    answer = api.http.post("/countDailyUsage", headers={"X-CloudScheduler-ScheduleTime": clock.at.isoformat()})
    assert answer.status_code == (500 if faulty.down else 200)
    assert faulty.down or answer.get_json() == {"daysCounted": 8}
    faulty.down, faulty.days_counted = False, set()
    clock.at = WEEK.end + timedelta(hours=6)
    report = backend.reports.write(clock.at)
    assert [day.requests for day in report.days] == [1, 2, 3, 4, 5, 6, 7]
    assert faulty.days_counted == (set() if daily_run == "done" else {*WEEK.days})
    stored = [document.id for document in client.collection("dailyUsage").stream()]
    assert stored[-7:] == WEEK.days


@pytest.mark.usefixtures("week_with_requests")
def test_a_report_is_written_even_if_its_days_cannot_be_stored(backend: Backend, faulty: FailingDatabase) -> None:
    faulty.faults = [Lost.BEFORE]
    assert backend.reports.run(WEEK).total.requests == 28


@pytest.mark.parametrize("lost", Lost)
@pytest.mark.usefixtures("week_with_requests")
def test_a_report_whose_commit_has_an_unknown_outcome_is_written_once(
    backend: Backend, client: ObservedClient, faulty: FailingDatabase, lost: Lost
) -> None:
    faulty.faults = [None, lost]
    written = backend.reports.run(WEEK)
    assert report(client) == report_data(written)
    assert report(client)["revisions"] == []


@pytest.mark.usefixtures("week_with_requests")
def test_the_first_of_two_concurrent_runs_to_finish_is_stored(
    api: Api, backend: Backend, client: ObservedClient, faulty: FailingDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    """The slower run counted before a late request. The faster run has counted the late request."""
    add_late_users(add_user, 2)
    first = backend.reports.run(WEEK)

    def overtake() -> None:
        faulty.faults.clear()
        make(api, clock, WEEK.end - timedelta(seconds=1), userId="late-0")
        clock.at = WEEK.end + timedelta(hours=7)
        backend.reports.run(WEEK)

    make(api, clock, WEEK.end - timedelta(seconds=1), userId="late-1")
    clock.at = WEEK.end + timedelta(hours=6)
    faulty.faults = [None, overtake]
    slower = backend.reports.run(WEEK)
    assert slower.generated_at == WEEK.end + timedelta(hours=7)
    assert slower.total.requests == first.total.requests + 2 == report(client)["total"]["requests"]
    assert len(report(client)["revisions"]) == 1


@pytest.mark.usefixtures("week_with_requests")
def test_a_rerun_records_changes_as_revisions(
    api: Api, backend: Backend, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_late_users(add_user, 12)
    backend.reports.run(WEEK)
    client.document("weeklyReports/2026-W46").update({"note": "an operator's"})
    for number in range(12):
        make(api, clock, MONDAY, size="512x512", userId=f"late-{number}")
        clock.at = WEEK.end + timedelta(hours=7 + number)
        backend.reports.run(WEEK)
    written = report(client)
    assert written["note"] == "an operator's"
    assert len(written["revisions"]) == 10
    newest = written["revisions"][0]
    assert newest["at"] == WEEK.end + timedelta(hours=18) == written["generatedAt"]
    assert newest["figures"]["total.requests"] == {"before": 39, "after": 40}
    assert newest["figures"]["total.creditsDeducted"] == {"before": 28 * 3 + 11, "after": 28 * 3 + 12}
    assert not any(name.startswith("reconciliation") for name in newest["figures"])
    assert set(newest["parts"]) == {
        *("days", "models", "styles", "colors", "sizes", "topUsers", "popularStyles"),
    }
    backend.reports.run(WEEK)
    assert report(client)["revisions"] == written["revisions"]


def test_the_next_run_corrects_a_report_after_a_late_refund(
    api: Api, backend: Backend, client: ObservedClient, faulty: FailingDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=20, at=MONDAY - timedelta(days=1))
    make(api, clock, MONDAY, 2)
    faulty.faults = [None, *[Lost.BEFORE] * 500]
    make(api, clock, WEEK.end - timedelta(minutes=1), idempotencyKey="key")
    faulty.faults.clear()
    backend.reports.write(WEEK.end)
    assert report(client)["total"]["failed"] == 0

    clock.at = WEEK.end + timedelta(hours=1)
    assert backend.sweeper.sweep() == 1
    clock.at = WEEK.end + timedelta(weeks=1, hours=6)
    faulty.days_counted = set()
    backend.reports.write(clock.at)
    assert faulty.days_counted == {WEEK.days[6], *(WEEK + 1).days}
    corrected, following = report(client), report(client, "2026-W47")
    assert (corrected["total"]["failed"], corrected["total"]["creditsRefunded"]) == (1, 3)
    assert corrected["revisions"][0]["figures"]["total.failed"] == {"before": 0, "after": 1}
    assert corrected["reconciliation"]["closing"] == following["reconciliation"]["opening"]
    assert following["reconciliation"]["difference"] == 0

    clock.at += timedelta(weeks=1)
    faulty.days_counted = set()
    backend.reports.write(clock.at)
    assert faulty.days_counted == {*(WEEK + 2).days}  # the week before had no unfinished requests


def lose_an_entry_of_the_reported_week(client: ObservedClient) -> Callable[[], object]:
    [entry] = _deductions(client, since=WEEK.start, until=WEEK.end)[:1]
    entry.reference.delete()
    return lambda: entry.reference.set(entry.to_dict())


def lose_an_entry_of_this_week(client: ObservedClient) -> Callable[[], object]:
    [entry] = _deductions(client, since=WEEK.end, until=(WEEK + 1).end)
    entry.reference.delete()
    return lambda: entry.reference.set(entry.to_dict())


def take_credits_from_a_balance(client: ObservedClient) -> Callable[[], object]:
    user = client.document("users/user")
    user.update({"credits.paid": firestore.Increment(-3)})
    return lambda: user.update({"credits.paid": firestore.Increment(3)})


def _deductions(client: ObservedClient, since: datetime, until: datetime) -> list[Any]:
    entries = client.collection("users/user/creditTransactions").get()
    return [entry for entry in entries if entry.get("type") == "deduction" and since <= entry.get("timestamp") < until]


@pytest.mark.usefixtures("week_with_requests")
@pytest.mark.parametrize(
    "lose", [lose_an_entry_of_the_reported_week, lose_an_entry_of_this_week, take_credits_from_a_balance]
)
def test_a_late_loss_shows_in_the_week_in_which_it_happened(
    api: Api,
    backend: Backend,
    client: ObservedClient,
    clock: ManualClock,
    lose: Callable[[ObservedClient], Callable[[], object]],
) -> None:
    backend.reports.run(WEEK)
    reported = report(client)["reconciliation"]
    make(api, clock, WEEK.end + timedelta(days=1))
    restore = lose(client)
    clock.at = WEEK.end + timedelta(days=2)
    assert backend.reports.run(WEEK).alerts == []
    assert report(client)["reconciliation"] == reported

    clock.at = (WEEK + 1).end + timedelta(hours=6)
    [alert] = backend.reports.write(clock.at).alerts
    assert (alert.id, alert.credits) == ("mismatch", 3)
    assert report(client, str(WEEK + 1))["reconciliation"]["difference"] == -3
    assert report(client)["reconciliation"] == reported
    clock.at = (WEEK + 2).end + timedelta(hours=6)
    assert backend.reports.write(clock.at).alerts == []  # only once

    restore()  # shows as the opposite difference
    clock.at = (WEEK + 3).end + timedelta(hours=6)
    backend.reports.write(clock.at)
    assert report(client, str(WEEK + 3))["reconciliation"]["difference"] == 3


@pytest.mark.usefixtures("week_with_requests")
def test_an_entry_that_is_committed_after_the_report_of_its_week_balances(
    api: Api, backend: Backend, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_late_users(add_user, 1)
    backend.reports.run(WEEK)
    make(api, clock, WEEK.end - timedelta(seconds=1), userId="late-0")
    clock.at = (WEEK + 1).end
    assert backend.reports.run(WEEK + 1).alerts == []
    found = report(client, str(WEEK + 1))["reconciliation"]
    assert (found["changedEarlier"], found["difference"]) == (-3, 0)


@pytest.mark.usefixtures("week_with_requests")
def test_a_report_of_an_older_version_opens_the_next_week(
    api: Api, backend: Backend, client: ObservedClient, clock: ManualClock
) -> None:
    backend.reports.run(WEEK)
    stored = client.document(f"weeklyReports/{WEEK}")
    old = {**stored.get().get("reconciliation")}
    del old["ledger"], old["changedEarlier"]
    stored.update({"reconciliation": old})
    clock.at = (WEEK + 1).end
    found = backend.reports.run(WEEK + 1).reconciliation
    assert found is not None
    assert (found.opening, found.difference) == (old["closing"], 0)


def test_a_week_that_is_not_over_cannot_be_reported(backend: Backend, clock: ManualClock) -> None:
    clock.at = WEEK.end - timedelta(seconds=1)
    with pytest.raises(WeekNotOver, match="2026-W46"):
        backend.reports.run(WEEK)
    clock.at = WEEK.end
    assert backend.reports.run(WEEK).week == WEEK


def test_reports_are_listed_newest_first(backend: Backend, clock: ManualClock) -> None:
    clock.at = WEEK.end + timedelta(weeks=10)
    for number in (0, 2, 1, 8):
        backend.reports.run(WEEK + number)

    def listed(limit: int, before: Week | None = None) -> list[str]:
        reports = backend.reports.list(limit, None if before is None else str(before))
        return [str(report.week) for report in reports.items]

    assert listed(10) == ["2027-W01", "2026-W48", "2026-W47", "2026-W46"]
    assert listed(2) == ["2027-W01", "2026-W48"]
    assert listed(2, before=WEEK + 2) == ["2026-W47", "2026-W46"]
    assert backend.reports.get(WEEK + 3) is None


@pytest.mark.usefixtures("week_with_requests")
def test_a_stored_report_is_read_back_unchanged(
    api: Api, backend: Backend, client: ObservedClient, clock: ManualClock
) -> None:
    for number in range(1, 5):
        make(api, clock, MONDAY + timedelta(weeks=number), 20 if number < 4 else 45)
        clock.at = (WEEK + number).end
        backend.reports.run(WEEK + number - 1)
        backend.reports.run(WEEK + number)
    make(api, clock, MONDAY + timedelta(weeks=4))
    client.document("users/user").update({"credits.paid": 1_000})
    client.document("weeklyReports/2026-W50").update({"reconciliation": None})
    clock.at = (WEEK + 4).end
    written = backend.reports.run(WEEK + 4)
    assert written.alerts[0].id == "mismatch"
    for part in ("findings", "revisions", "forecast", "popular_styles", "reconciliation"):
        assert getattr(written, part)
    read = backend.reports.get(WEEK + 4)
    assert read is not None
    assert report_data(read) == report_data(written) == report(client, "2026-W50")
    balance = 600 - 3 * (28 + 3 * 20 + 45 + 1)
    client.document("users/user").update({"credits.paid": balance})


def test_a_report_of_an_older_version_is_read_with_defaults(backend: Backend, client: ObservedClient) -> None:
    old = report_data(replace(backend.reports.write(WEEK.end), revisions=()))
    kept = ("week", "generatedAt", "total", "days", "models", "styles", "colors", "sizes", "topUsers", "anomalies")
    for option in (option for kind in ("models", "styles", "colors", "sizes") for option in old[kind]):
        del option["byDay"]
    client.document("weeklyReports/2026-W46").set(
        {**{name: old[name] for name in kept}, "reconciliation": {"balances": 1, "ledgers": 1, "difference": 0}}
    )
    read = backend.reports.get(WEEK)
    assert read is not None
    assert (read.total.requests, read.reconciliation, read.forecast) == (0, None, None)
    backend.reports.write(WEEK.end + timedelta(weeks=1))


# Alerts


@pytest.mark.usefixtures("week_with_requests")
def test_an_alert_is_sent_once_and_again_if_it_reappears(
    backend: Backend,
    client: ObservedClient,
    channel: RecordingChannel,
    capfd: pytest.CaptureFixture[str],
    change_balance: Callable[[int], None],
) -> None:

    def reconcile_again() -> None:
        client.document(f"weeklyReports/{WEEK}").update({"reconciliation": None})  # as an operator can
        backend.reports.run(WEEK)

    backend.reports.run(WEEK)
    assert channel.sent == []
    change_balance(5)
    reconcile_again()
    backend.reports.run(WEEK)
    assert channel.sent == [(WEEK, ["mismatch"])]
    change_balance(-5)
    reconcile_again()
    change_balance(5)
    reconcile_again()
    assert channel.sent == [(WEEK, ["mismatch"])] * 2
    change_balance(-5)


@pytest.mark.usefixtures("week_with_requests")
def test_alerts_are_logged_as_one_structured_warning(
    api: Api, capfd: pytest.CaptureFixture[str], change_balance: Callable[[int], None]
) -> None:
    change_balance(5)
    scheduled_at = {"X-CloudScheduler-ScheduleTime": WEEK.end.isoformat()}
    assert api.http.post("/scheduleWeeklyReport", headers=scheduled_at).status_code == 200
    lines = [line for line in "".join(capfd.readouterr()).splitlines() if "WEEKLY_REPORT_ANOMALY" in line]
    [logged] = [json.loads(line) for line in lines]
    assert (logged["severity"], logged["event"], logged["week"]) == ("WARNING", "WEEKLY_REPORT_ANOMALY", "2026-W46")
    [alert] = logged["alerts"]
    assert (alert["id"], alert["credits"]) == ("mismatch", 5)
    assert alert["message"] in logged["message"]
    change_balance(-5)


@pytest.fixture
def change_balance(client: ObservedClient) -> Callable[[int], None]:
    """Return a function that changes a balance without a ledger entry."""

    def change(credits: int) -> None:
        user = client.document("users/user")
        user.update({"credits.paid": user.get().get("credits.paid") + credits})

    return change

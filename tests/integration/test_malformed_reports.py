"""Tests that a stored report, day, user or request with wrong values stops neither the weekly report nor a list.

The backend runs on an in-memory Firestore, because the tests need many documents.
"""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from imagegen.documents.accounts import usage_data
from imagegen.documents.generations import REQUESTS
from imagegen.domain.account import Usage
from imagegen.domain.ledger import Credits
from imagegen.domain.weeks import Week
from imagegen.ports.database import Create, Data, Put
from imagegen.reports.anomalies import Findings
from imagegen.reports.documents import report_data, report_path
from imagegen.reports.model import COUNTER_MAX, Tally
from imagegen.reports.usage import DAYS_LOOKED_BACK
from imagegen.services.credits.accounts import new_account
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.orders import order
from tests.support.reports import sample_report
from tests.support.stored import ThreadSafeStore
from tests.support.times import NOON
from tools.fakes import ManualClock
from tools.seed import history

WEEK = Week.of(NOON) - 1
REQUESTS_A_DAY = 25
REPORTS_CHANGED, DAYS_CHANGED = 200, 100
MISSING = object()
NUMBERS = (-1, 2**62, 1.5, float("nan"), float("inf"), True)
WRONG: tuple[object, ...] = (MISSING, None, "text", [], {}, NOON, *NUMBERS)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(WEEK.start + timedelta(hours=1))


@pytest.fixture
def database() -> ThreadSafeStore:
    store = ThreadSafeStore()
    store.commit(*(Put(path, data) for path, data in history.documents()))
    return store


@pytest.fixture
def reports(api: Api, accounts: Accounts, database: ThreadSafeStore, clock: ManualClock, backend: Backend) -> Backend:
    """Return a backend with requests of two users in ``WEEK``, which has just ended, and 12 earlier reports."""
    assert accounts
    for user_id in ("user", "other"):
        _, writes = new_account(user_id, {}, Credits(paid=100), clock.now())
        database.commit(*writes)
        api.result("createGenerationRequest", order(userId=user_id))
    first = next(iter(database.scan(REQUESTS))).data
    for day in WEEK.days:
        copies = range(REQUESTS_A_DAY - (2 if day == WEEK.days[0] else 0))
        database.commit(*(Create(f"{REQUESTS}/{day}-{number:03}", {**first, "day": day}) for number in copies))
    for back in range(1, 13):
        database.commit(Put(report_path(WEEK - back), intact(WEEK - back)))
    clock.at = WEEK.end + timedelta(hours=6)
    return backend


def intact(week: Week) -> Data:
    """Return a report of the week that fills every section."""
    report = sample_report()
    moved = [str(day) for day in week.days]
    anomalies = [replace(found, day=moved[2], also=[moved[3]]) for found in report.findings.anomalies]
    bands = [replace(band, day=day) for band, day in zip(report.findings.bands, moved, strict=True)]
    findings = Findings(anomalies, bands, 24, report.findings.not_enough_history)
    return report_data(replace(report, week=week, findings=findings))


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a document, of lists only those in the first and the last item."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list) and value:
        for number in {0, len(value) - 1}:
            yield from places(value[number], (*path, number))


def changed(data: Data, path: tuple[Any, ...], value: object) -> dict[str, Any]:
    """Return a copy of the document with another value at the path, or without it."""
    document: Any = copy.deepcopy(data)
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    if value is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return dict(document)


def wrong_values(data: Data, count: int) -> list[tuple[tuple[Any, ...], object]]:
    """Return places of the document and wrong values for them, the same ones in each run."""
    every = [(path, value) for path in places(data) for value in WRONG]
    for path in places(data):
        inner: Any = data
        for part in path:
            inner = inner[part]
        if isinstance(inner, list) and inner:
            every += [(path, inner[:-1]), (path, [*inner, inner[0]])]
    # The in-memory Firestore cannot order the list by weeks of several types.
    every = [(path, value) for path, value in every if path != ("week",) or value is MISSING or value == "text"]
    return random.Random(9).sample(every, min(count, len(every)))


def listed(api: Api) -> list[str]:
    answer = api.call("listWeeklyReports", {"pageSize": 20}, Authorization="Bearer admin")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    found = json.loads(answer.get_data(as_text=True), parse_constant=pytest.fail)["result"]["reports"]
    return [report["week"] for report in found]


def read(backend: Backend, week: Week = WEEK) -> Tally:
    """Return the total of a stored report, which must be readable."""
    report = backend.reports.get(week)
    assert report is not None
    return report.total


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return path and field of each document that was logged as unreadable."""
    found = [vars(record)["fields"] for record in caplog.records if record.message == "DOCUMENT_UNREADABLE"]
    caplog.clear()
    return [(str(fields["path"]), str(fields["field"])) for fields in found]


# Reports


def test_report_with_any_wrong_value_stops_neither_the_next_reports_nor_the_list(
    api: Api, reports: Backend, database: ThreadSafeStore
) -> None:
    reports.reports.run(WEEK)
    weeks = [WEEK - back for back in range(2, 13)]  # the report of the week before stays intact
    changes = wrong_values(intact(WEEK), REPORTS_CHANGED)
    for first in range(0, len(changes), len(weeks)):
        tried = dict(zip(weeks, changes[first:], strict=False))
        for week, (path, value) in tried.items():
            database.commit(Put(report_path(week), changed(intact(week), path, value)))
        reports.reports.run(WEEK)
        assert {str(WEEK), str(WEEK - 1)} <= {*listed(api)}, tried
        reports.reports.run(weeks[0])
        assert read(reports, weeks[0]) == Tally(), tried
    assert read(reports).requests == 7 * REQUESTS_A_DAY


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("week",), str(WEEK - 9), "week"),
        (("days",), [], "days"),
        (("days", 0, "requests"), -1, "days.0.requests"),
        (("days", 0, "creditsDeducted"), COUNTER_MAX + 1, "days.0.creditsDeducted"),
        (("days", 0, "completed"), 61, "days.0.requests"),
        (("models", 0, "byDay", "failed"), [0] * 6, "models.0.byDay.failed"),
        (("models", 0, "byDay", "failed", 6), -1, "models.0.byDay.failed"),
        (("paidFrom", "trial"), None, "paidFrom.trial"),
        (("reconciliation", "booked", "deduction"), None, "reconciliation.booked.deduction"),
        (("reconciliation", "booked", "gift"), 1, "reconciliation.booked.gift"),
        (("reconciliation", "closing"), 2**62, "reconciliation.closing"),
        (("anomalies", 0, "pValue"), None, "anomalies.0.pValue"),
        (("anomalies", 0, "day"), str(WEEK.days[0]), "anomalies.0.day"),
        (("anomalies", 0, "also", 0), "text", "anomalies.0.also"),
        (("expected",), [], None),
        (("expected", 0, "low"), float("inf"), "expected.0.low"),
        (("revisions", 0, "parts"), "days", "revisions.0.parts"),
        (("revisions", 0, "figures", "total.failed", "before"), "38", "revisions.0.figures.total.failed.before"),
        (("users", "more"), 1, None),
    ],
    ids=str,
)
def test_report_with_a_value_that_no_report_has_is_left_out_until_the_week_runs_again(
    api: Api, reports: Backend, database: ThreadSafeStore, caplog: pytest.LogCaptureFixture,
    path: tuple[Any, ...], value: object, field: str | None,
) -> None:  # fmt: skip
    document = report_path(WEEK - 2)
    database.commit(Put(document, changed(intact(WEEK - 2), path, value)))
    assert (str(WEEK - 2) in listed(api)) == (field is None)
    assert logged(caplog) == ([(document, field)] if field else [])
    reports.reports.run(WEEK - 2)
    assert str(WEEK - 2) in listed(api)


def test_rerun_removes_a_field_that_cannot_be_read_and_that_the_new_report_lacks(
    reports: Backend, database: ThreadSafeStore
) -> None:
    database.edit(report_path(WEEK - 2), sales="none")  # payments are off
    reports.reports.run(WEEK - 2)
    assert read(reports, WEEK - 2) == Tally()


def test_rerun_lists_a_figure_that_was_not_a_number_as_missing(reports: Backend, database: ThreadSafeStore) -> None:
    first = reports.reports.run(WEEK)
    database.edit(report_path(WEEK), total={**report_data(first)["total"], "failed": "many", "canceled": 7})
    assert reports.reports.run(WEEK).revisions[0].figures == {"total.failed": (None, 0), "total.canceled": (7, 0)}
    assert read(reports) == first.total


# Days


def test_day_with_any_wrong_value_stops_no_report(reports: Backend, database: ThreadSafeStore) -> None:
    first = reports.reports.run(WEEK)
    stored = database.read(*(f"dailyUsage/{day}" for day in WEEK.days))
    changes = wrong_values(stored[0].data, DAYS_CHANGED)
    for number in range(0, len(changes), len(stored)):
        tried = changes[number : number + len(stored)]
        for document, (path, value) in zip(stored, tried, strict=False):
            database.commit(Put(document.path, changed(document.data, path, value)))
        report = reports.reports.run(WEEK)
        assert (report.total.requests, read(reports)) == (first.total.requests, report.total), tried


@pytest.mark.parametrize(
    ("counters", "field"),
    [
        ({"requests": -5}, "models.0.requests"),
        ({"requests": REQUESTS_A_DAY + 1}, "total"),  # more than the day has
        ({"creditsRefunded": COUNTER_MAX + 1}, "models.0.creditsRefunded"),
        ({"failed": 26}, "models.0.requests"),
    ],
    ids=str,
)
def test_day_with_impossible_counters_is_counted_again(
    reports: Backend, database: ThreadSafeStore, caplog: pytest.LogCaptureFixture,
    counters: dict[str, int], field: str,
) -> None:  # fmt: skip
    first = reports.reports.run(WEEK)
    path = f"dailyUsage/{WEEK.days[2]}"
    stored = database.read(path)[0].data
    database.edit(path, models=[{**stored["models"][0], **counters}, *stored["models"][1:]])
    again = reports.reports.run(WEEK)
    assert (again.days, again.options) == (first.days, first.options)
    assert logged(caplog) == [(path, field)]
    assert database.read(path)[0].data == stored
    assert reports.usage.count_days_before(WEEK.end) == DAYS_LOOKED_BACK


@pytest.mark.parametrize(
    ("cost", "requests"),
    [(-(2**40), 24), (2**40, 24), (2**62, 24), (-1, 25), (2.5, 25), ("3", 25), (None, 25)],
    ids=str,
)
def test_request_with_a_wrong_cost_stops_no_report(
    reports: Backend, database: ThreadSafeStore, cost: object, requests: int
) -> None:
    database.edit(f"{REQUESTS}/{WEEK.days[2]}-003", cost=cost)
    report = reports.reports.run(WEEK)
    assert read(reports) == report.total
    assert [day.requests for day in report.days] == [25, 25, requests, 25, 25, 25, 25]


# Users


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (Usage(2**62, 2**62, 2**62), Usage(1, 0, 1)),
        (Usage(5, 0, 2**62), Usage(5, 0, 2**62)),
        (Usage(1_000, 10_000, 5), Usage(10_000, 10_000, 1)),
    ],
    ids=str,
)
def test_user_with_impossible_counters_is_left_out(
    api: Api, reports: Backend, database: ThreadSafeStore, caplog: pytest.LogCaptureFixture, before: Usage, now: Usage
) -> None:
    weeks = [WEEK - back for back in range(1, 6)]
    usage = {**{str(week): usage_data(before) for week in weeks}, str(WEEK): usage_data(now)}
    database.edit("users/other", usage=usage)
    report = reports.reports.run(WEEK)
    assert [user_id for user_id, _ in report.top_users] == ["user"]
    assert {path for path, _ in logged(caplog)} == {"users/other"}
    api.result("createGenerationRequest", order(userId="other"))  # only the report refuses the counters
    assert read(reports) == report.total

"""Tests of the weekly report over HTTP. The expected counts come from the plan of the sample data."""

from collections.abc import Iterable
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pytest

from imagegen.domain.catalog import Kind
from imagegen.domain.weeks import Week
from tests.support.live import Live, until
from tools.seed import history
from tools.seed.history import PlannedRequest

REPORTED = history.weeks()[-1]
PLAN = [planned for planned in history.plan() if Week.of(planned.at) == REPORTED]


@pytest.fixture(scope="module")
def report(live: Live) -> dict[str, Any]:
    """Run the report as Cloud Scheduler does, and return the stored report."""
    answer = trigger(live)
    assert answer == {"reportStatus": "success"}
    return stored(live, REPORTED)


def trigger(live: Live) -> object:
    response = live.send(
        "scheduleWeeklyReport-0", headers={"X-CloudScheduler-ScheduleTime": f"{REPORTED.end:%Y-%m-%dT06:00:00Z}"}
    )
    assert response.status_code == 200, response.text
    return response.json()


def stored(live: Live, week: Week) -> dict[str, Any]:
    data = live.operator.document(f"weeklyReports/{week}").get().to_dict()
    assert data is not None, f"no report of {week}"
    return data


def counters_of(planned: Iterable[PlannedRequest]) -> dict[str, Any]:
    """Return the counters that a report must have for these requests."""
    costs = [(request.order.cost, request.fails) for request in planned]
    failed = sum(fails for _, fails in costs)
    deducted = sum(cost for cost, _ in costs)
    refunded = sum(cost for cost, fails in costs if fails)
    return {
        "requests": len(costs),
        "completed": len(costs) - failed,
        "failed": failed,
        "canceled": 0,
        "refused": 0,
        "successRate": (len(costs) - failed) / len(costs) if costs else None,
        "creditsDeducted": deducted,
        "creditsRefunded": refunded,
        "creditsNet": deducted - refunded,
        "refundShare": refunded / deducted if deducted else None,
    }


def anomalies_of(report: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the report's anomalies by scope, name and kind."""
    return {(anomaly["scope"], anomaly["name"], anomaly["kind"]): anomaly for anomaly in report["anomalies"]}


def test_the_total_agrees_with_the_plan(report: dict[str, Any]) -> None:
    assert (report["week"], report["start"], report["end"]) == (str(REPORTED), REPORTED.start, REPORTED.end)
    assert report["total"] == counters_of(PLAN)
    assert report["total"]["requests"] > 300
    assert report["total"]["failed"] > 0


def test_every_day_agrees_with_the_plan(report: dict[str, Any]) -> None:
    assert report["days"] == [
        {"day": day, **counters_of(planned for planned in PLAN if str(planned.at.date()) == day)}
        for day in REPORTED.days
    ]


@pytest.mark.parametrize("kind", Kind)
def test_every_option_agrees_with_the_plan(report: dict[str, Any], kind: Kind) -> None:
    listed = {option.pop("name"): option for option in map(dict, report[kind.collection])}
    assert {option.name for option in history.catalog().options(kind)} <= listed.keys()
    by_day = {name: option.pop("byDay") for name, option in listed.items()}

    chosen = {name: [planned for planned in PLAN if getattr(planned.order, kind.value).name == name] for name in listed}
    assert listed == {name: counters_of(planned) for name, planned in chosen.items()}
    for name, planned in chosen.items():
        days = [counters_of(request for request in planned if str(request.at.date()) == day) for day in REPORTED.days]
        assert by_day[name] == {counter: [day[counter] for day in days] for counter in by_day[name]}


def test_processing_times_agree_with_the_plan(report: dict[str, Any]) -> None:
    times = sorted(1000 * planned.mock.latency_seconds for planned in PLAN if not planned.fails)
    assert report["processing"]["requests"] == len(times)
    assert report["processing"]["medianMs"] == pytest.approx(times[ceil(0.5 * len(times)) - 1], rel=0.045)
    assert report["processing"]["p95Ms"] == pytest.approx(times[ceil(0.95 * len(times)) - 1], rel=0.045)


def test_the_reconciliation_of_the_week_has_no_difference(report: dict[str, Any]) -> None:
    reconciliation = report["reconciliation"]
    assert reconciliation["difference"] == 0
    assert -reconciliation["booked"]["deduction"] == report["total"]["creditsDeducted"]


def test_the_biggest_users_agree_with_the_plan(report: dict[str, Any]) -> None:
    users = {planned.order.user_id for planned in PLAN}
    expected = {user: counters_of(planned for planned in PLAN if planned.order.user_id == user) for user in users}
    fields = ("requests", "failed", "creditsDeducted", "creditsRefunded")

    listed = [(user["userId"], [user[field] for field in fields]) for user in report["topUsers"]]

    assert dict(listed) == {user: [counts[field] for field in fields] for user, counts in expected.items()}
    deducted = [expected[user]["creditsDeducted"] for user, _ in listed]
    assert deducted == sorted(deducted, reverse=True)


def test_the_planted_spike_is_reported_with_its_numbers(report: dict[str, Any]) -> None:
    spike = history.source("history")["spike"]
    of_day = [planned for planned in PLAN if str(planned.at.date()) == spike["day"]]
    of_user = [planned for planned in PLAN if planned.order.user_id == spike["user"]]

    anomaly = anomalies_of(report)["user", spike["user"], "spike"]

    assert anomaly["observed"] == len(of_user)
    assert anomaly["low"] <= anomaly["expected"] <= anomaly["high"] < anomaly["observed"]
    assert str(len(of_user)) in anomaly["message"]
    [expected] = [band for band in report["expected"] if band["day"] == spike["day"]]
    assert expected["high"] < len(of_day)
    assert {name for scope, name, _ in anomalies_of(report) if scope == "user"} == {spike["user"]}


def test_the_planted_failure_burst_is_in_the_sample_report(live: Live) -> None:
    burst = history.source("history")["burst"]
    week = Week.of(datetime.fromisoformat(burst["day"]).replace(tzinfo=UTC))
    of_model = [
        planned
        for planned in history.plan()
        if str(planned.at.date()) == burst["day"] and planned.order.model.name == burst["model"]
    ]
    failed = sum(planned.fails for planned in of_model)

    anomaly = anomalies_of(stored(live, week))["model", burst["model"], "failures"]

    assert (anomaly["day"], anomaly["severity"]) == (burst["day"], "high")
    assert anomaly["observed"] == pytest.approx(failed / len(of_model))
    assert anomaly["high"] < anomaly["observed"]


def test_a_failed_report_returns_only_a_correlation_id(live: Live) -> None:
    before_all_weeks = datetime.min.replace(tzinfo=UTC).isoformat()
    response = live.send("scheduleWeeklyReport-0", headers={"X-CloudScheduler-ScheduleTime": before_all_weeks})

    assert response.status_code == 500
    error = response.json()["error"]
    correlation_id = error["details"].pop("correlationId")
    assert (error["status"], error["details"]) == ("INTERNAL", {"reason": "INTERNAL"})
    until(lambda: correlation_id in live.log(), seconds=10)
    logged = [line for line in live.log().splitlines() if correlation_id in line]
    assert any('"severity": "ERROR"' in line and "Traceback" in line for line in logged)


def test_only_admins_get_list_and_run_reports(live: Live, report: dict[str, Any]) -> None:
    admin, user = live.sign_in("user-admin"), live.sign_in("user-100")
    reports = live.operator.collection("weeklyReports")
    before = {document.id for document in reports.stream()}

    ran = live.result("runWeeklyReport", {"week": str(REPORTED)}, token=admin)["report"]
    again = stored(live, REPORTED)
    got = live.result("getWeeklyReport", {"week": str(REPORTED)}, token=admin)["report"]
    first = live.result("listWeeklyReports", {"pageSize": 2}, token=admin)
    second = live.result("listWeeklyReports", {"pageSize": 2, "pageToken": first["nextPageToken"]}, token=admin)
    after = {document.id for document in reports.stream()}

    assert after == before  # a rerun replaces the report of the week
    assert again.pop("generatedAt") > report["generatedAt"]
    assert again == {name: value for name, value in report.items() if name != "generatedAt"}
    assert ran["total"] == got["total"] == report["total"]
    assert datetime.fromisoformat(got["start"]) == REPORTED.start
    weeks = [listed["week"] for page in (first, second) for listed in page["reports"]]
    assert weeks == sorted(after, reverse=True)[:4]
    for function, data in (("getWeeklyReport", {"week": str(REPORTED)}), ("listWeeklyReports", {})):
        assert live.refusal(function, data, token=user) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")
    missing = live.refusal("getWeeklyReport", {"week": str(history.weeks()[0] - 1)}, token=admin)
    assert missing == (404, "NOT_FOUND", "REPORT_NOT_FOUND")
    next_week = Week.of(datetime.now(UTC)) + 1  # the current week may end before the call
    unfinished = live.refusal("runWeeklyReport", {"week": str(next_week)}, token=admin)
    assert unfinished == (400, "INVALID_ARGUMENT", "INVALID_INPUT")

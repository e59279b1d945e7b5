"""Tests of the weekly report on the Firestore emulator. Their requests are created through the API."""

from datetime import timedelta
from typing import Any

import pytest
from google.cloud.firestore import FieldFilter
from werkzeug.test import TestResponse

from imagegen.ports.image_generator import GeneratorRefused, Job
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.faults import FaultyDatabase, Lost
from tests.support.settling import refund
from tests.support.weeks import MONDAY, make, report
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

NEXT_MONDAY_AT_SIX = "2026-11-16T06:00:00Z"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MONDAY)


def run(api: Api, scheduled_at: str = NEXT_MONDAY_AT_SIX) -> TestResponse:
    return api.http.post("/scheduleWeeklyReport", headers={"X-CloudScheduler-ScheduleTime": scheduled_at})


def by_name(groups: list[dict[str, Any]], key: str = "name") -> dict[str, tuple[int, int]]:
    """Return the numbers of requests and failed requests of each group that has requests."""
    return {group[key]: (group["requests"], group["failed"]) for group in groups if group["requests"]}


def test_a_report_counts_requests_and_credits_in_total_by_day_and_by_option(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user("user", paid=100)
    add_user("other", paid=100)
    make(api, clock, MONDAY - timedelta(seconds=1))
    make(api, clock, MONDAY, 3, model="Model A", style="anime", size="1024x1024")
    make(api, clock, MONDAY + timedelta(days=2), 1, model="Model B", size="1024x1792", userId="other")
    set_models(client, failureRate=1)
    make(api, clock, MONDAY + timedelta(days=6, hours=23), 2, model="Model B", style="anime", size="512x512")
    make(api, clock, MONDAY + timedelta(weeks=1))

    answer = run(api)
    assert (answer.status_code, answer.get_json()) == (200, {"reportStatus": "success"})
    written = report(client)
    assert written["week"] == "2026-W46"
    assert (written["start"], written["end"]) == (MONDAY, MONDAY + timedelta(weeks=1))
    assert written["total"] == {
        "requests": 6,
        "completed": 4,
        "failed": 2,
        "canceled": 0,
        "refused": 0,
        "successRate": 4 / 6,
        "creditsDeducted": 15,
        "creditsRefunded": 2,
        "creditsNet": 13,
        "refundShare": 2 / 15,
    }
    assert by_name(written["days"], "day") == {"2026-11-09": (3, 0), "2026-11-11": (1, 0), "2026-11-15": (2, 2)}
    assert by_name(written["models"]) == {"Model A": (3, 0), "Model B": (3, 2)}
    assert by_name(written["styles"]) == {"anime": (5, 2), "oil painting": (1, 0)}
    assert by_name(written["colors"]) == {"neon": (6, 2)}
    credits = {size["name"]: (size["creditsDeducted"], size["creditsNet"]) for size in written["sizes"]}
    assert credits == {"512x512": (2, 0), "1024x1024": (9, 9), "1024x1792": (4, 4)}
    assert [(user["userId"], user["creditsDeducted"]) for user in written["topUsers"]] == [("user", 11), ("other", 4)]


def test_a_report_counts_refused_requests(
    api: Api, client: ObservedClient, clock: ManualClock, provider: Provider, add_user: AddUser
) -> None:
    def refuse(job: Job) -> str:
        raise GeneratorRefused(f"{job.model} does not show this.")

    add_user(paid=100)
    make(api, clock, MONDAY, 1, style="anime")
    provider.generate = refuse
    make(api, clock, MONDAY + timedelta(days=1), 2, style="sketch")
    run(api)
    written = report(client)
    assert (written["total"]["failed"], written["total"]["refused"]) == (2, 2)
    refused = {style["name"]: style["refused"] for style in written["styles"] if style["requests"]}
    assert refused == {"anime": 0, "sketch": 2}
    assert [day["refused"] for day in written["days"]] == [0, 2, 0, 0, 0, 0, 0]


def test_a_rerun_replaces_the_report(api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=100)
    make(api, clock, MONDAY, 2)
    run(api)
    first = report(client)
    run(api)
    assert report(client) == first
    make(api, clock, MONDAY + timedelta(days=1))
    run(api)
    assert report(client)["total"]["requests"] == 3
    assert [document.id for document in client.collection("weeklyReports").stream()] == ["2026-W46"]


@pytest.mark.parametrize(
    ("scheduled_at", "week"),
    [
        ("2026-11-16T00:00:00Z", "2026-W46"),
        ("2026-11-15T23:59:59Z", "2026-W45"),
        ("2026-11-16T00:30:00+01:00", "2026-W45"),
        ("2026-11-22T23:59:59.999Z", "2026-W46"),
        ("2027-01-04T06:00:00Z", "2026-W53"),
    ],
)
def test_the_last_complete_week_before_the_scheduled_time_is_reported(
    api: Api, client: ObservedClient, add_user: AddUser, scheduled_at: str, week: str
) -> None:
    assert run(api, scheduled_at).status_code == 200
    assert [document.id for document in client.collection("weeklyReports").stream()] == [week]


def test_a_week_without_requests_has_no_success_rate(api: Api, client: ObservedClient) -> None:
    run(api)
    assert report(client)["total"]["successRate"] is None
    assert report(client)["topUsers"] == []


def test_requests_of_a_deleted_option_are_counted(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    make(api, clock, MONDAY, 2, color="neon")
    make(api, clock, MONDAY, 1, color="pastel")
    client.document("colors/neon").delete()
    run(api)
    assert by_name(report(client)["colors"]) == {"pastel": (1, 0), "(no longer in the catalog)": (2, 0)}


def test_only_the_ten_biggest_users_are_listed(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    for number in range(12):
        make(api, clock, MONDAY, number + 1, userId=add_user(f"user-{number}", paid=20), size="512x512")
    run(api)
    listed = [(user["userId"], user["requests"]) for user in report(client)["topUsers"]]
    assert listed == [(f"user-{number}", number + 1) for number in range(11, 1, -1)]


def test_a_spike_is_reported_with_its_numbers(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user("user", paid=1000)
    for week in range(4):
        for day in (0, 1, 2, 3, 4):
            make(api, clock, MONDAY + timedelta(weeks=week, days=day), 2, style="anime", model="Model A")
        assert run(api, (MONDAY + timedelta(weeks=week + 1)).isoformat()).status_code == 200
    make(api, clock, MONDAY + timedelta(weeks=4, days=3), 40, style="anime", model="Model B")
    run(api, (MONDAY + timedelta(weeks=5)).isoformat())

    quiet, with_spike = report(client, "2026-W49"), report(client, "2026-W50")
    assert (quiet["anomalies"], quiet["seriesTested"] > 0) == ([], True)
    assert [band["day"] for band in with_spike["expected"]] == [day["day"] for day in with_spike["days"]]
    spike = next(found for found in with_spike["anomalies"] if found["day"] == "2026-12-10")
    assert (spike["kind"], spike["observed"], spike["severity"]) == ("spike", 40, "high")
    assert spike["low"] <= spike["expected"] <= spike["high"] < 40
    assert spike["credits"] > 100
    assert spike["pValue"] < 1e-6
    assert "40 requests" in spike["message"]
    assert "Thursday 10 December" in spike["message"]


def test_a_request_counts_in_the_week_of_its_creation(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1, latencySeconds=2)
    make(api, clock, MONDAY + timedelta(weeks=1, seconds=-1))
    assert clock.at > MONDAY + timedelta(weeks=1)
    run(api)
    written = report(client)
    assert by_name(written["days"], "day") == {"2026-11-15": (1, 1)}
    assert written["topUsers"] == [
        {"userId": "user", "requests": 1, "failed": 1, "creditsDeducted": 3, "creditsRefunded": 3}
    ]


def test_an_unfinished_request_counts_with_its_deducted_credits(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    make(api, clock, MONDAY)
    faulty.faults = [None, *[Lost.BEFORE] * 500]
    make(api, clock, MONDAY + timedelta(days=1), idempotencyKey="key")
    faulty.faults.clear()
    run(api)
    total = report(client)["total"]
    assert (total["requests"], total["completed"], total["failed"]) == (2, 1, 0)
    assert (total["creditsDeducted"], total["creditsNet"], total["successRate"]) == (6, 6, 1)
    [unsettled] = client.collection("generationRequests").where(filter=FieldFilter("status", "==", "processing")).get()
    refund(faulty.database, unsettled.id)


def test_users_are_ranked_by_credits_not_by_requests(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    make(api, clock, MONDAY, 3, userId=add_user("often", paid=20), size="512x512")
    make(api, clock, MONDAY, 1, userId=add_user("large", paid=20), size="1024x1792")
    run(api)
    assert [user["userId"] for user in report(client)["topUsers"]] == ["large", "often"]


def test_a_report_lists_series_without_enough_history(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=200)
    for week in range(3):
        make(api, clock, MONDAY + timedelta(weeks=week), 20 * (week + 1), size="512x512")
        run(api, (MONDAY + timedelta(weeks=week + 1)).isoformat())
    written = report(client, "2026-W48")
    assert (written["anomalies"], written["seriesTested"], written["forecast"]) == ([], 0, None)
    assert {"scope": "total", "name": "all requests"} in written["notEnoughHistory"]


def test_the_reconciliation_has_the_booked_credits_by_type(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    """The opening balance of a week is the closing balance of the week before."""
    add_user("user", trial=3, paid=17, at=MONDAY - timedelta(days=1))
    add_user("other", paid=10, at=MONDAY + timedelta(days=1))
    make(api, clock, MONDAY + timedelta(days=2), 2)
    set_models(client, failureRate=1, latencySeconds=2)
    make(api, clock, MONDAY + timedelta(weeks=1, seconds=-1), userId="other")  # refunded in the next week
    run(api)
    run(api, (MONDAY + timedelta(weeks=2)).isoformat())
    assert report(client)["reconciliation"] == {
        "opening": 20,
        "booked": {"grant": 10, "deduction": -9, "refund": 0, "correction": 0, "forfeit": 0},
        "closing": 21,
        "changedEarlier": 0,
        "ledger": 21,
        "difference": 0,
    }
    assert report(client, "2026-W47")["reconciliation"] == {
        "opening": 21,
        "booked": {"grant": 0, "deduction": 0, "refund": 3, "correction": 0, "forfeit": 0},
        "closing": 24,
        "changedEarlier": 0,
        "ledger": 24,
        "difference": 0,
    }


def test_an_unexplained_balance_change_is_the_first_anomaly_of_its_week(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user("user", paid=20, at=MONDAY - timedelta(days=1))
    run(api, (MONDAY).isoformat())
    make(api, clock, MONDAY, 2)
    client.document("users/user").update({"credits.paid": 100})
    run(api)
    written = report(client)
    assert written["reconciliation"]["difference"] == 86
    found = written["anomalies"][0]
    assert (found["kind"], found["severity"], found["credits"]) == ("mismatch", "high", 86)
    assert (found["observed"], found["expected"]) == (100, 14)
    assert "86 credits more than the ledgers explain" in found["message"]
    run(api, (MONDAY + timedelta(weeks=2)).isoformat())
    assert report(client, "2026-W47")["reconciliation"]["difference"] == 0  # reported only in the week of the change
    client.document("users/user").update({"credits.paid": 14})


def test_only_completed_requests_count_in_processing_times(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=200)
    for seconds in range(1, 21):
        set_models(client, latencySeconds=seconds)
        make(api, clock, MONDAY + timedelta(hours=seconds), size="512x512")
    set_models(client, failureRate=1, latencySeconds=29)
    make(api, clock, MONDAY + timedelta(days=2), 10, size="512x512")
    run(api)
    processing = report(client)["processing"]
    assert processing["requests"] == 20
    assert processing["medianMs"] == pytest.approx(10_000, rel=0.045)
    assert processing["p95Ms"] == pytest.approx(19_000, rel=0.045)


def test_new_and_active_users_and_both_credit_buckets_are_counted(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user("old", trial=2, paid=10, at=MONDAY - timedelta(seconds=1))
    add_user("new", paid=10, at=MONDAY)
    add_user("silent", paid=10, at=MONDAY + timedelta(weeks=1, seconds=-1))
    add_user("later", paid=10, at=MONDAY + timedelta(weeks=1))
    make(api, clock, MONDAY, userId="old")
    set_models(client, failureRate=1)
    make(api, clock, MONDAY + timedelta(days=1), size="512x512", userId="new")
    run(api)
    written = report(client)
    assert written["users"] == {"new": 2, "active": 2}
    assert written["paidFrom"] == {"trial": 2, "paid": 2}
    assert written["total"]["refundShare"] == 1 / 4


def test_popular_styles_are_compared_with_one_and_four_weeks_before(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    for week, (anime, sketch) in enumerate([(4, 0), (3, 1), (1, 3), (0, 4), (1, 3)]):
        make(api, clock, MONDAY + timedelta(weeks=week), anime, size="512x512", style="anime")
        make(api, clock, MONDAY + timedelta(weeks=week), sketch, size="512x512", style="sketch")
        run(api, (MONDAY + timedelta(weeks=week + 1)).isoformat())
    first, second, last = (report(client, week)["popularStyles"] for week in ("2026-W46", "2026-W47", "2026-W50"))
    assert [(style["name"], style["shareBefore"], style["shareFourWeeks"]) for style in first] == [
        ("anime", None, None)
    ]
    assert [(style["name"], style["share"], style["shareBefore"]) for style in second] == [
        ("anime", 0.75, 1.0),
        ("sketch", 0.25, 0.0),
    ]
    assert last == [
        {"name": "sketch", "requests": 3, "share": 0.75, "shareBefore": 1.0, "shareFourWeeks": 0.5},
        {"name": "anime", "requests": 1, "share": 0.25, "shareBefore": 0.0, "shareFourWeeks": 0.5},
    ]
    forecast = report(client, "2026-W50")["forecast"]
    assert (forecast["week"], forecast["low"] < forecast["credits"] < forecast["high"]) == ("2026-W51", True)
    assert forecast["credits"] == pytest.approx(4, abs=1)


def test_each_option_is_counted_by_day(api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=100)
    make(api, clock, MONDAY, 2, size="512x512")
    set_models(client, failureRate=1)
    make(api, clock, MONDAY + timedelta(days=6), 3)
    run(api)
    [by_day] = [style["byDay"] for style in report(client)["styles"] if style["name"] == "oil painting"]
    assert by_day == {
        "requests": [2, 0, 0, 0, 0, 0, 3],
        "completed": [2, 0, 0, 0, 0, 0, 0],
        "failed": [0, 0, 0, 0, 0, 0, 3],
        "canceled": [0, 0, 0, 0, 0, 0, 0],
        "creditsDeducted": [2, 0, 0, 0, 0, 0, 9],
        "creditsRefunded": [0, 0, 0, 0, 0, 0, 9],
        "refused": [0] * 7,
    }


def test_weeks_without_requests_do_not_count_as_history(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    for week in range(4):
        run(api, (MONDAY + timedelta(weeks=week)).isoformat())
    make(api, clock, MONDAY + timedelta(weeks=3), 20, size="512x512")
    run(api, (MONDAY + timedelta(weeks=4)).isoformat())
    assert report(client, "2026-W49")["anomalies"] == []


def test_a_user_is_compared_with_their_own_earlier_weeks(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=300)
    for week in range(4):
        make(api, clock, MONDAY + timedelta(weeks=week), 12, size="512x512")
    set_models(client, failureRate=1)
    make(api, clock, MONDAY + timedelta(weeks=4), 40, size="512x512")
    run(api, (MONDAY + timedelta(weeks=5)).isoformat())
    written = report(client, "2026-W50")
    found = {(anomaly["scope"], anomaly["name"], anomaly["kind"]) for anomaly in written["anomalies"]}
    assert ("user", "user", "failures") in found
    assert {scope for scope, _, _ in found} == {"user"}  # other series have no earlier reports


def test_a_report_costs_few_queries_and_fewer_once_its_days_are_counted(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    """The unit tests of the counts have the queries of a busy week."""
    add_user(paid=100)
    make(api, clock, MONDAY, 5)
    clock.at = MONDAY + timedelta(weeks=1, hours=6)
    ledger, trial_credits, users = 10, 1, 2
    earlier, stored, days, biggest_users = 1 + 12, 2, 7, 2
    for counts, catalog, read in ((3 + 7, 16, 5), (1, 0, 0)):
        client.wire.reset()
        run(api)
        counted = [method for method, _ in client.wire.calls if method == "RunAggregationQuery"]
        listed = [query.from_[0].collection_id for method, query, _ in client.wire.queries if method == "RunQuery"]
        processing = len(counted) - (counts + ledger + trial_credits + users)
        assert 1 < processing <= 1 + 12
        kinds = ["colors", "generationRequests", "models", "sizes", "styles"] if catalog else []
        assert sorted(listed) == [*kinds, "users", "users"]
        assert client.wire.billed_reads == len(counted) + catalog + read + earlier + stored + days + biggest_users
        client.document("weeklyReports/2026-W46").delete()


def test_a_failure_is_a_500_without_internal_details(
    api: Api, faulty: FaultyDatabase, capfd: pytest.CaptureFixture[str]
) -> None:
    faulty.down = True
    answer = run(api)
    error = answer.get_json()["error"]
    assert (answer.status_code, error["status"]) == (500, "INTERNAL")
    assert set(error["details"]) == {"reason", "correlationId"}
    log = "".join(capfd.readouterr())
    assert error["details"]["correlationId"] in log
    assert "Traceback" in log

"""The weekly report, counted by the real emulator over requests that went through the money path."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.firestore import FieldFilter
from werkzeug.test import TestResponse

from imagegen.bootstrap import Backend
from imagegen.firestore import FirestoreDatabase
from tests.integration.conftest import AddUser, set_models
from tests.integration.test_money_path import order
from tests.integration.test_retries import refund
from tests.support.api import Api
from tests.support.faults import FaultyDatabase, Lost
from tests.support.wire import ObservedClient
from tools.clock import ManualClock
from tools.limits import NO_LIMITS
from tools.sender import Takes
from tools.tasks import TaskList

MONDAY = datetime(2026, 11, 9, tzinfo=UTC)  # of 2026-W46
NEXT_MONDAY_AT_SIX = "2026-11-16T06:00:00Z"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MONDAY)


@pytest.fixture
def faulty(database: FirestoreDatabase) -> FaultyDatabase:
    return FaultyDatabase(database)


@pytest.fixture
def backend(faulty: FaultyDatabase, clock: ManualClock) -> Backend:
    ids = itertools.count(1)
    return Backend.on(faulty, TaskList(), Takes(), clock, random.Random(1), lambda: f"id-{next(ids)}", NO_LIMITS)


def make(api: Api, clock: ManualClock, at: datetime, count: int = 1, **options: object) -> None:
    """Let ``count`` requests be made at a moment."""
    clock.at = at
    for _ in range(count):
        assert api.call("createGenerationRequest", order(**options)).status_code in (200, 503)


def run(api: Api, scheduled_at: str = NEXT_MONDAY_AT_SIX) -> TestResponse:
    return api.http.post("/scheduleWeeklyReport", headers={"X-CloudScheduler-ScheduleTime": scheduled_at})


def report(client: ObservedClient, week: str = "2026-W46") -> dict[str, Any]:
    return client.document(f"weeklyReports/{week}").get().to_dict() or {}


def by_name(groups: list[dict[str, Any]], key: str = "name") -> dict[str, tuple[int, int]]:
    """Requests and failed ones of each group that has any."""
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
        "successRate": 4 / 6,
        "creditsDeducted": 15,
        "creditsRefunded": 2,
        "creditsNet": 13,
    }
    assert by_name(written["days"], "day") == {"2026-11-09": (3, 0), "2026-11-11": (1, 0), "2026-11-15": (2, 2)}
    assert by_name(written["models"]) == {"Model A": (3, 0), "Model B": (3, 2)}
    assert by_name(written["styles"]) == {"anime": (5, 2), "oil painting": (1, 0)}
    assert by_name(written["colors"]) == {"neon": (6, 2)}
    credits = {size["name"]: (size["creditsDeducted"], size["creditsNet"]) for size in written["sizes"]}
    assert credits == {"512x512": (2, 0), "1024x1024": (9, 9), "1024x1792": (4, 4)}
    assert [(user["userId"], user["creditsDeducted"]) for user in written["topUsers"]] == [("user", 11), ("other", 4)]


def test_a_rerun_overwrites_the_same_document(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
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


def test_requests_of_an_option_that_is_gone_still_add_up(
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


def test_what_is_far_above_its_own_weeks_is_flagged_with_its_numbers(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user("user", paid=500)
    for week in range(4):
        for day in (0, 3):
            make(api, clock, MONDAY + timedelta(weeks=week, days=day), 2, style="anime", model="Model A")
        assert run(api, (MONDAY + timedelta(weeks=week + 1)).isoformat()).status_code == 200
    make(api, clock, MONDAY + timedelta(weeks=4, days=3), 16, style="anime", model="Model B")
    run(api, (MONDAY + timedelta(weeks=5)).isoformat())

    quiet, loud = report(client, "2026-W49"), report(client, "2026-W50")
    assert quiet["anomalies"] == []
    found = {(anomaly["scope"], anomaly["name"]): anomaly for anomaly in loud["anomalies"]}
    assert set(found) >= {("day", "Thursday"), ("model", "Model B"), ("style", "anime"), ("user", "user")}
    assert ("model", "Model A") not in found
    thursday = found["day", "Thursday"]
    assert (thursday["metric"], thursday["observed"], thursday["expected"]) == ("requests", 16, 2)
    assert thursday["observed"] > thursday["threshold"] > thursday["expected"]
    assert thursday["weeksCompared"] == 4
    assert "16 requests" in thursday["message"]


def test_what_fails_after_midnight_counts_in_the_week_it_was_made_in(
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


def test_a_request_that_has_not_ended_counts_with_the_credits_it_took(
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


def test_a_report_holds_all_balances_against_all_ledgers(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user("user", trial=3, paid=17)
    add_user("other", paid=10)
    make(api, clock, MONDAY, 2)
    set_models(client, failureRate=1)
    make(api, clock, MONDAY + timedelta(days=1), userId="other")
    run(api)
    assert report(client)["reconciliation"] == {"balances": 24, "ledgers": 24, "difference": 0}
    client.document("users/user").update({"credits.paid": 100})
    run(api)
    assert report(client)["reconciliation"]["difference"] == 86
    client.document("users/user").update({"credits.paid": 14})


def test_weeks_without_requests_are_no_history(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    for week in range(4):
        run(api, (MONDAY + timedelta(weeks=week)).isoformat())
    make(api, clock, MONDAY + timedelta(weeks=3), 20, size="512x512")
    run(api, (MONDAY + timedelta(weeks=4)).isoformat())
    assert report(client, "2026-W49")["anomalies"] == []


def test_a_users_failures_are_flagged_beside_their_requests(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    for week in range(4):
        make(api, clock, MONDAY + timedelta(weeks=week), 12, size="512x512")
    set_models(client, failureRate=1)
    make(api, clock, MONDAY + timedelta(weeks=4), 12, size="512x512")
    run(api, (MONDAY + timedelta(weeks=5)).isoformat())
    anomalies = report(client, "2026-W50")["anomalies"]
    assert [(found["name"], found["metric"], found["observed"]) for found in anomalies] == [("user", "failed", 12)]


def test_a_report_counts_on_the_server_and_never_reads_the_weeks_requests(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    make(api, clock, MONDAY, 5)
    client.wire.reset()
    run(api)
    counted = [method for method, _ in client.wire.calls if method == "RunAggregationQuery"]
    listed = [query.from_[0].collection_id for method, query, _ in client.wire.queries if method == "RunQuery"]
    assert len(counted) == 3 * (7 + 16) + 2 + 4  # days and options by status; balances and ledgers
    assert sorted(listed) == ["colors", "models", "sizes", "styles", "users"]
    assert client.wire.documents_read == 8  # the earlier reports


def test_a_failure_is_a_500_that_says_nothing_secret(
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

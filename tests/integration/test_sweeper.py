"""Requests whose process died are found and refunded, whoever else is at it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from imagegen.bootstrap import Backend
from imagegen.services import sweeper
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.faults import FaultyDatabase, Lost
from tests.support.invariants import violations
from tests.support.orders import ORDER, order
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

KEYED = order(idempotencyKey="key")
LEASE = timedelta(minutes=4)  # more than a seeded model's


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 18, 12, tzinfo=UTC))


class ProcessDied(BaseException):
    """What no handler catches."""


def die(api: Api, faulty: FaultyDatabase, data: Mapping[str, object] = ORDER) -> None:
    """A process takes the credits and dies before it settles."""

    def death() -> None:
        raise ProcessDied

    faulty.faults = [None, death]
    with pytest.raises(ProcessDied):
        api.call("createGenerationRequest", data)


def sweep(api: Api) -> int:
    answer = api.http.post("/sweepAbandonedRequests")
    assert answer.status_code == 200
    settled: int = answer.get_json()["swept"]
    return settled


def credits(api: Api) -> tuple[int, list[str]]:
    answer = api.result("getUserCredits", {"userId": "user"})
    return answer["currentCredits"], [entry["type"] for entry in answer["transactions"]]


def test_an_abandoned_request_is_refunded_once_and_its_key_answers_so(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(trial=2, paid=8)
    die(api, faulty, KEYED)
    assert credits(api) == (7, ["deduction"])
    clock.at += LEASE
    assert (sweep(api), sweep(api)) == (1, 0)
    assert credits(api) == (10, ["refund", "deduction"])
    error = api.error("createGenerationRequest", KEYED)
    assert error["status"] == "UNAVAILABLE"
    assert (error["details"]["reason"], error["details"]["refundedCredits"]) == ("ABANDONED", 3)


def test_a_request_whose_lease_runs_is_left_alone(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    die(api, faulty)
    clock.at += timedelta(minutes=1)
    assert sweep(api) == 0
    assert credits(api) == (7, ["deduction"])
    assert violations(client, in_flight=1) == []
    clock.at += LEASE
    assert sweep(api) == 1


def test_requests_that_ended_are_never_swept(api: Api, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=10)
    api.result("createGenerationRequest", ORDER)
    clock.at += LEASE
    assert sweep(api) == 0
    assert credits(api) == (7, ["deduction"])


def test_more_than_a_page_is_swept_in_one_run(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "PAGE_SIZE", 2)
    add_user(paid=15)
    for _ in range(5):
        die(api, faulty)
    clock.at += LEASE
    assert sweep(api) == 5
    assert credits(api)[0] == 15


def test_two_sweepers_at_once_refund_once(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=30)
    for _ in range(8):
        die(api, faulty)
    clock.at += LEASE
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: sweep(api), range(2)))
    assert credits(api) == (30, ["refund"] * 8 + ["deduction"] * 8)


def test_a_sweeper_that_dies_halfway_is_finished_by_the_next(
    api: Api, backend: Backend, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    for _ in range(2):
        die(api, faulty)
    clock.at += LEASE

    def death() -> None:
        raise ProcessDied

    faulty.faults = [None, death]
    with pytest.raises(ProcessDied):
        backend.sweeper.sweep()
    assert sweep(api) == 1
    assert credits(api)[0] == 10


def test_a_process_that_finishes_late_tells_its_caller_the_truth(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)

    def overtaken() -> None:
        clock.at += LEASE
        assert sweep(api) == 1

    faulty.faults = [None, overtaken]
    error = api.error("createGenerationRequest", ORDER)
    assert error["details"]["reason"] == "ABANDONED"
    assert error["details"]["currentCredits"] == 10
    assert credits(api) == (10, ["refund", "deduction"])


def test_a_request_that_cannot_be_settled_now_does_not_stop_the_others(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    for _ in range(2):
        die(api, faulty)
    clock.at += LEASE
    # About a minute of virtual time passes in retries before the first is given up.
    faulty.faults = [Lost.BEFORE] * 100
    sweep(api)
    faulty.faults.clear()
    sweep(api)
    assert credits(api)[0] == 10


def test_a_refund_that_failed_is_made_up_for(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    faulty.faults = [None, *[Lost.BEFORE] * 300]
    assert api.error("createGenerationRequest", ORDER)["details"]["reason"] == "SETTLEMENT_PENDING"
    faulty.faults.clear()
    clock.at += LEASE
    assert sweep(api) == 1
    assert credits(api)[0] == 10


def test_a_request_of_a_user_who_is_gone_still_ends(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    die(api, faulty)
    client.document("users/user").delete()
    clock.at += LEASE
    assert (sweep(api), sweep(api)) == (1, 0)
    [request] = client.collection("generationRequests").get()
    assert request.get("status") == "failed"
    assert request.get("error.refundedCredits") == 0
    request.reference.delete()

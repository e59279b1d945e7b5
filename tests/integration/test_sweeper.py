"""Tests of the sweeper: it refunds requests whose process died."""

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
LEASE = timedelta(minutes=4)  # longer than the lease of a seeded model


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 18, 12, tzinfo=UTC))


class ProcessDied(BaseException):
    """A crash of the process, which no handler catches."""


def abandon_request(api: Api, faulty: FaultyDatabase, data: Mapping[str, object] = ORDER) -> None:
    """Create a request whose process dies before it settles the request."""

    def crash() -> None:
        raise ProcessDied

    faulty.faults = [None, crash]
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


def test_abandoned_request_is_refunded_once_and_its_key_returns_abandoned(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(trial=2, paid=8)
    abandon_request(api, faulty, KEYED)
    assert credits(api) == (7, ["deduction"])
    clock.at += LEASE
    assert (sweep(api), sweep(api)) == (1, 0)
    assert credits(api) == (10, ["refund", "deduction"])
    error = api.error("createGenerationRequest", KEYED)
    assert (error["status"], error["details"]["replayed"]) == ("FAILED_PRECONDITION", True)
    assert (error["details"]["reason"], error["details"]["refundedCredits"]) == ("ABANDONED", 3)


def test_request_is_not_swept_before_its_lease_expires(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    abandon_request(api, faulty)
    clock.at += timedelta(minutes=1)
    assert sweep(api) == 0
    assert credits(api) == (7, ["deduction"])
    assert violations(client, in_flight=1) == []
    clock.at += LEASE
    assert sweep(api) == 1


def test_ended_request_is_not_swept(api: Api, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=10)
    api.result("createGenerationRequest", ORDER)
    clock.at += LEASE
    assert sweep(api) == 0
    assert credits(api) == (7, ["deduction"])


def test_one_sweep_covers_more_than_one_page(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "PAGE_SIZE", 2)
    add_user(paid=15)
    for _ in range(5):
        abandon_request(api, faulty)
    clock.at += LEASE
    assert sweep(api) == 5
    assert credits(api)[0] == 15


def test_concurrent_sweeps_refund_once(api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=30)
    for _ in range(8):
        abandon_request(api, faulty)
    clock.at += LEASE
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: sweep(api), range(2)))
    assert credits(api) == (30, ["refund"] * 8 + ["deduction"] * 8)


def test_next_sweep_continues_after_a_crash(
    api: Api, backend: Backend, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    for _ in range(2):
        abandon_request(api, faulty)
    clock.at += LEASE

    def crash() -> None:
        raise ProcessDied

    faulty.faults = [None, crash]
    with pytest.raises(ProcessDied):
        backend.sweeper.sweep()
    assert sweep(api) == 1
    assert credits(api)[0] == 10


def test_late_process_returns_the_recorded_outcome(
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


def test_request_that_cannot_be_settled_does_not_stop_the_sweep(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    for _ in range(2):
        abandon_request(api, faulty)
    clock.at += LEASE
    # The retries of the first request take about a minute of virtual time.
    faulty.faults = [Lost.BEFORE] * 100
    sweep(api)
    faulty.faults.clear()
    sweep(api)
    assert credits(api)[0] == 10


def test_sweeper_makes_a_refund_that_failed(
    api: Api, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    faulty.faults = [None, *[Lost.BEFORE] * 300]
    assert api.error("createGenerationRequest", ORDER)["details"]["reason"] == "SETTLEMENT_PENDING"
    faulty.faults.clear()
    clock.at += LEASE
    assert sweep(api) == 1
    assert credits(api)[0] == 10


def test_request_of_a_deleted_user_is_failed(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    abandon_request(api, faulty)
    client.document("users/user").delete()
    clock.at += LEASE
    assert (sweep(api), sweep(api)) == (1, 0)
    [request] = client.collection("generationRequests").get()
    assert request.get("status") == "failed"
    assert request.get("error.refundedCredits") == 0
    request.reference.delete()

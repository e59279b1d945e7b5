"""Tests of the rate limit and of the limit on unfinished requests, which the reserving commit checks."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from imagegen.domain.limits import Limits
from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.orders import ORDER, order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

CREATE = "createGenerationRequest"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def limits() -> Limits:
    return Limits(burst=3, per_minute=6, concurrent=2)


def mark_processing(client: ObservedClient, *names: str) -> None:
    """Set requests to processing, as while their models run."""
    for name in names:
        client.document(f"generationRequests/{name}").update({"status": "processing"})


def test_request_above_the_rate_limit_is_refused_and_not_charged(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=50)
    for _ in range(3):
        api.result(CREATE, ORDER)
    before = client.document("users/user").get().to_dict()
    clock.at += timedelta(seconds=3.5)
    error = api.error(CREATE, ORDER)
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert error["details"] == {"reason": "RATE_LIMITED", "retryAfterSeconds": 7}
    assert api.call(CREATE, ORDER).status_code == 429
    assert client.document("users/user").get().to_dict() == before
    clock.at += timedelta(seconds=7)
    api.result(CREATE, ORDER)


def test_rate_limit_is_per_user(api: Api, add_user: AddUser) -> None:
    add_user("user", paid=50)
    add_user("other", paid=50)
    for _ in range(3):
        api.result(CREATE, ORDER)
    assert api.error(CREATE, ORDER)["details"]["reason"] == "RATE_LIMITED"
    api.result(CREATE, order(userId="other"))


def test_failed_requests_count_for_the_rate_limit(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=50)
    set_models(client, failureRate=1)
    reasons = [api.error(CREATE, ORDER)["details"]["reason"] for _ in range(4)]
    assert reasons == ["GENERATION_FAILED"] * 3 + ["RATE_LIMITED"]


def test_repeated_key_is_not_rate_limited(api: Api, add_user: AddUser) -> None:
    add_user(paid=50)
    first = api.result(CREATE, order(idempotencyKey="once"))
    assert [api.result(CREATE, order(idempotencyKey="once")) for _ in range(9)] == [first] * 9


def test_number_of_unfinished_requests_is_limited(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=50)
    running = [api.result(CREATE, ORDER)["generationRequestId"] for _ in range(2)]
    mark_processing(client, *running)
    before = client.document("users/user").get().to_dict()
    error = api.error(CREATE, ORDER)
    assert (error["status"], error["details"]) == (
        "RESOURCE_EXHAUSTED",
        {"reason": "TOO_MANY_RUNNING", "runningRequests": 2},
    )
    assert client.document("users/user").get().to_dict() == before
    client.document(f"generationRequests/{running[0]}").update({"status": "completed"})
    api.result(CREATE, ORDER)
    client.document(f"generationRequests/{running[1]}").update({"status": "completed"})


def test_limits_cost_reads_only_when_the_running_limit_seems_reached(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    """A success costs 2 reads and 4 writes. Every second request here also reads the two requests before."""
    add_user(paid=50)
    costs = []
    for _ in range(5):
        client.wire.reset()
        api.result(CREATE, ORDER)
        costs.append((client.wire.documents_read, client.wire.writes))
        clock.at += timedelta(seconds=10)
    assert costs == [(2, 4), (2, 4), (4, 4), (2, 4), (4, 4)]


def test_concurrent_requests_do_not_exceed_the_rate_limit(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=50)
    together = threading.Barrier(8)

    def create(_number: int) -> int:
        together.wait()
        return api.call(CREATE, ORDER).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(create, range(8)))
    assert statuses == [200] * 3 + [429] * 5
    assert len(client.collection("generationRequests").get()) == 3

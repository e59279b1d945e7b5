"""Tests of the limits of one user: new requests, unfinished requests and canceled runs."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from imagegen.bootstrap import Backend
from imagegen.domain.limits import Limits
from imagegen.ports.image_generator import Job
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.orders import ORDER, order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock, TaskList

CREATE, CANCEL, GET = "createGenerationRequest", "cancelGenerationRequest", "getGenerationRequest"
IMAGE_URL = "https://images.example.com/late.png"

DuringEachRun = Callable[[Callable[[str], object]], None]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def limits() -> Limits:
    return Limits(
        burst=3, per_minute=6, concurrent=2, canceled_runs_per_day=2, calls_per_minute=100, resends_per_hour=2
    )


@pytest.fixture
def queue() -> TaskList:
    return TaskList()


@pytest.fixture
def during_each_run(provider: Provider) -> DuringEachRun:
    """Return a function that sets what happens during each run. It is called with the id of the request."""

    def set_act(act: Callable[[str], object]) -> None:
        def generate(job: Job) -> str:
            act(job.request_id)
            return IMAGE_URL

        provider.generate = generate

    return set_act


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
    refused = api.call(CREATE, ORDER)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
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
    assert [api.result(CREATE, order(idempotencyKey="once")) for _ in range(9)] == [{**first, "replayed": True}] * 9


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
        {"reason": "TOO_MANY_RUNNING", "runningRequests": 2, "retryAfterSeconds": 5},
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


# Canceled runs


def canceled(api: Api, request_id: str) -> object:
    return api.result(CANCEL, {"generationRequestId": request_id})


def test_canceled_request_counts_until_its_run_ends(
    api: Api, add_user: AddUser, during_each_run: DuringEachRun
) -> None:
    add_user(paid=50)
    reasons: list[str] = []

    def cancel_and_create_another(request_id: str) -> None:
        canceled(api, request_id)
        reasons.append(api.error(CREATE, ORDER)["details"]["reason"])

    during_each_run(cancel_and_create_another)
    reasons.append(api.error(CREATE, ORDER)["details"]["reason"])
    assert reasons == ["TOO_MANY_RUNNING", "CANCELED", "CANCELED"]  # the innermost call first: at most 2 ran at once
    during_each_run(lambda _: None)
    api.result(CREATE, ORDER)


def test_canceled_request_of_a_dead_process_counts_until_its_lease_expires(
    api: Api,
    backend: Backend,
    queue: TaskList,
    clock: ManualClock,
    add_user: AddUser,
    during_each_run: DuringEachRun,
) -> None:
    add_user(paid=50)

    class Died(BaseException):
        pass

    def cancel_and_die(request_id: str) -> None:
        canceled(api, request_id)
        raise Died

    during_each_run(cancel_and_die)
    for _ in range(2):
        api.result(CREATE, order(mode="async"))
        with pytest.raises(Died):
            backend.worker.run(*queue.put_so_far[-1][1].values())
    during_each_run(lambda _: None)
    clock.at += timedelta(minutes=3)
    assert api.error(CREATE, ORDER)["details"] == {
        "reason": "TOO_MANY_RUNNING",
        "runningRequests": 2,
        "retryAfterSeconds": 5,
    }
    clock.at += timedelta(minutes=1)
    api.result(CREATE, ORDER)


def test_one_credit_pays_for_a_limited_number_of_runs(
    api: Api,
    clock: ManualClock,
    add_user: AddUser,
    during_each_run: DuringEachRun,
) -> None:
    """The allowance is two canceled runs a day, so the third request goes on, and its image is paid for."""
    add_user(paid=1)
    runs: list[str] = []
    cancellations = []

    def cancel(request_id: str) -> None:
        runs.append(request_id)
        cancellations.append(api.call(CANCEL, {"generationRequestId": request_id}))

    during_each_run(cancel)
    outcomes = [api.call(CREATE, order(size="512x512")) for _ in range(3)]
    assert [answer.status_code for answer in outcomes] == [499, 499, 200]
    assert [answer.status_code for answer in cancellations] == [200, 200, 429]
    assert cancellations[-1].headers["Retry-After"] == "43200"
    assert cancellations[-1].get_json()["error"]["details"] == {
        "reason": "TOO_MANY_CANCELED",
        "generationRequestId": runs[-1],
        "cost": 1,
        "refundedCredits": 0,
        "netCredits": 1,
        "retryAfterSeconds": 43200,
    }
    clock.at += timedelta(minutes=1)
    assert api.error(CREATE, order(size="512x512"))["details"]["reason"] == "INSUFFICIENT_CREDITS"
    assert len(runs) == 3


def test_canceled_runs_are_earned_again(
    api: Api, clock: ManualClock, add_user: AddUser, during_each_run: DuringEachRun
) -> None:
    add_user(paid=50)
    refusals: list[bool] = []
    during_each_run(
        lambda request_id: refusals.append(api.call(CANCEL, {"generationRequestId": request_id}).status_code == 429)
    )
    for hours in (0, 0, 0, 12, 0):
        clock.at += timedelta(hours=hours, minutes=1)
        api.call(CREATE, ORDER)
    assert refusals == [False, False, True, False, True]


def test_canceling_pending_requests_is_free(
    api: Api, clock: ManualClock, add_user: AddUser, during_each_run: DuringEachRun
) -> None:
    add_user(paid=3)
    for _ in range(9):
        request_id = api.result(CREATE, order(mode="async"))["generationRequestId"]
        canceled(api, request_id)
        clock.at += timedelta(seconds=10)
    during_each_run(lambda request_id: canceled(api, request_id))
    for _ in range(2):
        assert api.error(CREATE, ORDER)["details"]["reason"] == "CANCELED"


def test_refused_cancellation_changes_nothing(
    api: Api, client: ObservedClient, add_user: AddUser, during_each_run: DuringEachRun
) -> None:
    add_user(paid=50)
    during_each_run(lambda request_id: canceled(api, request_id))
    for _ in range(2):
        api.error(CREATE, ORDER)
    request_id = api.result(CREATE, order(mode="async"))["generationRequestId"]
    mark_processing(client, request_id)
    before = [client.document(path).get().to_dict() for path in ("users/user", f"generationRequests/{request_id}")]
    assert api.error(CANCEL, {"generationRequestId": request_id})["details"]["reason"] == "TOO_MANY_CANCELED"
    after = [client.document(path).get().to_dict() for path in ("users/user", f"generationRequests/{request_id}")]
    assert after == before
    client.document(f"generationRequests/{request_id}").update({"status": "pending"})
    canceled(api, request_id)


def test_request_that_another_call_canceled_is_not_refused(
    api: Api,
    backend: Backend,
    add_user: AddUser,
    during_each_run: DuringEachRun,
) -> None:
    """The other call uses the last canceled run, after this call has read the request."""
    add_user(paid=50)
    during_each_run(lambda request_id: canceled(api, request_id))
    api.error(CREATE, ORDER)
    answers: list[object] = []

    def cancel_twice(request_id: str) -> None:
        def cancel_first(_request: object) -> bool:
            answers.append(canceled(api, request_id))
            return True

        settled = backend.cancellations.cancel(request_id, cancel_first).request
        answers.append((settled.status, settled.failure and settled.failure.refunded_credits))

    during_each_run(cancel_twice)
    api.error(CREATE, ORDER)
    assert len(answers) == 2
    assert answers[1] == ("canceled", 3)


def test_resends_of_a_user_are_limited(
    api: Api, backend: Backend, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    delivery_ids = []
    for _ in range(3):
        request_id = api.result(CREATE, order(webhookUrl="https://hooks.example.com/"))["generationRequestId"]
        delivery_ids.append(f"{request_id}-completed")
        clock.at += timedelta(minutes=1)
    for delivery_id in delivery_ids:
        backend.delivery_worker.deliver(delivery_id, 0, lambda request: {"id": request.id})
    for delivery_id in delivery_ids[:2]:
        api.result("resendWebhook", {"deliveryId": delivery_id})
    refused = api.call("resendWebhook", {"deliveryId": delivery_ids[2]})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1800")
    assert client.document(f"webhookDeliveries/{delivery_ids[2]}").get().get("status") == "delivered"
    clock.at += timedelta(minutes=30)
    assert api.result("resendWebhook", {"deliveryId": delivery_ids[2]})["status"] == "pending"

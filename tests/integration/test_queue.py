"""Tests of queued requests: their worker, the sweeper and cancellation."""

import base64
import itertools
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend
from imagegen.domain.generation import Status
from imagegen.errors import PermissionDenied
from imagegen.ports.image_generator import GeneratorFailed, Job
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.queue import TICKET_KEYS
from imagegen.services.server_keys import ServerKeys
from imagegen.services.sweeper import REPLACED_MAX
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.faults import FaultyDatabase, Lost, refuse
from tests.support.orders import ORDER, order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.emulators.project import ROOT
from tools.fakes import ManualClock, TaskList

QUEUED = order(mode="async")
CREATE, GET, CANCEL = "createGenerationRequest", "getGenerationRequest", "cancelGenerationRequest"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def queue() -> TaskList:
    return TaskList()


def deliver(backend: Backend, queue: TaskList) -> list[Status | None]:
    """Deliver every task put so far once more. Return the status that each led to, or None."""
    return [backend.worker.run(task["generationRequestId"], task["ticket"]) for _, task in queue.put_so_far]


def state(api: Api, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.result(GET, {"generationRequestId": request_id})
    return found


def balance(api: Api) -> int:
    found: int = api.result("getCreditBalance", {"userId": "user"})["totalAvailable"]
    return found


# The queue


def test_queued_request_is_charged_at_once_and_completed_by_its_task(
    api: Api, backend: Backend, queue: TaskList, clock: ManualClock, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    set_models(client, latencySeconds=2)
    answer = api.result(CREATE, QUEUED)
    request_id = answer["generationRequestId"]
    charge = {"deductedCredits": 3, "cost": 3, "refundedCredits": 0, "netCredits": 3}
    assert answer == {"generationRequestId": request_id, **charge, "status": "pending", "currentCredits": 7}
    assert balance(api) == 7
    pending = state(api, request_id)
    assert (pending["status"], pending["mode"]) == ("pending", "async")
    assert pending.keys().isdisjoint({"startedAt", "finishedAt", "imageUrl", "error"})
    clock.at += timedelta(seconds=30)
    assert deliver(backend, queue) == [Status.COMPLETED]
    done = state(api, request_id)
    assert done["status"] == "completed"
    assert done["imageUrl"] == "https://site.example.com/models/model-a.webp"
    assert (done["createdAt"], done["startedAt"], done["finishedAt"]) == (
        "2026-11-18T12:00:00.000000Z",
        "2026-11-18T12:00:30.000000Z",
        "2026-11-18T12:00:32.000000Z",
    )
    assert done["processingTimeMs"] == 2000
    assert balance(api) == 7


def test_mode_async_costs_2_round_trips_1_read_and_1_write_more(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    api.result(CREATE, QUEUED)  # reads the catalog and the key of the tickets, once per instance
    deliver(backend, queue)
    queue.put_so_far.clear()
    client.wire.reset()
    api.result(CREATE, QUEUED)
    deliver(backend, queue)
    assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == (3 + 2, 2 + 1, 4 + 1)


def test_each_model_has_its_own_queue(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    for model in ("Model A", "Model B"):
        api.result(CREATE, order(mode="async", model=model))
    assert [name for name, _ in queue.put_so_far] == ["generateWithModelA", "generateWithModelB"]


def test_failed_queued_request_is_refunded(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(trial=1, paid=9)
    set_models(client, failureRate=1)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    assert deliver(backend, queue) == [Status.FAILED]
    failed = state(api, request_id)
    assert (failed["refunded"], failed["error"]["reason"]) == (True, "GENERATION_FAILED")
    assert balance(api) == 10


def test_repeated_task_changes_nothing(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    api.result(CREATE, QUEUED)
    assert deliver(backend, queue) == [Status.COMPLETED]
    client.wire.reset()
    assert deliver(backend, queue) == [None]
    assert client.wire.writes == 0


def test_concurrent_deliveries_run_a_request_once(
    api: Api, backend: Backend, queue: TaskList, provider: Provider, add_user: AddUser
) -> None:
    add_user(paid=10)
    runs = itertools.count()

    def count(_job: Job) -> str:
        next(runs)
        return "https://images.example.com/once.png"

    provider.generate = count
    api.result(CREATE, QUEUED)
    [(_, task)] = queue.put_so_far
    together = threading.Barrier(8)

    def run(_number: int) -> Status | None:
        together.wait()
        return backend.worker.run(task["generationRequestId"], task["ticket"])

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(run, range(8)))
    assert sorted(map(str, outcomes)) == ["None"] * 7 + ["completed"]
    assert next(runs) == 1


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
@pytest.mark.parametrize("commits_before", [0, 1])
def test_worker_survives_lost_or_refused_commit(
    api: Api,
    backend: Backend,
    queue: TaskList,
    faulty: FaultyDatabase,
    add_user: AddUser,
    fault: Any,
    commits_before: int,
) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    faulty.faults = [*[None] * commits_before, fault]
    assert deliver(backend, queue) == [Status.COMPLETED]
    assert state(api, request_id)["status"] == "completed"


@pytest.mark.parametrize("ticket", ["", "guessed", "id-1", "id-2", "é" * 32])
def test_request_runs_only_with_its_ticket(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, add_user: AddUser, ticket: str
) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    before = client.document(f"generationRequests/{request_id}").get().to_dict()
    for task in ({"generationRequestId": request_id, "ticket": ticket}, {"generationRequestId": "x", "ticket": "y"}):
        refused = api.call("generateImage", task)
        assert refused.status_code in (400, 403), refused.get_data(as_text=True)
    assert client.document(f"generationRequests/{request_id}").get().to_dict() == before
    with pytest.raises(PermissionDenied):
        backend.worker.run(request_id, "guessed")
    assert deliver(backend, queue) == [Status.COMPLETED]


def test_ticket_is_in_no_document_that_clients_can_read(
    api: Api, queue: TaskList, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    [(_, task)] = queue.put_so_far
    stored = client.document(f"generationRequests/{request_id}").get().to_dict() or {}
    assert task["ticket"] not in str(stored)
    assert stored["execution"] != task["ticket"]
    [keys] = client.collection("serverKeys").list_documents()
    [key] = keys.get().get("keys")
    assert len(base64.b64decode(key)) == 32
    rules = (ROOT / "firestore.rules").read_text("utf-8")
    assert "serverKeys" not in rules
    assert "{document=**}" not in rules


@pytest.mark.parametrize("fault", [None, Lost.BEFORE, Lost.AFTER, refuse], ids=["none", "before", "after", "refused"])
def test_all_instances_use_the_first_key(
    database: FirestoreDatabase, client: ObservedClient, faulty: FaultyDatabase, fault: Any
) -> None:
    first, second = (
        ServerKeys(TICKET_KEYS, faulty, random.Random(1)),
        ServerKeys(TICKET_KEYS, database, random.Random(2)),
    )
    faulty.faults = [fault if callable(fault) or fault is Lost.AFTER else None]
    if callable(fault):
        faulty.faults = [lambda: second.digest("request")]
    ticket = first.digest("request")
    assert second.accepts("request", ticket)
    assert not second.accepts("other", ticket)
    client.wire.reset()
    assert first.digest("request") == second.digest("request")
    assert client.wire.round_trips == 0  # each instance reads the key once


def test_key_that_cannot_be_created_leaves_the_request_to_a_sweep(
    api: Api, backend: Backend, queue: TaskList, faulty: FaultyDatabase, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    faulty.faults = [None, Lost.BEFORE]
    assert api.result(CREATE, QUEUED)["status"] == "pending"
    assert queue.put_so_far == []
    clock.at += timedelta(minutes=6)
    assert backend.sweeper.sweep() == 1
    assert deliver(backend, queue) == [Status.COMPLETED]


def test_replaced_key_accepts_the_tickets_of_the_key_before(
    database: FirestoreDatabase, client: ObservedClient
) -> None:
    """The steps of docs/runbook.md: add a key, put it first, remove the old one. Each is followed by a deploy."""

    def instance() -> ServerKeys:
        return ServerKeys(TICKET_KEYS, database, random.Random(1))

    keys = client.document("serverKeys/tickets")
    old = instance()
    before = old.digest("request")
    [current] = keys.get().get("keys")
    new = base64.b64encode(bytes(32)).decode()
    keys.update({"keys": [current, new]})
    both = instance()
    assert both.digest("request") == before
    keys.update({"keys": [new, current]})
    switched = instance()
    after = switched.digest("request")
    assert after != before
    assert both.accepts("request", after)
    assert switched.accepts("request", before)
    keys.update({"keys": [new]})
    assert instance().accepts("request", after)
    assert not instance().accepts("request", before)


@pytest.mark.parametrize("keys", [[], [""], ["not base64!"], [7], "abcd", None], ids=repr)
def test_unreadable_keys_are_logged_and_take_no_credits_without_a_request(
    api: Api,
    client: ObservedClient,
    queue: TaskList,
    add_user: AddUser,
    keys: object,
) -> None:
    add_user(paid=10)
    client.document("serverKeys/tickets").set({"keys": keys})
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    assert queue.put_so_far == []
    assert api.result(CANCEL, {"generationRequestId": request_id})["currentCredits"] == 10


def test_task_is_accepted_over_http(api: Api, queue: TaskList, add_user: AddUser) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    [(name, task)] = queue.put_so_far
    assert api.call(name, task).status_code == 200
    assert state(api, request_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("option", "name"), [("models/model-a", "Model A"), ("sizes/1024x1024", "1024x1024")], ids=["model", "size"]
)
def test_queued_request_of_a_deleted_option_is_refunded(
    api: Api,
    backend: Backend,
    queue: TaskList,
    clock: ManualClock,
    client: ObservedClient,
    add_user: AddUser,
    option: str,
    name: str,
) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    client.document(option).delete()
    clock.at += timedelta(seconds=10)
    assert deliver(backend, queue) == [Status.FAILED]
    failed = state(api, request_id)
    assert failed["refunded"]
    assert failed["error"] == {"reason": "GENERATION_FAILED", "message": f"{name} is no longer in the catalog."}


def test_worker_whose_catalog_is_older_than_an_option_completes_its_request(
    api: Api,
    backend: Backend,
    queue: TaskList,
    clock: ManualClock,
    client: ObservedClient,
    add_user: AddUser,
) -> None:
    """An instance keeps its catalog for seconds, in which another instance may offer a new model already."""
    add_user(paid=10)
    other = backend.catalogs
    elsewhere = replace(backend.worker, catalogs=Catalogs(other._database, other._generators, clock))
    clock.at += timedelta(seconds=10)
    elsewhere.catalogs.current()
    new_model = {**(client.document("models/model-a").get().to_dict() or {}), "name": "Model New"}
    client.document("models/model-new").set(new_model)
    api.result(CREATE, order(mode="async", model="Model New"))
    [(_, task)] = queue.put_so_far
    assert elsewhere.run(task["generationRequestId"], task["ticket"]) is Status.COMPLETED


def test_queued_request_of_a_disabled_option_completes(
    api: Api,
    backend: Backend,
    queue: TaskList,
    clock: ManualClock,
    client: ObservedClient,
    provider: Provider,
    add_user: AddUser,
) -> None:
    add_user(paid=10)
    sizes: list[tuple[int, int]] = []

    def record_size(job: Job) -> str:
        sizes.append((job.width, job.height))
        return "https://images.example.com/tall.png"

    provider.generate = record_size
    api.result(CREATE, order(mode="async", size="1024x1792"))
    for option in ("models/model-a", "sizes/1024x1792"):
        client.document(option).update({"enabled": False})
    clock.at += timedelta(seconds=10)
    assert deliver(backend, queue) == [Status.COMPLETED]
    assert sizes == [(1024, 1792)]


def test_repeated_key_returns_the_request_in_its_current_status(
    api: Api, backend: Backend, queue: TaskList, add_user: AddUser
) -> None:
    add_user(paid=10)
    keyed = {**QUEUED, "idempotencyKey": "once"}
    first = api.result(CREATE, keyed)
    assert api.result(CREATE, keyed) == {**first, "replayed": True}
    deliver(backend, queue)
    assert api.result(CREATE, keyed) == {
        **first,
        "replayed": True,
        "status": "completed",
        "imageUrl": "https://site.example.com/models/model-a.webp",
    }
    assert api.error(CREATE, {**keyed, "mode": "sync"})["details"]["reason"] == "IDEMPOTENCY_MISMATCH"
    assert balance(api) == 7


@pytest.mark.parametrize("repeats", [300])
def test_repeated_calls_put_one_task_on_the_queue(
    api: Api, queue: TaskList, clock: ManualClock, backend: Backend, add_user: AddUser, repeats: int
) -> None:
    add_user(paid=10)
    keyed = {**QUEUED, "idempotencyKey": "once"}
    for _ in range(repeats):
        api.result(CREATE, keyed)
    clock.at += timedelta(minutes=6)
    backend.sweeper.sweep()
    assert len(queue.put_so_far) == 1
    assert deliver(backend, queue) == [Status.COMPLETED]


# The sweeper


def test_request_whose_task_is_gone_gets_another_one_after_ten_minutes(
    api: Api, backend: Backend, queue: TaskList, clock: ManualClock, client: ObservedClient, add_user: AddUser
) -> None:
    """The queue confirmed the task and still knows its name, but the task used up its attempts."""
    add_user(paid=10)
    keyed = {**QUEUED, "idempotencyKey": "once"}
    request_id = api.result(CREATE, keyed)["generationRequestId"]
    queue.put_so_far.clear()
    clock.at += timedelta(minutes=6)
    assert (backend.sweeper.sweep(), queue.put_so_far) == (0, [])
    clock.at += timedelta(minutes=4)
    assert (backend.sweeper.sweep(), len(queue.put_so_far)) == (1, 1)
    assert client.document(f"generationRequests/{request_id}").get().get("taskNumber") == 1
    api.result(CREATE, keyed)  # has the number of the new task
    assert (backend.sweeper.sweep(), len(queue.put_so_far)) == (0, 1)
    assert deliver(backend, queue) == [Status.COMPLETED]


def test_one_sweep_replaces_few_tasks(
    api: Api, backend: Backend, queue: TaskList, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    for _ in range(REPLACED_MAX + 5):
        api.result(CREATE, QUEUED)
    clock.at += timedelta(minutes=11)
    queue.put_so_far.clear()
    assert (backend.sweeper.sweep(), len(queue.put_so_far)) == (REPLACED_MAX, REPLACED_MAX)
    assert (backend.sweeper.sweep(), len(queue.put_so_far)) == (5, REPLACED_MAX + 5)
    assert backend.sweeper.sweep() == 0
    assert deliver(backend, queue) == [Status.COMPLETED] * (REPLACED_MAX + 5)


def test_waiting_requests_cost_a_sweep_no_writes(
    api: Api, backend: Backend, queue: TaskList, clock: ManualClock, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=100)
    for _ in range(5):
        api.result(CREATE, QUEUED)
    clock.at += timedelta(minutes=6)
    client.wire.reset()
    assert backend.sweeper.sweep() == 0
    assert client.wire.writes == 0
    deliver(backend, queue)


def test_task_of_an_unreadable_request_is_done(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, add_user: AddUser
) -> None:
    """Otherwise, the queue would deliver the task again and again."""
    add_user(paid=10)
    request = client.document(f"generationRequests/{api.result(CREATE, QUEUED)['generationRequestId']}")
    request.update({"cost": "3"})
    assert deliver(backend, queue) == [None]
    request.update({"cost": 3})
    assert deliver(backend, queue) == [Status.COMPLETED]


def test_sweeper_queues_a_request_whose_task_was_lost(
    api: Api, backend: Backend, queue: TaskList, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    queue.down = True
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    queue.down = False
    clock.at += timedelta(minutes=4)
    assert backend.sweeper.sweep() == 0
    clock.at += timedelta(minutes=2)
    assert (backend.sweeper.sweep(), backend.sweeper.sweep()) == (1, 0)
    assert deliver(backend, queue) == [Status.COMPLETED]
    assert state(api, request_id)["status"] == "completed"


def test_expired_request_is_refunded(
    api: Api, backend: Backend, queue: TaskList, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    for _ in range(13):
        clock.at += timedelta(minutes=5, seconds=1)
        backend.sweeper.sweep()
    given_up = state(api, request_id)
    assert (given_up["status"], given_up["error"]["reason"]) == ("failed", "EXPIRED")
    assert balance(api) == 10
    assert deliver(backend, queue) == [None] * len(queue.put_so_far)


def test_request_of_a_dead_worker_is_refunded(
    api: Api, backend: Backend, queue: TaskList, clock: ManualClock, provider: Provider, add_user: AddUser
) -> None:
    add_user(paid=10)

    class Died(BaseException):
        pass

    def die(_job: Job) -> str:
        raise Died

    provider.generate = die
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    with pytest.raises(Died):
        deliver(backend, queue)
    assert state(api, request_id)["status"] == "processing"
    assert deliver(backend, queue) == [None]
    clock.at += timedelta(minutes=4)
    assert backend.sweeper.sweep() == 1
    assert state(api, request_id)["error"]["reason"] == "ABANDONED"
    assert balance(api) == 10


@pytest.mark.parametrize("end", ["failed", "canceled", "expired"])
def test_repeated_key_of_a_refunded_request_tells_the_refund(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, clock: ManualClock, add_user: AddUser, end: str
) -> None:
    add_user(paid=10)
    keyed = {**QUEUED, "idempotencyKey": "once"}
    set_models(client, failureRate=1)
    request_id = api.result(CREATE, keyed)["generationRequestId"]
    if end == "canceled":
        api.result(CANCEL, {"generationRequestId": request_id})
    elif end == "expired":
        clock.at += timedelta(hours=2)
        backend.sweeper.sweep()
    deliver(backend, queue)
    again, got = api.result(CREATE, keyed), state(api, request_id)
    charge = {"cost": 3, "refundedCredits": 3, "netCredits": 0}
    assert charge.items() <= again.items()
    assert charge.items() <= got.items()
    assert (again["deductedCredits"], again["status"], again["error"]) == (3, got["status"], got["error"])


# Cancellation


def test_pending_request_is_canceled_and_refunded(
    api: Api, backend: Backend, queue: TaskList, add_user: AddUser
) -> None:
    add_user(trial=1, paid=9)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    assert api.result(CANCEL, {"generationRequestId": request_id}) == {
        "generationRequestId": request_id,
        "status": "canceled",
        "cost": 3,
        "refundedCredits": 3,
        "netCredits": 0,
        "currentCredits": 10,
    }
    assert deliver(backend, queue) == [None]
    canceled = state(api, request_id)
    assert (canceled["status"], canceled["refunded"], canceled["error"]["reason"]) == ("canceled", True, "CANCELED")
    assert api.result("getCreditBalance", {"userId": "user"})["trialCredits"] == 1


@pytest.fixture
def running(api: Api, backend: Backend, queue: TaskList, provider: Provider, add_user: AddUser) -> Iterator[Any]:
    """Return a function that starts a request, and returns its id and a function that lets its model finish."""
    reached, go_on = threading.Event(), threading.Event()

    def wait(job: Job) -> str:
        reached.set()
        assert go_on.wait(20)
        if job.prompt == "fail":
            raise GeneratorFailed("no")
        return "https://images.example.com/late.png"

    provider.generate = wait
    add_user(paid=10)
    with ThreadPoolExecutor() as pool:

        def start(prompt: str = "a fox") -> tuple[str, Any]:
            request_id = api.result(CREATE, order(mode="async", prompt=prompt))["generationRequestId"]
            delivery = pool.submit(deliver, backend, queue)
            assert reached.wait(20)

            def end() -> list[Status | None]:
                go_on.set()
                return delivery.result(20)

            return request_id, end

        yield start
        go_on.set()


@pytest.mark.parametrize("prompt", ["a fox", "fail"])
def test_running_request_is_canceled_and_its_result_discarded(api: Api, running: Any, prompt: str) -> None:
    request_id, end = running(prompt)
    assert state(api, request_id)["status"] == "processing"
    assert api.result(CANCEL, {"generationRequestId": request_id})["currentCredits"] == 10
    assert end() == [Status.CANCELED]
    assert state(api, request_id)["status"] == "canceled"
    assert "imageUrl" not in state(api, request_id)
    assert balance(api) == 10


def test_repeated_cancellation_is_answered_as_the_first(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    first = api.result(CANCEL, {"generationRequestId": request_id})
    api.result(CREATE, order(size="512x512"))
    client.wire.reset()
    again = api.call(CANCEL, {"generationRequestId": request_id})
    assert (again.get_json() or {})["result"] == {**first, "currentCredits": 9, "replayed": True}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert client.wire.writes == 0


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_ended_request_cannot_be_canceled(
    api: Api, backend: Backend, queue: TaskList, client: ObservedClient, add_user: AddUser, status: str
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1 if status == "failed" else 0)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    deliver(backend, queue)
    left = balance(api)
    error = api.error(CANCEL, {"generationRequestId": request_id})
    assert error["status"] == "FAILED_PRECONDITION"
    refunded = 0 if status == "completed" else 3
    assert error["details"] == {
        "reason": "REQUEST_ENDED",
        "generationRequestId": request_id,
        "status": status,
        "cost": 3,
        "refundedCredits": refunded,
        "netCredits": 3 - refunded,
    }
    assert balance(api) == left


def test_only_the_owner_may_cancel(api: Api, backend: Backend, queue: TaskList, add_user: AddUser) -> None:
    add_user(paid=10)
    assert api.error(CANCEL, {"generationRequestId": "nothing"})["details"]["reason"] == "REQUEST_NOT_FOUND"
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    with pytest.raises(Exception, match="no generation request"):
        backend.cancellations.cancel(request_id, lambda request: request.user_id == "other")
    assert state(api, request_id)["status"] == "pending"
    deliver(backend, queue)


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_cancellation_survives_lost_or_refused_commit(
    api: Api, faulty: FaultyDatabase, add_user: AddUser, fault: Any
) -> None:
    add_user(paid=10)
    request_id = api.result(CREATE, QUEUED)["generationRequestId"]
    faulty.faults = [fault]
    assert api.result(CANCEL, {"generationRequestId": request_id})["currentCredits"] == 10


def test_sync_call_of_a_canceled_request_returns_canceled(
    api: Api, backend: Backend, provider: Provider, add_user: AddUser
) -> None:
    add_user(paid=10)

    def cancel(job: Job) -> str:
        backend.cancellations.cancel(job.request_id, lambda _: True)
        return "https://images.example.com/late.png"

    provider.generate = cancel
    error = api.error(CREATE, ORDER)
    assert (error["status"], error["details"]["reason"]) == ("CANCELLED", "CANCELED")
    assert (error["details"]["refundedCredits"], balance(api)) == (3, 10)

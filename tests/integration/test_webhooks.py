"""Tests of webhooks: the outbox, attempts, secrets, listing and resending."""

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from imagegen.bootstrap import Backend
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.webhooks import OVERDUE, RETRY_AFTER_MAX, RETRY_WINDOW, SENDING_LEASE, DeliveryStatus
from imagegen.ports.image_generator import Job
from imagegen.ports.webhook_sender import Answer, Forbidden, Unreachable
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.faults import FaultyDatabase, Lost, refuse
from tests.support.orders import order
from tests.support.receivers import verified
from tests.support.times import NOON
from tests.support.webhooks import Receiver, TimedTaskList, deliver
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

URL = "https://hooks.example.com/imagegen?token=s3cret"
CREATE, GET, CANCEL = "createGenerationRequest", "getGenerationRequest", "cancelGenerationRequest"
LIST, RESEND, SECRET = "listWebhookDeliveries", "resendWebhook", "getWebhookSecret"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def queue() -> TimedTaskList:
    return TimedTaskList()


@pytest.fixture
def receiver(clock: ManualClock) -> Receiver:
    return Receiver(clock)


@pytest.fixture
def delivery_id(api: Api, add_user: AddUser) -> str:
    """Complete a request with a webhook. Return the id of the delivery, which is due."""
    add_user(paid=10)
    request_id: str = api.result(CREATE, order(webhookUrl=URL))["generationRequestId"]
    return f"{request_id}-completed"


def listed(api: Api, **params: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.result(LIST, {"userId": "user", **params})["deliveries"]
    return found


def only_delivery(api: Api) -> dict[str, Any]:
    """Return the user's only delivery."""
    [delivery] = listed(api)
    return delivery


def documents(client: ObservedClient) -> dict[str, dict[str, Any]]:
    return {document.id: document.to_dict() or {} for document in client.collection("webhookDeliveries").stream()}


# The outbox


def end_completed(api: Api, backend: Backend, client: ObservedClient, clock: ManualClock) -> str:
    request_id: str = api.result(CREATE, order(webhookUrl=URL))["generationRequestId"]
    return request_id


def end_failed(api: Api, backend: Backend, client: ObservedClient, clock: ManualClock) -> str:
    set_models(client, failureRate=1)
    request_id: str = api.error(CREATE, order(webhookUrl=URL))["details"]["generationRequestId"]
    return request_id


def end_canceled(api: Api, backend: Backend, client: ObservedClient, clock: ManualClock) -> str:
    request_id: str = api.result(CREATE, order(mode="async", webhookUrl=URL))["generationRequestId"]
    api.result(CANCEL, {"generationRequestId": request_id})
    return request_id


def end_expired(api: Api, backend: Backend, client: ObservedClient, clock: ManualClock) -> str:
    request_id: str = api.result(CREATE, order(mode="async", webhookUrl=URL))["generationRequestId"]
    clock.at += timedelta(hours=2)
    backend.sweeper.sweep()
    return request_id


@pytest.mark.parametrize(
    ("end", "status"),
    [(end_completed, "completed"), (end_failed, "failed"), (end_canceled, "canceled"), (end_expired, "failed")],
)
def test_webhook_has_the_same_data_as_the_api_for_every_outcome(
    api: Api,
    backend: Backend,
    client: ObservedClient,
    queue: TimedTaskList,
    receiver: Receiver,
    clock: ManualClock,
    add_user: AddUser,
    end: Callable[..., str],
    status: str,
) -> None:
    add_user(paid=10)
    request_id = end(api, backend, client, clock)
    event = f"{request_id}-{status}"
    assert documents(client).keys() == {event}
    assert deliver(api, queue) == 200
    [(url, body, headers)] = receiver.received
    assert (url, headers["webhook-id"], headers["content-type"]) == (URL, event, "application/json")
    expected = api.result(GET, {"generationRequestId": request_id})
    assert json.loads(body) == {"type": f"generation.{status}", "timestamp": expected["finishedAt"], "data": expected}
    delivered = only_delivery(api)
    assert (delivered["deliveryId"], delivered["type"], delivered["status"]) == (
        event,
        f"generation.{status}",
        "delivered",
    )


def test_worker_creates_the_webhook_of_a_queued_request(
    api: Api, backend: Backend, queue: TimedTaskList, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    api.result(CREATE, order(mode="async", webhookUrl=URL))
    assert documents(client) == {}
    [(_, task)] = queue.put_so_far
    backend.worker.run(task["generationRequestId"], task["ticket"])
    assert only_delivery(api)["type"] == "generation.completed"
    assert len(queue.webhooks) == 1


@pytest.mark.parametrize(("failure_rate", "cost"), [(0, (3, 2, 5)), (1, (4, 3, 7))])
def test_webhook_costs_one_write_and_no_read(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser, failure_rate: int, cost: tuple[int, ...]
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=failure_rate)
    backend.catalogs.current()
    client.wire.reset()
    api.call(CREATE, order(webhookUrl=URL))
    assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == cost


def test_request_without_webhook_url_has_no_webhook(
    api: Api, client: ObservedClient, queue: TimedTaskList, add_user: AddUser
) -> None:
    add_user(paid=10)
    api.result(CREATE, order())
    api.result(CREATE, order(webhookUrl=None))
    assert (documents(client), queue.webhooks) == ({}, [])


def test_private_url_is_refused(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    [violation] = api.error(CREATE, order(webhookUrl="https://169.254.169.254/"))["details"]["violations"]
    assert violation == {"field": "webhookUrl", "message": "must be at a public host"}
    assert list(client.collection("generationRequests").stream()) == []


def test_sweeper_queues_a_webhook_whose_task_was_lost(
    api: Api, backend: Backend, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    queue.down = True
    assert api.result(CREATE, order(webhookUrl=URL))["imageUrl"]
    queue.down = False
    clock.at += timedelta(minutes=4)
    assert backend.sweeper.sweep() == 0  # the task may still arrive
    clock.at += timedelta(minutes=2)
    assert (backend.sweeper.sweep(), backend.sweeper.sweep()) == (1, 0)
    assert deliver(api, queue) == 200
    assert len(receiver.received) == 1


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_lost_or_refused_settlement_creates_one_webhook(
    api: Api, faulty: FaultyDatabase, client: ObservedClient, queue: TimedTaskList, add_user: AddUser, fault: Any
) -> None:
    add_user(paid=10)
    faulty.faults = [None, fault]
    api.result(CREATE, order(webhookUrl=URL))
    assert len(documents(client)) == 1
    assert len(queue.webhooks) == 1


def test_next_sweep_retries_a_refused_commit(
    api: Api, backend: Backend, faulty: FaultyDatabase, queue: TimedTaskList, clock: ManualClock, delivery_id: str
) -> None:
    clock.at += timedelta(minutes=11)
    faulty.faults = [refuse]
    assert backend.sweeper.sweep() == 0
    assert backend.sweeper.sweep() == 1
    assert len(queue.webhooks) == 2


def test_webhook_whose_task_may_still_wait_gets_no_other_task_for_ten_minutes(
    backend: Backend, queue: TimedTaskList, clock: ManualClock, delivery_id: str
) -> None:
    clock.at += timedelta(minutes=9)
    assert (backend.sweeper.sweep(), len(queue.webhooks)) == (0, 1)
    clock.at += timedelta(minutes=2)
    assert (backend.sweeper.sweep(), len(queue.webhooks)) == (1, 2)
    assert (backend.sweeper.sweep(), len(queue.webhooks)) == (0, 2)


def die_while_sending(api: Api, queue: TimedTaskList, receiver: Receiver) -> None:
    """Let the worker die while it sends the newest webhook."""

    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    receiver.meanwhile = die
    with pytest.raises(Died):
        deliver(api, queue)
    receiver.meanwhile = lambda: None


def test_webhook_whose_worker_died_is_queued_again(
    api: Api, backend: Backend, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    die_while_sending(api, queue, receiver)
    clock.at += SENDING_LEASE + OVERDUE + timedelta(seconds=1)
    assert (backend.sweeper.sweep(), backend.sweeper.sweep()) == (1, 0)
    assert deliver(api, queue) == 200
    assert len(queue.webhooks) == 2


def test_attempt_is_not_recorded_over_the_claim_of_another_task(
    api: Api,
    client: ObservedClient,
    queue: TimedTaskList,
    faulty: FaultyDatabase,
    delivery_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another task claims the webhook just after this task has read the document to record its attempt."""
    path, reads = f"webhookDeliveries/{delivery_id}", itertools.count(1)
    read = faulty.read

    def read_and_lose_the_claim(*paths: str) -> Any:
        documents = read(*paths)
        if path in paths and next(reads) == 2:
            client.document(path).update({"worker": "another"})
        return documents

    monkeypatch.setattr(faulty, "read", read_and_lose_the_claim)
    deliver(api, queue)
    stored = client.document(path).get()
    assert (stored.get("worker"), stored.get("attemptCount")) == ("another", 0)


def test_repeated_resends_of_a_due_webhook_put_one_task_on_the_queue(
    api: Api, queue: TimedTaskList, clock: ManualClock, delivery_id: str
) -> None:
    deliver(api, queue)
    for _ in range(50):
        api.result(RESEND, {"deliveryId": delivery_id})
        clock.sleep(1)
    assert len(queue.webhooks) == 2


def test_resend_of_a_webhook_that_waits_for_its_task_puts_no_other_task_on_the_queue(
    api: Api, queue: TimedTaskList, clock: ManualClock, delivery_id: str
) -> None:
    clock.sleep(1)
    api.result(RESEND, {"deliveryId": delivery_id})
    assert len(queue.webhooks) == 1


# Attempts


def test_standardwebhooks_library_verifies_the_signature(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    assert deliver(api, queue) == 200
    [(_, body, headers)] = receiver.received
    secret = api.result(SECRET, OF_URL)["webhookSecret"]
    event = verified(secret, body, headers, clock.at)
    assert event["data"]["status"] == "completed"
    with pytest.raises(Exception, match="No matching signature"):
        verified(secret, body.replace("completed", "canceled"), headers, clock.at)


def test_failed_attempts_are_retried_with_growing_delays_for_three_days(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    receiver.answers = [
        500,
        Unreachable("the host name cannot be resolved"),
        Forbidden("the host's address is not public"),
        302,
    ]
    statuses = []
    for number in range(1, 100):
        if only_delivery(api)["status"] != "pending":
            break
        clock.at = max(clock.at, queue.webhooks[-1][0])
        statuses.append(deliver(api, queue))
        if number == 1:
            assert only_delivery(api)["attempts"] == [
                {"at": "2026-11-18T12:00:00.000000Z", "durationMs": 250, "statusCode": 500}
            ]
    assert set(statuses) == {200}
    delays = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(queue.webhooks)]
    assert timedelta(seconds=5) < delays[0] < timedelta(seconds=11)
    assert all(timedelta(hours=3) <= delay < timedelta(hours=6, seconds=1) for delay in delays[-5:])
    assert all(later < 3.5 * earlier + timedelta(seconds=10) for earlier, later in itertools.pairwise(delays))
    assert len(set(delays)) == len(delays)  # with jitter
    assert timedelta(hours=66) < clock.at - NOON <= RETRY_WINDOW
    failed = only_delivery(api)
    assert (failed["status"], failed["attemptCount"]) == ("failed", len(statuses))
    assert len(failed["attempts"]) == len(statuses)  # all attempts are kept
    assert "nextAttemptAt" not in failed
    assert {body for _, body, _ in receiver.received} == {receiver.received[0][1]}
    assert {headers["webhook-id"] for *_, headers in receiver.received} == {delivery_id}
    assert len({headers["webhook-timestamp"] for *_, headers in receiver.received}) == len(statuses)


@pytest.mark.parametrize(
    ("answer", "delay"),
    [
        (Answer(429, "900"), timedelta(minutes=15)),
        (Answer(503, "Wed, 18 Nov 2026 13:00:00 GMT"), timedelta(hours=1)),
        (Answer(503, "99999999999999999999"), RETRY_AFTER_MAX),
        (Answer(429, "1"), timedelta(seconds=5)),  # less than the backend waits anyway
        (Answer(500, "900"), timedelta(seconds=5)),
        (Answer(429, "soon"), timedelta(seconds=5)),
    ],
    ids=str,
)
def test_retry_after_of_429_and_503_is_respected(
    api: Api,
    queue: TimedTaskList,
    receiver: Receiver,
    clock: ManualClock,
    delivery_id: str,
    answer: Answer,
    delay: timedelta,
) -> None:
    receiver.answers = [answer, 200]
    deliver(api, queue)
    due_at = queue.webhooks[-1][0]
    assert delay - timedelta(seconds=1) <= due_at - NOON <= delay + timedelta(seconds=6)
    clock.at = due_at
    deliver(api, queue)
    assert only_delivery(api)["status"] == "delivered"


def test_attempt_without_an_answer_records_its_error(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    receiver.answers = [Forbidden("the host's address is not public"), 200]
    deliver(api, queue)
    assert only_delivery(api)["attempts"][0]["error"] == "the host's address is not public"
    clock.at = queue.webhooks[-1][0]
    deliver(api, queue)
    assert [attempt.get("statusCode") for attempt in only_delivery(api)["attempts"]] == [None, 200]
    assert only_delivery(api)["status"] == "delivered"


# Receivers that fail


def receiver_document(client: ObservedClient) -> dict[str, Any]:
    [document] = client.collection("webhookEndpoints").stream()
    return document.to_dict() or {}


def test_retries_have_a_queue_of_their_own(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    receiver.answers = [500]
    for _ in range(3):
        deliver(api, queue)
        clock.at = queue.webhooks[-1][0]
    assert [name for name, _ in queue.put_so_far] == ["deliverWebhook", *["retryWebhook"] * 3]


def test_failing_receiver_is_paused_and_the_next_success_ends_that(
    api: Api,
    queue: TimedTaskList,
    receiver: Receiver,
    client: ObservedClient,
    clock: ManualClock,
    add_user: AddUser,
) -> None:
    add_user(paid=10)
    receiver.answers = [Answer(503, "600"), 500, 200]
    api.result(CREATE, order(webhookUrl=URL))
    deliver(api, queue)
    began = clock.at
    assert receiver_document(client) == {
        "schemaVersion": 1,
        "userId": "user",
        "url": "https://hooks.example.com",
        "failingSince": NOON,
        "pausedUntil": began + timedelta(minutes=10),
        "secretNumber": 0,
        "previousSecretUntil": None,
        "givenUpAt": None,
        "deletedAt": None,
    }
    second = api.result(CREATE, order(webhookUrl=URL))["generationRequestId"]
    assert deliver(api, queue) == 200  # put off, without an attempt
    assert len(receiver.received) == 1
    name, put_off = queue.put_so_far[-1]
    assert (name, put_off) == ("retryWebhook", {"deliveryId": f"{second}-completed", "attempt": "0"})
    assert began + timedelta(minutes=10) < queue.webhooks[-1][0] < began + timedelta(minutes=11)
    clock.at = queue.webhooks[-1][0]
    deliver(api, queue)  # fails again: now it has been failing for ten minutes, so it pauses for five
    assert timedelta(minutes=5) < receiver_document(client)["pausedUntil"] - clock.at < timedelta(minutes=6)
    clock.at = queue.webhooks[-1][0]
    deliver(api, queue)
    state = receiver_document(client)
    assert (state["failingSince"], state["pausedUntil"]) == (None, None)
    assert len(receiver.received) == 3


def test_failing_receiver_gets_one_attempt_at_a_time(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    receiver.answers = [500]
    api.result(CREATE, order(webhookUrl=URL))
    deliver(api, queue)
    clock.at += timedelta(minutes=1)
    api.result(CREATE, order(webhookUrl=URL))
    meanwhile: list[int] = []

    def deliver_another() -> None:
        receiver.meanwhile = lambda: None
        meanwhile.append(deliver(api, queue, 1))  # the retry of the first one, which is due too

    receiver.meanwhile = deliver_another
    deliver(api, queue)
    assert (meanwhile, len(receiver.received)) == ([200], 2)


def test_other_receiver_of_the_user_is_not_paused(
    api: Api, queue: TimedTaskList, receiver: Receiver, add_user: AddUser
) -> None:
    add_user(paid=10)
    receiver.answers = [Answer(503, "600"), 200]
    api.result(CREATE, order(webhookUrl=URL))
    deliver(api, queue)
    api.result(CREATE, order(webhookUrl="https://other.example.com/"))
    deliver(api, queue)
    assert [url for url, *_ in receiver.received] == [URL, "https://other.example.com/"]


def test_resend_does_not_wait_for_the_end_of_a_pause(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    receiver.answers = [Answer(503, "600"), 200]
    deliver(api, queue)
    clock.at += timedelta(seconds=1)
    api.result(RESEND, {"deliveryId": delivery_id})
    deliver(api, queue)
    assert only_delivery(api)["status"] == "delivered"


def test_webhook_whose_time_ends_during_a_pause_fails(
    api: Api, queue: TimedTaskList, receiver: Receiver, client: ObservedClient, clock: ManualClock, delivery_id: str
) -> None:
    receiver.answers = [500]
    deliver(api, queue)
    clock.at = NOON + RETRY_WINDOW - timedelta(minutes=1)
    [state] = client.collection("webhookEndpoints").list_documents()
    state.update({"pausedUntil": clock.at + timedelta(hours=1)})
    deliver(api, queue)
    assert (only_delivery(api)["status"], len(receiver.received)) == ("failed", 1)


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_putting_off_survives_lost_or_refused_commit(
    api: Api,
    faulty: FaultyDatabase,
    queue: TimedTaskList,
    receiver: Receiver,
    clock: ManualClock,
    add_user: AddUser,
    fault: Any,
) -> None:
    add_user(paid=10)
    receiver.answers = [Answer(503, "600"), 200]
    api.result(CREATE, order(webhookUrl=URL))
    deliver(api, queue)
    api.result(CREATE, order(webhookUrl=URL))
    faulty.faults = [fault]
    assert deliver(api, queue) == 200
    assert (len(receiver.received), queue.webhooks[-1][0] > clock.at + timedelta(minutes=9)) == (1, True)


def test_slow_attempts_of_a_user_are_limited_whatever_the_receiver_answers(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=50)
    receiver.meanwhile = lambda: clock.sleep(18.75)
    for number in range(16):
        api.result(CREATE, order(webhookUrl=f"https://{number}.example.com/", size="512x512"))
    for number in range(16):
        deliver(api, queue, number)
        clock.at = NOON  # as if they were attempted at once
    assert len(receiver.received) == 9  # 19 seconds each: four slots make up for them in one minute
    done = 16
    while done < len(queue.webhooks):
        clock.at = max(clock.at, queue.webhooks[done][0])
        deliver(api, queue, done)
        done += 1
    assert len(receiver.received) == 16


def test_quick_attempts_write_nothing_but_the_delivery(
    api: Api, queue: TimedTaskList, client: ObservedClient, clock: ManualClock, delivery_id: str
) -> None:
    api.result(SECRET, OF_URL)
    client.wire.reset()
    deliver(api, queue)
    assert client.wire.writes == 2
    assert list(client.collection("webhookEndpoints").stream()) == []
    assert list(client.collection("webhookSending").stream()) == []


@pytest.mark.parametrize("path", ["webhookEndpoints", "webhookSending"])
def test_unreadable_state_does_not_stop_webhooks(
    api: Api,
    queue: TimedTaskList,
    receiver: Receiver,
    client: ObservedClient,
    clock: ManualClock,
    path: str,
    delivery_id: str,
) -> None:
    receiver.answers = [500, 200]
    receiver.meanwhile = lambda: clock.sleep(2)
    deliver(api, queue)
    [document] = client.collection(path).list_documents()
    document.update({"pausedUntil": "soon", "busyUntil": "soon"})
    clock.at = queue.webhooks[-1][0]
    deliver(api, queue)
    if path == "webhookEndpoints":  # its secret is unknown, so nothing is sent until it is repaired
        assert only_delivery(api)["attempts"][-1]["error"] == "the receiver cannot be read"
        document.update({"pausedUntil": None})
        clock.at = queue.webhooks[-1][0]
        deliver(api, queue)
    assert only_delivery(api)["status"] == "delivered"


def test_410_stops_retries(api: Api, queue: TimedTaskList, receiver: Receiver, delivery_id: str) -> None:
    receiver.answers = [410]
    deliver(api, queue)
    assert only_delivery(api)["status"] == "failed"
    assert len(queue.webhooks) == 1


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_delivered(api: Api, queue: TimedTaskList, receiver: Receiver, delivery_id: str, status: int) -> None:
    receiver.answers = [status]
    deliver(api, queue)
    assert only_delivery(api)["status"] == "delivered"


@pytest.mark.parametrize("status", [199, 300, 301, 307, 400, 404, 429, 503])
def test_other_status_is_retried(
    api: Api, queue: TimedTaskList, receiver: Receiver, delivery_id: str, status: int
) -> None:
    receiver.answers = [status]
    deliver(api, queue)
    assert only_delivery(api)["status"] == "pending"


def test_repeated_task_sends_nothing(
    api: Api, queue: TimedTaskList, receiver: Receiver, client: ObservedClient, clock: ManualClock, delivery_id: str
) -> None:
    receiver.answers = [500, 200]
    deliver(api, queue, 0)
    assert deliver(api, queue, 0) == 200  # this attempt was made already
    assert deliver(api, queue, 1) == 503  # not due yet, so the queue retries later
    assert len(receiver.received) == 1
    clock.at = queue.webhooks[1][0]
    assert deliver(api, queue, 1) == 200
    client.wire.reset()
    assert deliver(api, queue, 1) == deliver(api, queue, 0) == 200
    assert (len(receiver.received), client.wire.writes) == (2, 0)


def test_concurrent_tasks_send_once(api: Api, queue: TimedTaskList, receiver: Receiver, delivery_id: str) -> None:
    meanwhile: list[int] = []
    receiver.meanwhile = lambda: meanwhile.append(deliver(api, queue, 0))
    assert deliver(api, queue, 0) == 200
    assert meanwhile == [503]
    assert len(receiver.received) == 1


def test_webhook_of_a_dead_worker_is_sent_after_its_lease(
    api: Api, backend: Backend, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    die_while_sending(api, queue, receiver)
    assert deliver(api, queue) == 503
    clock.at += SENDING_LEASE
    assert deliver(api, queue) == 200
    assert only_delivery(api)["status"] == "delivered"
    assert len(receiver.received) == 2  # at least once


def test_slow_worker_does_not_overwrite_a_later_attempt(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    def overtake() -> None:
        receiver.meanwhile = lambda: None
        clock.at += SENDING_LEASE
        assert deliver(api, queue) == 200

    receiver.answers = [200, 500]
    receiver.meanwhile = overtake
    assert deliver(api, queue) == 200
    assert [attempt["statusCode"] for attempt in only_delivery(api)["attempts"]] == [200]
    assert only_delivery(api)["status"] == "delivered"


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
@pytest.mark.parametrize("commits_before", [0, 1, 2])
def test_delivery_survives_lost_or_refused_commit(
    api: Api,
    faulty: FaultyDatabase,
    queue: TimedTaskList,
    receiver: Receiver,
    delivery_id: str,
    fault: Any,
    commits_before: int,
) -> None:
    """The three commits claim the webhook, create the secret and record the attempt."""
    receiver.answers = [500]
    faulty.faults = [*[None] * commits_before, fault]
    assert deliver(api, queue) == 200
    assert only_delivery(api)["attemptCount"] == 1
    assert (len(receiver.received), len(queue.webhooks)) == (1, 2)


def test_unreachable_database_makes_the_queue_retry(
    api: Api, faulty: FaultyDatabase, queue: TimedTaskList, receiver: Receiver, delivery_id: str
) -> None:
    faulty.down = True
    assert deliver(api, queue) >= 500
    faulty.down = False
    assert deliver(api, queue) == 200
    assert len(receiver.received) == 1


def test_webhook_of_a_deleted_user_fails(
    api: Api, queue: TimedTaskList, receiver: Receiver, client: ObservedClient, delivery_id: str
) -> None:
    before = client.document("users/user").get().to_dict() or {}
    client.document("users/user").delete()
    assert deliver(api, queue) == 200
    assert receiver.received == []
    [delivery] = documents(client).values()
    assert (delivery["status"], delivery["attempts"][0]["error"]) == ("failed", "the user does not exist")
    client.document("users/user").set(before)


@pytest.mark.parametrize(
    "task", [{}, {"deliveryId": "x"}, {"deliveryId": "a/b", "attempt": "0"}, {"deliveryId": "x", "attempt": "-1"}]
)
def test_invalid_task_is_refused(api: Api, receiver: Receiver, task: dict[str, str], delivery_id: str) -> None:
    assert api.call("deliverWebhook", task).status_code == 400
    assert api.call("deliverWebhook", {"deliveryId": "unknown", "attempt": "0"}).status_code == 200
    assert receiver.received == []


def test_failed_attempt_is_logged_without_the_url(
    api: Api, queue: TimedTaskList, receiver: Receiver, delivery_id: str, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.answers = [500]
    deliver(api, queue)
    logged = capfd.readouterr()
    assert '"event": "WEBHOOK_NOT_ACCEPTED"' in logged.out
    assert '"statusCode": 500' in logged.out
    assert "s3cret" not in logged.out + logged.err


def test_crash_is_logged_without_the_url(
    api: Api, provider: Provider, add_user: AddUser, capfd: pytest.CaptureFixture[str]
) -> None:
    def crash(_job: Job) -> str:
        raise RuntimeError(URL)

    provider.generate = crash
    add_user(paid=10)
    api.error(CREATE, order(webhookUrl=URL))
    logged = capfd.readouterr()
    assert '"event": "PROVIDER_CRASHED"' in logged.err
    assert "RuntimeError" in logged.err
    assert "s3cret" not in logged.out + logged.err


# The secret


OTHER_URL = "https://other.example.com/"
OF_URL = {"userId": "user", "webhookUrl": URL}


def secret(api: Api, **params: object) -> str:
    made: str = api.result(SECRET, {"userId": "user", **params})["webhookSecret"]
    return made


def verifies(receiver: Receiver, clock: ManualClock, secret: str) -> bool:
    """Return whether the newest webhook verifies with a secret."""
    _, body, headers = receiver.received[-1]
    try:
        return bool(verified(secret, body, headers, clock.at))
    except WebhookVerificationError:
        return False


def send_another(api: Api, queue: TimedTaskList, url: str = URL) -> None:
    api.result(CREATE, order(webhookUrl=url, size="512x512"))
    assert deliver(api, queue) == 200


def test_secret_is_created_when_first_needed_and_kept(
    api: Api, queue: TimedTaskList, client: ObservedClient, delivery_id: str
) -> None:
    assert not client.document("webhookSecrets/user").get().exists
    before = client.document("users/user").get()
    deliver(api, queue)
    assert client.document("users/user").get().to_dict() == before.to_dict()  # its owner can read that document
    kept = secret(api, webhookUrl=URL)
    assert kept == secret(api, webhookUrl=URL, rotate=False, expirePrevious=False)
    assert kept == secret(api, webhookUrl="https://hooks.example.com/another?path")
    assert kept.startswith("whsec_")
    assert len(Webhook(kept)._whsecret) == 32
    assert client.document("webhookSecrets/user").get().get("secret") is None  # nobody has asked for one


def test_receiver_cannot_forge_webhooks_to_another(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    own, other = secret(api, webhookUrl=URL), secret(api, webhookUrl=OTHER_URL)
    assert own != other
    deliver(api, queue)
    assert (verifies(receiver, clock, own), verifies(receiver, clock, other)) == (True, False)
    send_another(api, queue, OTHER_URL)
    assert (verifies(receiver, clock, own), verifies(receiver, clock, other)) == (False, True)


def test_secret_for_all_receivers_signs_too_once_it_was_asked_for(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    deliver(api, queue)
    assert len(receiver.received[-1][2]["webhook-signature"].split(" ")) == 1
    shared = secret(api)
    assert shared == secret(api) != secret(api, webhookUrl=URL)
    send_another(api, queue)
    assert verifies(receiver, clock, shared)
    assert verifies(receiver, clock, secret(api, webhookUrl=URL))


@pytest.mark.parametrize("of", [{}, {"webhookUrl": URL}], ids=["shared", "of a URL"])
def test_after_a_rotation_both_secrets_sign_for_a_day(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str, of: dict[str, str]
) -> None:
    before = secret(api, **of)
    after = secret(api, **of, rotate=True)
    assert before != after
    clock.at += timedelta(hours=23)
    assert secret(api, **of, rotate=True) == after == secret(api, **of)  # no third one
    send_another(api, queue)
    assert (verifies(receiver, clock, before), verifies(receiver, clock, after)) == (True, True)
    clock.at += timedelta(hours=1)
    send_another(api, queue)
    assert (verifies(receiver, clock, before), verifies(receiver, clock, after)) == (False, True)
    assert secret(api, **of, rotate=True) not in (before, after)


@pytest.mark.parametrize("of", [{}, {"webhookUrl": URL}], ids=["shared", "of a URL"])
def test_rotation_can_end_every_earlier_secret_at_once(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str, of: dict[str, str]
) -> None:
    first = secret(api, **of)
    second = secret(api, **of, rotate=True)
    third = secret(api, **of, rotate=True, expirePrevious=True)
    send_another(api, queue)
    assert [verifies(receiver, clock, one) for one in (first, second, third)] == [False, False, True]
    fourth = secret(api, **of, rotate=True)
    assert secret(api, **of, expirePrevious=True) == fourth
    send_another(api, queue)
    assert [verifies(receiver, clock, one) for one in (third, fourth)] == [False, True]


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
@pytest.mark.parametrize("expire", [False, True])
def test_rotation_of_a_receivers_secret_survives_lost_or_refused_commit(
    api: Api, faulty: FaultyDatabase, client: ObservedClient, add_user: AddUser, fault: Any, expire: bool
) -> None:
    add_user()
    secret(api, webhookUrl=URL)
    faulty.faults = [fault]
    made = secret(api, webhookUrl=URL, rotate=True, expirePrevious=expire)
    assert made == secret(api, webhookUrl=URL)
    assert receiver_document(client)["secretNumber"] == 1


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
@pytest.mark.parametrize("rotate", [False, True])
def test_secret_survives_lost_or_refused_commit(
    api: Api, faulty: FaultyDatabase, client: ObservedClient, add_user: AddUser, fault: Any, rotate: bool
) -> None:
    add_user()
    faulty.faults = [fault]
    secret = api.result(SECRET, {"userId": "user", "rotate": rotate})["webhookSecret"]
    assert client.document("webhookSecrets/user").get().get("secret") == secret


def test_concurrent_calls_create_one_secret(api: Api, add_user: AddUser) -> None:
    add_user()
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: api.result(SECRET, {"userId": "user"})["webhookSecret"], range(8)))
    assert len(secrets) == 1


EARLIER_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def earlier_secret(client: ObservedClient, delivery_id: str) -> str:
    """Store a secret in the user's document, as earlier versions did."""
    client.document("users/user").update({"webhookSecret": EARLIER_SECRET})
    return EARLIER_SECRET


def test_earlier_secret_signs_and_is_moved(
    api: Api,
    queue: TimedTaskList,
    receiver: Receiver,
    clock: ManualClock,
    client: ObservedClient,
    earlier_secret: str,
) -> None:
    deliver(api, queue)
    [(_, body, headers)] = receiver.received
    assert verified(earlier_secret, body, headers, clock.at)
    assert client.document("users/user").get().get("webhookSecret") is None
    assert client.document("webhookSecrets/user").get().get("secret") == earlier_secret
    for _ in range(2):
        assert api.result(SECRET, {"userId": "user"}) == {"webhookSecret": earlier_secret}


@pytest.mark.parametrize("fault", [None, Lost.BEFORE, Lost.AFTER, refuse], ids=["none", "before", "after", "refused"])
@pytest.mark.parametrize("rotate", [False, True])
def test_move_of_earlier_secret_survives_lost_or_refused_commit(
    api: Api, faulty: FaultyDatabase, client: ObservedClient, earlier_secret: str, fault: Any, rotate: bool
) -> None:
    faulty.faults = [fault]
    secret = api.result(SECRET, {"userId": "user", "rotate": rotate})["webhookSecret"]
    assert (secret == earlier_secret) is not rotate
    assert client.document("users/user").get().get("webhookSecret") is None
    assert api.result(SECRET, {"userId": "user"}) == {"webhookSecret": secret}


def test_move_of_earlier_secret_loses_no_credits(
    api: Api, faulty: FaultyDatabase, client: ObservedClient, earlier_secret: str
) -> None:
    faulty.faults = [lambda: api.result(CREATE, order())]
    assert api.result(SECRET, {"userId": "user"}) == {"webhookSecret": earlier_secret}
    assert client.document("users/user").get().get("webhookSecret") is None


def test_secret_of_unknown_user_is_not_found(api: Api) -> None:
    assert api.error(SECRET, {"userId": "nobody"})["details"]["reason"] == "USER_NOT_FOUND"


def test_secret_is_not_in_other_answers(api: Api, queue: TimedTaskList, delivery_id: str) -> None:
    deliver(api, queue)
    secret = api.result(SECRET, OF_URL)["webhookSecret"]
    for function in (LIST, "listGenerationRequests", "getUserCredits", "getCreditBalance"):
        assert secret not in json.dumps(api.result(function, {"userId": "user"}))


# Listing and resending


def test_list_has_only_the_users_deliveries_newest_first(api: Api, clock: ManualClock, add_user: AddUser) -> None:
    add_user("user", paid=50)
    add_user("other", paid=50)
    request_ids = []
    for number in range(7):
        clock.at = NOON + timedelta(hours=number // 2)  # some requests have the same time
        api.result(CREATE, order(userId="other", webhookUrl=URL))
        request_ids.append(api.result(CREATE, order(webhookUrl=URL))["generationRequestId"])
    params: dict[str, Any] = {"userId": "user", "pageSize": 3}
    found = []
    for expected in (3, 3, 1):
        page = api.result(LIST, params)
        assert len(page["deliveries"]) == expected
        found += page["deliveries"]
        params["pageToken"] = page.get("nextPageToken")
    assert params["pageToken"] is None
    times = [delivery["createdAt"] for delivery in found]
    assert times == sorted(times, reverse=True)
    assert {delivery["generationRequestId"] for delivery in found} == set(request_ids)
    [one] = listed(api, generationRequestId=request_ids[3])
    assert one == {
        "deliveryId": f"{request_ids[3]}-completed",
        "generationRequestId": request_ids[3],
        "type": "generation.completed",
        "webhookUrl": URL,
        "receiverGivenUp": False,
        "status": "pending",
        "createdAt": "2026-11-18T13:00:00.000000Z",
        "nextAttemptAt": "2026-11-18T13:00:00.000000Z",
        "attemptCount": 0,
        "attempts": [],
    }
    assert listed(api, generationRequestId="nothing") == []


def test_page_token_of_another_query_is_refused(api: Api, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=10)
    for _ in range(2):
        api.result(CREATE, order(webhookUrl=URL))
    token = api.result(LIST, {"userId": "user", "pageSize": 1})["nextPageToken"]
    for params in ({"userId": "other"}, {"userId": "user", "generationRequestId": "id-1"}):
        [violation] = api.error(LIST, {**params, "pageToken": token})["details"]["violations"]
        assert violation["field"] == "pageToken"


@pytest.mark.parametrize(("answer", "status"), [(200, "delivered"), (410, "failed"), (500, "pending")])
def test_resend_attempts_at_once_and_keeps_id_and_attempts(
    api: Api,
    queue: TimedTaskList,
    receiver: Receiver,
    clock: ManualClock,
    delivery_id: str,
    answer: int,
    status: str,
) -> None:
    receiver.answers = [answer, 200]
    deliver(api, queue)
    assert only_delivery(api)["status"] == status
    clock.at += timedelta(seconds=1)
    resent = api.result(RESEND, {"deliveryId": delivery_id})
    assert (resent["status"], resent["attemptCount"]) == ("pending", 1)
    assert deliver(api, queue) == 200
    delivered = only_delivery(api)
    assert (delivered["status"], [attempt["statusCode"] for attempt in delivered["attempts"]]) == (
        "delivered",
        [answer, 200],
    )
    assert {headers["webhook-id"] for *_, headers in receiver.received} == {delivery_id}
    clock.at += RETRY_WINDOW
    for number in range(len(queue.webhooks)):
        assert deliver(api, queue, number) == 200  # late tasks send nothing
    assert len(receiver.received) == 2


def test_resend_starts_a_new_retry_window(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    receiver.answers = [410, 500]
    deliver(api, queue)
    clock.at += timedelta(days=9)
    api.result(RESEND, {"deliveryId": delivery_id})
    deliver(api, queue)
    assert only_delivery(api)["status"] == "pending"
    assert queue.webhooks[-1][0] < clock.at + timedelta(seconds=11)  # the delays are short again


def test_resend_during_an_attempt_sends_nothing_more(
    api: Api, queue: TimedTaskList, receiver: Receiver, delivery_id: str
) -> None:
    def resend() -> None:
        receiver.meanwhile = lambda: None
        assert api.result(RESEND, {"deliveryId": delivery_id})["status"] == "pending"
        assert deliver(api, queue) == 503

    receiver.meanwhile = resend
    assert deliver(api, queue) == 200
    assert deliver(api, queue) == 200
    assert len(receiver.received) == 1


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_resend_survives_lost_or_refused_commit(
    api: Api,
    faulty: FaultyDatabase,
    queue: TimedTaskList,
    receiver: Receiver,
    clock: ManualClock,
    delivery_id: str,
    fault: Any,
) -> None:
    deliver(api, queue)
    clock.at += timedelta(seconds=1)
    faulty.faults = [fault]
    api.result(RESEND, {"deliveryId": delivery_id})
    deliver(api, queue)
    assert len(receiver.received) == 2


def test_resends_of_one_delivery_are_limited(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, delivery_id: str
) -> None:
    deliver(api, queue)
    for _ in range(5):
        clock.at += timedelta(seconds=1)
        api.result(RESEND, {"deliveryId": delivery_id})
        deliver(api, queue)
    clock.at += timedelta(seconds=1)
    refused = api.call(RESEND, {"deliveryId": delivery_id})
    error = refused.get_json()["error"]["details"]
    assert error["reason"] == "RATE_LIMITED"
    assert refused.headers["Retry-After"] == str(error["retryAfterSeconds"])
    assert 580 < error["retryAfterSeconds"] <= 600
    assert len(receiver.received) == 6
    clock.at += timedelta(seconds=error["retryAfterSeconds"])
    api.result(RESEND, {"deliveryId": delivery_id})


def test_repeated_resend_that_still_waits_is_not_counted(
    api: Api, queue: TimedTaskList, clock: ManualClock, delivery_id: str
) -> None:
    deliver(api, queue)
    for _ in range(20):
        clock.at += timedelta(seconds=1)
        assert api.result(RESEND, {"deliveryId": delivery_id})["status"] == "pending"
    assert len(queue.webhooks) == 2


def test_unknown_delivery_is_not_found(api: Api, queue: TimedTaskList, delivery_id: str) -> None:
    error = api.error(RESEND, {"deliveryId": "nothing"})
    assert (error["status"], error["details"]) == (
        "NOT_FOUND",
        {"reason": "DELIVERY_NOT_FOUND", "deliveryId": "nothing"},
    )
    assert len(queue.webhooks) == 1


def test_delivery_worker_returns_the_status(backend: Backend, delivery_id: str) -> None:
    assert backend.delivery_worker.deliver(delivery_id, 1, dict_of) is None
    assert backend.delivery_worker.deliver(delivery_id, 0, dict_of) is DeliveryStatus.DELIVERED
    for attempt in (0, 1, 2):
        assert backend.delivery_worker.deliver(delivery_id, attempt, dict_of) is None
    assert backend.delivery_worker.deliver("unknown", 0, dict_of) is None


def dict_of(request: GenerationRequest) -> dict[str, str]:
    return {"id": request.id}

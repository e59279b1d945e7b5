"""Tests of webhook endpoints: creating, listing and deleting them, their events and secrets, and giving them up."""

import json
from datetime import timedelta
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.faults import FaultyDatabase, Lost, refuse
from tests.support.orders import order
from tests.support.receivers import verified
from tests.support.times import NOON
from tests.support.webhooks import Receiver, TimedTaskList, deliver
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

URL, OTHER_URL = "https://hooks.example.com/images", "https://crm.example.com/"
CREATE, LIST, DELETE = "createWebhookEndpoint", "listWebhookEndpoints", "deleteWebhookEndpoint"
ROTATE, DELIVERIES = "rotateWebhookEndpointSecret", "listWebhookDeliveries"


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
def user(add_user: AddUser) -> str:
    return add_user(paid=50)


def create(api: Api, url: str = URL, **params: object) -> tuple[str, str]:
    """Create an endpoint. Return its id and its secret."""
    made = api.result(CREATE, {"userId": "user", "url": url, **params})
    return made["endpoint"]["endpointId"], made["webhookSecret"]


def listed(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.result(LIST, {"userId": "user"})["endpoints"]
    return found


def deliveries(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.result(DELIVERIES, {"userId": "user"})["deliveries"]
    return found


def generate(api: Api, **params: object) -> str:
    request_id: str = api.result("createGenerationRequest", order(size="512x512", **params))["generationRequestId"]
    return request_id


def test_endpoint_gets_each_event_without_being_named(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, user: str
) -> None:
    first, secret = create(api)
    second, other_secret = create(api, OTHER_URL)
    assert [one["events"] for one in listed(api)] == [[], []]
    request_id = generate(api)
    for number in range(2):
        assert deliver(api, queue, number) == 200
    assert {url: headers["webhook-id"] for url, _, headers in receiver.received} == {
        URL: f"{request_id}-completed-{first}",
        OTHER_URL: f"{request_id}-completed-{second}",
    }
    for (_, body, headers), own in zip(receiver.received, (secret, other_secret), strict=True):
        assert verified(own, body, headers, clock.at)["data"]["generationRequestId"] == request_id
    assert secret != other_secret
    assert {delivery["endpointId"] for delivery in deliveries(api)} == {first, second}


def test_webhook_url_of_a_request_keeps_working_beside_endpoints(
    api: Api, queue: TimedTaskList, receiver: Receiver, user: str
) -> None:
    create(api)
    request_id = generate(api, webhookUrl=OTHER_URL)
    assert deliver(api, queue, 0) == 200
    assert [(url, headers["webhook-id"]) for url, _, headers in receiver.received] == [
        (OTHER_URL, f"{request_id}-completed")
    ]


def test_endpoint_gets_only_the_events_that_it_wants(
    api: Api, queue: TimedTaskList, client: ObservedClient, clock: ManualClock, user: str
) -> None:
    create(api, events=["generation.failed", "generation.canceled"])
    generate(api)
    assert deliveries(api) == []
    set_models(client, failureRate=1)
    clock.at += timedelta(minutes=1)  # so that the catalog is read again
    api.error("createGenerationRequest", order(size="512x512"))
    assert [delivery["type"] for delivery in deliveries(api)] == ["generation.failed"]


@pytest.mark.parametrize(("endpoints", "cost"), [(0, (3, 2, 4)), (1, (3, 2, 5)), (3, (3, 2, 7))])
def test_each_endpoint_costs_one_write_and_no_read(
    api: Api, backend: Backend, client: ObservedClient, user: str, endpoints: int, cost: tuple[int, ...]
) -> None:
    for number in range(endpoints):
        create(api, f"https://{number}.example.com/")
    backend.catalogs.current()
    client.wire.reset()
    generate(api)
    assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == cost


def test_repeated_creation_changes_and_enables_the_endpoint(api: Api, client: ObservedClient, user: str) -> None:
    first = create(api)
    assert create(api) == first
    assert create(api, events=["generation.failed", "generation.failed"]) == first
    assert [(one["endpointId"], one["events"], one["enabled"]) for one in listed(api)] == [
        (first[0], ["generation.failed"], True)
    ]
    assert "whsec_" not in json.dumps(client.document(f"webhookEndpoints/{first[0]}").get().to_dict(), default=str)


def test_user_has_at_most_twenty_endpoints(api: Api, user: str) -> None:
    made = [create(api, f"https://{number}.example.com/")[0] for number in range(20)]
    refused = api.error(CREATE, {"userId": "user", "url": URL})
    assert refused["details"] == {"reason": "TOO_MANY_ENDPOINTS", "maxEndpoints": 20}
    api.result(DELETE, {"endpointId": made[0]})
    create(api)
    assert len(listed(api)) == 20


def test_deleted_endpoint_gets_nothing_more(api: Api, queue: TimedTaskList, receiver: Receiver, user: str) -> None:
    endpoint_id, secret = create(api)
    generate(api)
    for _ in range(2):
        assert api.result(DELETE, {"endpointId": endpoint_id}) == {"endpointId": endpoint_id}
    generate(api)
    assert deliver(api, queue) == 200
    [delivery] = deliveries(api)
    assert (delivery["status"], delivery["attempts"][0]["error"]) == ("failed", "the endpoint was deleted")
    assert (receiver.received, listed(api)) == ([], [])
    assert create(api)[1] != secret


@pytest.mark.parametrize("function", [DELETE, ROTATE])
def test_unknown_endpoint_is_not_found(
    api: Api, queue: TimedTaskList, receiver: Receiver, client: ObservedClient, user: str, function: str
) -> None:
    receiver.answers = [500]
    generate(api, webhookUrl=URL)
    deliver(api, queue)
    [state] = client.collection("webhookEndpoints").stream()  # of a webhook URL
    for endpoint_id in ("nothing", *([state.id] if function == DELETE else [])):
        details = api.error(function, {"endpointId": endpoint_id})["details"]
        assert details == {"reason": "ENDPOINT_NOT_FOUND", "endpointId": endpoint_id}


def test_rotated_secret_of_an_endpoint_overlaps_for_a_day(
    api: Api, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, user: str
) -> None:
    endpoint_id, before = create(api)
    after = api.result(ROTATE, {"endpointId": endpoint_id})["webhookSecret"]
    assert after == api.result(ROTATE, {"endpointId": endpoint_id})["webhookSecret"] == create(api)[1] != before
    generate(api)
    deliver(api, queue)
    _, body, headers = receiver.received[-1]
    for secret in (before, after):
        assert verified(secret, body, headers, clock.at)
    last = api.result(ROTATE, {"endpointId": endpoint_id, "expirePrevious": True})["webhookSecret"]
    generate(api)
    deliver(api, queue)
    _, body, headers = receiver.received[-1]
    assert verified(last, body, headers, clock.at)
    assert len(headers["webhook-signature"].split(" ")) == 1


def fail_until_given_up(api: Api, queue: TimedTaskList, clock: ManualClock) -> None:
    """Deliver the newest webhook until it is no longer pending."""
    for _ in range(60):
        if deliveries(api)[-1]["status"] != "pending":
            return
        clock.at = max(clock.at, queue.webhooks[-1][0])
        deliver(api, queue)
    raise AssertionError("the webhook was never given up")


def test_owner_is_told_once_when_an_endpoint_is_given_up(
    api: Api, queue: TimedTaskList, receiver: Receiver, client: ObservedClient, clock: ManualClock, user: str
) -> None:
    endpoint_id, _ = create(api, events=["generation.completed"])
    create(api, OTHER_URL, events=["webhook.given_up"])
    generate(api)
    receiver.answers = [500]
    fail_until_given_up(api, queue, clock)
    event, failed = deliveries(api)
    assert (failed["status"], failed["receiverGivenUp"]) == ("failed", True)
    assert (event["type"], event["webhookUrl"]) == ("webhook.given_up", OTHER_URL)
    assert [one["enabled"] for one in listed(api) if one["endpointId"] == endpoint_id] == [False]
    assert next(one for one in listed(api) if one["endpointId"] == endpoint_id)["givenUpAt"]
    receiver.answers = [200]
    deliver(api, queue)
    sent = json.loads(receiver.received[-1][1])
    assert sent["type"] == "webhook.given_up"
    assert sent["data"] == {
        "deliveryId": failed["deliveryId"],
        "endpointId": endpoint_id,
        "origin": "https://hooks.example.com",
        "failingSince": "2026-11-18T12:00:00.000000Z",
    }
    generate(api)
    assert len(deliveries(api)) == 2  # it is disabled
    create(api, events=["generation.completed"])
    generate(api)
    assert len(deliveries(api)) == 3
    assert client.document("users/user").get().get("credits")["paid"] == 47


def test_endpoint_that_is_gone_is_given_up_at_once(
    api: Api, queue: TimedTaskList, receiver: Receiver, user: str
) -> None:
    create(api)
    generate(api)
    receiver.answers = [410]
    deliver(api, queue)
    [delivery] = deliveries(api)
    assert (delivery["status"], delivery["receiverGivenUp"], listed(api)[0]["enabled"]) == ("failed", True, False)


def test_endpoint_that_was_deleted_is_not_given_up(
    api: Api, queue: TimedTaskList, receiver: Receiver, user: str
) -> None:
    endpoint_id, _ = create(api)
    create(api, OTHER_URL, events=["webhook.given_up"])
    generate(api)
    receiver.answers = [410]
    receiver.meanwhile = lambda: api.result(DELETE, {"endpointId": endpoint_id})
    deliver(api, queue)
    [delivery] = deliveries(api)
    assert (delivery["status"], delivery["receiverGivenUp"]) == ("failed", False)


def test_receiver_of_webhook_urls_is_given_up_once(
    api: Api, queue: TimedTaskList, receiver: Receiver, client: ObservedClient, clock: ManualClock, user: str
) -> None:
    create(api, OTHER_URL, events=["webhook.given_up"])
    generate(api, webhookUrl=URL)
    receiver.answers = [500]
    fail_until_given_up(api, queue, clock)
    generate(api, webhookUrl=URL)
    [newest] = [one for one in deliveries(api) if one["type"] == "generation.completed" and one["status"] == "pending"]
    clock.at += timedelta(days=4)
    for number in range(len(queue.webhooks)):
        deliver(api, queue, number)
    types = [one["type"] for one in deliveries(api)]
    assert types.count("webhook.given_up") == 1
    assert newest["receiverGivenUp"] is False


def given_up_events(api: Api) -> list[str]:
    return [one["deliveryId"] for one in deliveries(api) if one["type"] == "webhook.given_up"]


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_owner_is_told_each_time_when_an_endpoint_is_given_up_again(
    api: Api, faulty: FaultyDatabase, receiver: Receiver, user: str, fault: Any
) -> None:
    create(api)
    create(api, OTHER_URL, events=["webhook.given_up"])
    delivery_id = f"{generate(api)}-completed-{listed(api)[0]['endpointId']}"
    receiver.answers = [410]
    receiver.meanwhile = lambda: faulty.faults.append(fault)  # for the commit that records the attempt
    for attempt in range(3):
        task = {"deliveryId": delivery_id, "attempt": str(attempt)}
        assert api.call("deliverWebhook", task).status_code == 200
        failed = deliveries(api)[-1]
        assert (failed["deliveryId"], failed["status"], failed["attemptCount"]) == (delivery_id, "failed", attempt + 1)
        assert len(set(given_up_events(api))) == attempt + 1
        create(api)
        api.result("resendWebhook", {"deliveryId": delivery_id})


def test_owner_is_told_again_when_a_webhook_was_put_off_for_too_long(
    api: Api, queue: TimedTaskList, receiver: Receiver, client: ObservedClient, clock: ManualClock, user: str
) -> None:
    endpoint_id, _ = create(api)
    create(api, OTHER_URL, events=["webhook.given_up"])
    delivery_id = f"{generate(api)}-completed-{endpoint_id}"
    receiver.answers = [410]
    deliver(api, queue)
    create(api)
    api.result("resendWebhook", {"deliveryId": delivery_id})
    client.document(f"webhookEndpoints/{endpoint_id}").update({"failingSince": clock.at - timedelta(days=2)})
    client.document("webhookSending/user").update({"busyUntil": clock.at + timedelta(days=4)})
    assert api.call("deliverWebhook", {"deliveryId": delivery_id, "attempt": "1"}).status_code == 200
    failed = deliveries(api)[-1]
    assert (failed["deliveryId"], failed["status"], failed["attemptCount"]) == (delivery_id, "failed", 1)
    assert len(set(given_up_events(api))) == 2


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_creation_and_deletion_survive_lost_or_refused_commits(
    api: Api, faulty: FaultyDatabase, user: str, fault: Any
) -> None:
    faulty.faults = [fault]
    endpoint_id, secret = create(api)
    assert create(api) == (endpoint_id, secret)
    faulty.faults = [fault]
    api.result(DELETE, {"endpointId": endpoint_id})
    assert listed(api) == []


def test_sweeper_recovers_the_webhooks_of_endpoints(
    api: Api, backend: Backend, queue: TimedTaskList, receiver: Receiver, clock: ManualClock, user: str
) -> None:
    create(api)
    create(api, OTHER_URL)
    queue.down = True
    generate(api)
    queue.down = False
    clock.at += timedelta(minutes=6)
    assert backend.sweeper.sweep() == 2


def test_old_requests_and_deliveries_are_still_read(
    api: Api, queue: TimedTaskList, client: ObservedClient, receiver: Receiver, user: str
) -> None:
    request_id = generate(api, webhookUrl=URL)
    stored = client.document(f"webhookDeliveries/{request_id}-completed")
    new = {"endpointId", "data", "resentAt", "resendsEarnedAt", "receiverGivenUp"}
    stored.set({name: value for name, value in (stored.get().to_dict() or {}).items() if name not in new})
    assert "webhookEndpoints" not in (client.document(f"generationRequests/{request_id}").get().to_dict() or {})
    assert deliver(api, queue) == 200
    assert [delivery["status"] for delivery in deliveries(api)] == ["delivered"]

"""Tests of getOperations: what runs and waits, what failed lately, and webhooks that fail."""

from datetime import timedelta
from typing import Any

import pytest

from imagegen.domain.times import rfc3339
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.console import as_admin, refused
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.webhooks import Receiver, TimedTaskList, deliver
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

pytestmark = pytest.mark.usefixtures("accounts")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def queue() -> TimedTaskList:
    return TimedTaskList()


@pytest.fixture
def receiver(clock: ManualClock) -> Receiver:
    return Receiver(clock)


def create(api: Api, **changes: object) -> str:
    """Create a request, which may fail. Return its id."""
    answer = api.call("createGenerationRequest", order(**changes)).get_json()
    content = answer.get("result") or answer["error"]["details"]
    request_id: str = content["generationRequestId"]
    return request_id


def by_model(found: dict[str, Any]) -> dict[str, dict[str, int]]:
    counts = ("pending", "processing", "completed", "failed", "canceled")
    return {model["model"]: {name: model[name] for name in counts if model[name]} for model in found["models"]}


def test_without_requests_everything_is_zero(api: Api) -> None:
    assert as_admin(api, "getOperations") == {
        "at": rfc3339(NOON),
        "hours": 24,
        "since": rfc3339(NOON - timedelta(hours=24)),
        "pending": 0,
        "processing": 0,
        "total": {"completed": 0, "failed": 0, "canceled": 0},
        "models": [
            {"model": name, "enabled": True, "pending": 0, "processing": 0, "completed": 0, "failed": 0, "canceled": 0}
            for name in ("Model A", "Model B")
        ],
        "failures": [],
        "webhooks": {"failing": 0, "givenUp": 0, "deliveries": []},
    }


def test_requests_are_counted_by_model_and_the_failures_listed(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=100)
    client.document("models/model-b").update({"failureRate": 1})
    early = create(api, model="Model B")
    clock.at += timedelta(hours=3)
    late = create(api, model="Model B")
    create(api)
    waiting = create(api, mode="async")
    clock.at += timedelta(minutes=1)
    canceled = create(api, mode="async")
    api.result("cancelGenerationRequest", {"generationRequestId": canceled})
    create(api, mode="async", model="Model B")
    found = as_admin(api, "getOperations", hours=2)
    assert (found["pending"], found["processing"]) == (2, 0)
    assert (found["oldestPendingAt"], found["oldestPendingSeconds"]) == (rfc3339(NOON + timedelta(hours=3)), 60)
    assert by_model(found) == {
        "Model A": {"pending": 1, "completed": 1, "canceled": 1},
        "Model B": {"pending": 1, "failed": 1},
    }
    assert found["total"] == {"completed": 1, "failed": 1, "canceled": 1}
    assert "otherModels" not in found
    assert [failure["generationRequestId"] for failure in found["failures"]] == [late, early]
    assert found["failures"][0] == {
        "generationRequestId": late,
        "userId": "user",
        "model": "Model B",
        "reason": "GENERATION_FAILED",
        "message": "Model B could not generate this image.",
        "createdAt": rfc3339(NOON + timedelta(hours=3)),
        "finishedAt": rfc3339(NOON + timedelta(hours=3)),
    }
    client.document(f"generationRequests/{waiting}").update({"status": "processing"})
    assert as_admin(api, "getOperations", hours=4)["total"]["failed"] == 2
    assert as_admin(api, "getOperations")["processing"] == 1
    client.document(f"generationRequests/{waiting}").update({"status": "pending"})


def test_requests_of_other_models_are_counted_together(
    api: Api, client: ObservedClient, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_user(paid=100)
    monkeypatch.setattr("imagegen.services.overview.MODELS_MAX", 1)
    create(api)
    create(api, model="Model B")
    found = as_admin(api, "getOperations")
    assert by_model(found) == {"Model A": {"completed": 1}}
    assert found["otherModels"] == {"completed": 1, "failed": 0, "canceled": 0}


def test_bad_request_stops_only_itself(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=100)
    client.document("models/model-b").update({"failureRate": 1})
    failed = [create(api, model="Model B") for _ in range(2)]
    waiting = [create(api, mode="async") for _ in range(2)]
    broken = [client.document(f"generationRequests/{id}") for id in (failed[1], waiting[0])]
    for document in broken:
        document.update({"cost": "three"})
    found = as_admin(api, "getOperations")
    assert [failure["generationRequestId"] for failure in found["failures"]] == failed[:1]
    assert found["total"]["failed"] == 2
    assert "oldestPendingAt" in found
    for document in broken:
        document.update({"cost": 3})


def test_webhooks_that_fail_or_were_given_up_are_listed(
    api: Api,
    clock: ManualClock,
    client: ObservedClient,
    queue: TimedTaskList,
    receiver: Receiver,
    add_user: AddUser,
) -> None:
    add_user(paid=100)
    receiver.answers = [500]
    url = "https://hooks.example.com/a?token=s3cret"
    first, gone = (f"{create(api, webhookUrl=url)}-completed" for _ in range(2))
    create(api, webhookUrl=url)  # not attempted yet
    deliver(api, queue, 0)
    client.document(f"webhookDeliveries/{gone}").update(
        {"status": "failed", "nextAttemptAt": clock.at - timedelta(days=6), "attemptCount": 9}
    )
    webhooks = as_admin(api, "getOperations")["webhooks"]
    assert (webhooks["failing"], webhooks["givenUp"]) == (1, 1)
    given_up, failing = webhooks["deliveries"]
    assert (given_up["deliveryId"], given_up["status"], given_up["attemptCount"]) == (gone, "failed", 9)
    assert (failing["deliveryId"], failing["status"], failing["attemptCount"]) == (first, "pending", 1)
    assert (failing["lastStatusCode"], failing["userId"]) == (500, "user")
    assert "s3cret" not in str(webhooks)
    clock.at += timedelta(days=2)
    assert as_admin(api, "getOperations")["webhooks"]["givenUp"] == 0


def test_bad_webhook_stops_only_itself(
    api: Api, client: ObservedClient, queue: TimedTaskList, receiver: Receiver, add_user: AddUser
) -> None:
    add_user(paid=100)
    receiver.answers = [410]
    good, bad = (f"{create(api, webhookUrl='https://hooks.example.com/')}-completed" for _ in range(2))
    deliver(api, queue, 0)
    deliver(api, queue, 1)
    attempts = client.document(f"webhookDeliveries/{bad}").get().get("attempts")
    client.document(f"webhookDeliveries/{bad}").update({"attempts": [{**attempts[0], "durationMs": 2**62}]})
    webhooks = as_admin(api, "getOperations")["webhooks"]
    assert (webhooks["givenUp"], [one["deliveryId"] for one in webhooks["deliveries"]]) == (2, [good])


def test_hours_are_bounded(api: Api) -> None:
    assert as_admin(api, "getOperations", hours=None)["hours"] == 24
    assert as_admin(api, "getOperations", hours=168.0)["hours"] == 168
    for hours in (0, 169, -1, 1.5, "24", True):
        assert refused(api, "getOperations", hours=hours)["details"]["reason"] == "INVALID_INPUT"

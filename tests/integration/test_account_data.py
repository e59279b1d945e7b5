"""Tests that exports and deletions work on a real Firestore. `tests/integration/account_data` has all other tests."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import FileStore, ManualClock, TaskList


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def queue() -> TaskList:
    return TaskList()


def test_account_is_exported_and_deleted(
    api: Api, client: ObservedClient, add_user: AddUser, clock: ManualClock, queue: TaskList, files: FileStore
) -> None:
    add_user(paid=20, at=NOON - timedelta(weeks=1))
    hook = "https://hooks.example.com/"
    api.result("createWebhookEndpoint", {"userId": "user", "url": hook})
    api.result("createApiKey", {"userId": "user", "name": "server", "scopes": ["read"]})
    client.document("grants/gift").set({"userId": "user", "reason": "a gift"})
    client.document("users/user/creditTransactions/welcome-grant").update({"reason": "as earlier versions"})
    api.result("createGenerationRequest", order(webhookUrl=hook))
    api.result("createGenerationRequest", order(mode="async"))
    api.result("exportAccount", {"userId": "user"})
    [task] = [task for function, task in queue.put_so_far if function == "writeAccountExport"]
    assert api.http.post("/writeAccountExport", json={"data": task}).status_code == 200
    assert api.result("getAccountExport", {"userId": "user"})["status"] == "ready"
    [(content, _token)] = files.files.values()
    exported = {json.loads(line)["collection"] for line in content.splitlines()}
    assert exported >= {"users", "creditTransactions", "generationRequests", "webhookDeliveries", "apiKeys", "grants"}
    delete: dict[str, Any] = {"userId": "user", "confirmUserId": "user"}
    assert api.result("deleteAccount", delete)["status"] == "running"
    clock.at += timedelta(minutes=20)
    assert api.http.post("/sweepAbandonedRequests").status_code == 200
    assert api.result("deleteAccount", delete)["status"] == "finished"
    left = {
        document.reference.parent.id
        for collection in client.collections()
        for document in collection.stream()
        if "user" in (document.id, (document.to_dict() or {}).get("userId"))
    }
    assert left == {"users", "generationRequests", "grants", "trialClaims", "accountDeletions"}
    assert {request.get("prompt") for request in client.collection("generationRequests").stream()} == {""}
    assert client.document("grants/gift").get().get("reason") is None
    assert client.document("users/user/creditTransactions/welcome-grant").get().get("reason") is None
    assert client.document("users/user").get().get("credits") == {"trial": 0, "paid": 0}

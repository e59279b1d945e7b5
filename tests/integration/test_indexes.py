"""Tests of firestore.indexes.json: it declares exactly the indexes that the queries need."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen.domain.weeks import Week
from imagegen.ports.clock import Clock
from simulation.payments import FakePayments
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.console import as_admin
from tests.support.indexes import Indexes, Need
from tests.support.orders import ORDER
from tests.support.wire import ObservedClient
from tools.bench import data

INDEXES = Indexes.declared()
DEDUCTIONS = Need("creditTransactions", frozenset({"type"}), (("seq", "DESCENDING"),))


@pytest.fixture
def payments(clock: Clock) -> FakePayments:
    return FakePayments(clock.now)


@pytest.fixture
def needs(
    api: Api, client: ObservedClient, add_user: AddUser, accounts: Accounts, payments: FakePayments
) -> list[Need]:
    """Return the index needs of all queries, including those of the report and of a second page."""
    this_week = Week.of(datetime.now(UTC))
    data.fill(client.project, this_week, requests=150, users=3)  # enough for the report to count them
    add_user("leaver", paid=1)
    add_user(paid=20)
    for _ in range(3):
        api.result("createGenerationRequest", ORDER)
    assert api.result("createGenerationRequest", {**ORDER, "reuse": True})["reused"]
    page = api.result("getUserCredits", {"userId": "user", "pageSize": 2})
    api.result("getUserCredits", {"userId": "user", "pageSize": 2, "pageToken": page["nextPageToken"]})
    api.result("listCreditTransactions", {"userId": "user"})
    api.result("listCreditTransactions", {"userId": "user", "type": "deduction"})
    api.result("listGenerationRequests", {"userId": "user"})
    for kind in ("status", "model", "style", "color", "size"):
        params = {"userId": "user", kind: "completed" if kind == "status" else ORDER[kind]}
        api.result("listGenerationRequests", {**params, "includeTotalCount": True})
    api.result("listWebhookDeliveries", {"userId": "user"})
    api.result("listWebhookDeliveries", {"userId": "user", "generationRequestId": "any"})
    purchase_id = api.result("createPurchase", {"userId": "user", "package": "starter"})["purchaseId"]
    payments.pay(client.document(f"purchases/{purchase_id}").get().get("sessionId"))
    api.result("reconcilePurchase", {"purchaseId": purchase_id})
    api.result("listPurchases", {"userId": "user"})
    api.result("listApiKeys", {"userId": "user"})
    next_week = {"X-CloudScheduler-ScheduleTime": (datetime.now(UTC) + timedelta(weeks=1)).isoformat()}
    assert api.http.post("/scheduleWeeklyReport", headers=next_week).status_code == 200
    for function in ("sweepAbandonedRequests", "auditLedgers"):
        assert api.http.post(f"/{function}").status_code == 200
    as_admin(api, "getOperations")
    as_admin(api, "findUsers", query="user")
    as_admin(api, "findPurchases", status="disputed")
    api.result("deleteAccount", {"userId": "leaver", "confirmUserId": "leaver"})
    return [Need.of(query, sums) for _, query, sums in client.wire.queries]


def test_every_query_has_an_index(needs: list[Need]) -> None:
    assert {need.collection for need in needs} >= {"models", "creditTransactions", "generationRequests", "users"}
    assert [need for need in needs if not INDEXES.serving(need)] == []


def test_every_declared_index_serves_a_query(needs: list[Need]) -> None:
    served = frozenset[str]().union(*(INDEXES.serving(need) for need in needs)) - {"single-field"}
    assert len(served) == len(INDEXES.composite)


def test_no_time_has_an_index_of_its_own(
    api: Api, client: ObservedClient, add_user: AddUser, payments: FakePayments
) -> None:
    """Firestore takes 500 writes a second to a collection with an index on a field that only grows."""
    add_user(paid=20)
    webhook = {"mode": "async", "webhookUrl": "https://hooks.example.com"}
    request_id = api.result("createGenerationRequest", {**ORDER, **webhook})["generationRequestId"]
    api.result("cancelGenerationRequest", {"generationRequestId": request_id})
    client.document(f"webhookDeliveries/{request_id}-canceled").update({"resentAt": datetime.now(UTC)})
    purchase_id = api.result("createPurchase", {"userId": "user", "package": "starter"})["purchaseId"]
    payments.pay(client.document(f"purchases/{purchase_id}").get().get("sessionId"))
    api.result("reconcilePurchase", {"purchaseId": purchase_id})
    for collection in ("generationRequests", "webhookDeliveries", "purchases"):
        for document in client.collection(collection).stream():
            times = {name for name, value in (document.to_dict() or {}).items() if isinstance(value, datetime)}
            assert {name for name in times if (collection, name) not in INDEXES.exempt} == set()


@pytest.mark.parametrize(
    "need",
    [
        Need("creditTransactions", frozenset({"type"}), (("seq", "ASCENDING"),)),
        Need("creditTransactions", frozenset({"type"}), (("timestamp", "DESCENDING"),)),
        Need("generationRequests", frozenset({"userId"}), (("createdAt", "ASCENDING"),)),
        Need("generationRequests", frozenset({"userId", "prompt"}), (("createdAt", "DESCENDING"),)),
        Need("generationRequests", frozenset({"week", "model"}), sums=frozenset({"cost"})),
        Need("generationRequests", frozenset({"week"}), (("processingMs", "ASCENDING"),)),
        Need("**/creditTransactions", frozenset({"type"}), sums=frozenset({"credits"})),
        Need("generationRequests", frozenset({"prompt"})),
        Need("webhookDeliveries", frozenset({"url"})),
        Need("generationRequests", frozenset(), (("giveUpAt", "ASCENDING"),)),
    ],
)
def test_query_without_an_index_is_found(need: Need) -> None:
    assert INDEXES.serving(DEDUCTIONS)
    assert not INDEXES.serving(need)


def test_indexes_in_the_same_order_are_merged() -> None:
    need = Need("generationRequests", frozenset({"userId", "status", "model"}), (("createdAt", "DESCENDING"),))
    assert len(INDEXES.serving(need)) == 3


def test_every_document_has_the_fields_that_aggregations_use(
    needs: list[Need], api: Api, client: ObservedClient, add_user: AddUser
) -> None:
    """An aggregation leaves out a document without a field that it filters or sums, so empty fields are written too."""
    add_user("new")
    api.result("createGenerationRequest", {**ORDER, "mode": "async"})  # a request that has neither begun nor ended
    client.wire.start = 0
    aggregated = {
        Need.of(query, sums) for method, query, sums in client.wire.queries if method == "RunAggregationQuery"
    }
    assert {need.collection for need in aggregated} >= {"generationRequests", "**/creditTransactions", "users"}
    for need in aggregated:
        fields = need.equal | {path for path, _ in need.order} | need.sums
        name = need.collection.removeprefix("**/")
        source = client.collection_group(name) if need.collection.startswith("**/") else client.collection(name)
        for document in source.stream():
            fields -= {"error.reason"}  # only failed requests have it, and only refused ones are counted by it
            assert [path for path in fields if not has(document.to_dict() or {}, path)] == [], document.reference.path


def has(data: dict[str, Any], path: str) -> bool:
    """Return whether a document has a field. Only users who made requests in a week have its counters."""
    name, _, inner = path.partition(".")
    if name == "usage":
        return True
    return name in data and (not inner or has(data[name], inner))

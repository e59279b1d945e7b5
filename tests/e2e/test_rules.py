"""Tests of firestore.rules on the emulators, with tokens: clients may read their own data and write nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import pytest
import requests
from google.cloud.firestore_v1.base_query import FieldFilter

from tests.support.live import Live

Operation = Literal["get", "list", "create", "update", "delete"]

OWNER = "user-ada"
CALLERS = {
    "anonymous": None,
    "the owner": OWNER,
    "another user": "user-bela",
    "an unverified user": "user-unverified",
    "an admin": "user-admin",  # reads the data of others only through the functions
}

NOBODY: set[str] = set()
ONLY_OWNER = {"the owner"}
OTHERS = set(CALLERS) - ONLY_OWNER

# No caller may create, update or delete. The owner may list requests only with a query by userId: see below.
READERS: dict[str, dict[Operation, set[str]]] = {
    "users": {"get": ONLY_OWNER, "list": NOBODY},
    f"users/{OWNER}/creditTransactions": {"get": ONLY_OWNER, "list": ONLY_OWNER},
    "generationRequests": {"get": ONLY_OWNER, "list": NOBODY},
    "models": {"get": NOBODY, "list": NOBODY},
    "styles": {"get": NOBODY, "list": NOBODY},
    "colors": {"get": NOBODY, "list": NOBODY},
    "sizes": {"get": NOBODY, "list": NOBODY},
    "weeklyReports": {"get": NOBODY, "list": NOBODY},
    "dailyUsage": {"get": NOBODY, "list": NOBODY},
    "audits": {"get": NOBODY, "list": NOBODY},
    "catalogChanges": {"get": NOBODY, "list": NOBODY},
    "grants": {"get": NOBODY, "list": NOBODY},
    "webhookDeliveries": {"get": NOBODY, "list": NOBODY},
    "webhookEndpoints": {"get": ONLY_OWNER, "list": NOBODY},
    "webhookSending": {"get": NOBODY, "list": NOBODY},
    "trialClaims": {"get": NOBODY, "list": NOBODY},
    "serverKeys": {"get": NOBODY, "list": NOBODY},
    "apiKeys": {"get": NOBODY, "list": NOBODY},
    "apiKeyRings": {"get": NOBODY, "list": NOBODY},
    "webhookSecrets": {"get": NOBODY, "list": NOBODY},
    f"users/{OWNER}/notes": {"get": NOBODY, "list": NOBODY},
    "unheardOf": {"get": NOBODY, "list": NOBODY},
}
OPERATIONS: list[Operation] = ["get", "list", "create", "update", "delete"]
MATRIX = [
    pytest.param(
        collection, operation, caller, caller in readers.get(operation, NOBODY), id=f"{collection}-{operation}-{caller}"
    )
    for collection, readers in READERS.items()
    for operation in OPERATIONS
    for caller in CALLERS
]

FORGED_CREDITS = {
    "fields": {
        "userId": {"stringValue": OWNER},
        "credits": {"mapValue": {"fields": {"paid": {"integerValue": 1_000_000}}}},
    }
}


@dataclass(frozen=True)
class Client:
    """A client of Firestore's REST API, with an ID token or without."""

    http: requests.Session
    root: str
    token: str | None

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.http.request(method, self.root + path, json=body, params=params, headers=headers, timeout=30)

    def query(self, collection: str, *, of: str | None, everywhere: bool = False) -> requests.Response:
        """Query a collection, or with ``everywhere`` its collection group, for one user's documents or all."""
        return self.send("POST", ":runQuery", {"structuredQuery": structured(collection, of, everywhere)})

    def count(self, collection: str, *, of: str | None, everywhere: bool = False) -> requests.Response:
        """Count the documents of the same query."""
        query = {"structuredQuery": structured(collection, of, everywhere), "aggregations": [{"count": {}}]}
        return self.send("POST", ":runAggregationQuery", {"structuredAggregationQuery": query})

    def name(self, path: str) -> str:
        """Return the full name of a document."""
        return f"{self.root.partition('/v1/')[2]}/{path}"


def structured(collection: str, of: str | None, everywhere: bool) -> dict[str, Any]:
    query: dict[str, Any] = {"from": [{"collectionId": collection, "allDescendants": everywhere}]}
    if of is not None:
        query["where"] = where("EQUAL", {"stringValue": of})
    return query


def where(operator: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"fieldFilter": {"field": {"fieldPath": "userId"}, "op": operator, "value": value}}


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    """Yield a session, which keeps its connection."""
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def clients(live: Live, http: requests.Session) -> dict[str, Client]:
    """Return a client for each caller, signed in at the Auth emulator."""
    return {
        caller: client_of(live, http, live.sign_in(user) if user is not None else None)
        for caller, user in CALLERS.items()
    }


@pytest.fixture(scope="module")
def documents(live: Live) -> dict[str, str]:
    """Return the path of a document in each collection, if possible of the owner."""
    gift = {"userId": OWNER, "credits": 1, "bucket": "paid", "reason": "a gift", "idempotencyKey": "rules"}
    live.result("grantCredits", gift, token=live.sign_in("user-admin"))
    paths = {"users": f"users/{OWNER}"}
    for collection in ("generationRequests", "grants"):
        owned = live.operator.collection(collection).where(filter=FieldFilter("userId", "==", OWNER))
        paths[collection] = next(owned.limit(1).stream()).reference.path
    closed = ("unheardOf", "audits", "catalogChanges", "trialClaims", "serverKeys", "apiKeys", "apiKeyRings")
    webhooks = ("webhookDeliveries", "webhookEndpoints", "webhookSending")
    for collection in (f"users/{OWNER}/notes", *closed, *webhooks):
        paths[collection] = f"{collection}/note"
        live.operator.document(paths[collection]).set({"userId": OWNER})
    live.result("getWebhookSecret", {"userId": OWNER})
    paths["webhookSecrets"] = f"webhookSecrets/{OWNER}"
    for collection in READERS.keys() - paths.keys():
        paths[collection] = next(live.operator.collection(collection).limit(1).stream()).reference.path
    return paths


def client_of(live: Live, http: requests.Session, token: str | None) -> Client:
    databases = f"http://{live.suite.firestore_host}/v1/projects/{live.suite.project_id}/databases"
    return Client(http, f"{databases}/(default)/documents", token)


def denied(response: requests.Response) -> bool:
    """Return whether the rules refused the request. Any other error fails the test."""
    if response.status_code == HTTPStatus.OK:
        return False
    body = response.json()
    error = (body[0] if isinstance(body, list) else body)["error"]
    assert (response.status_code, error["status"]) == (HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"), response.text
    return True


@pytest.mark.parametrize(("collection", "operation", "caller", "allowed"), MATRIX)
def test_rules_allow_exactly_the_operations_in_the_table(
    clients: dict[str, Client],
    documents: dict[str, str],
    collection: str,
    operation: Operation,
    caller: str,
    allowed: bool,
) -> None:
    client, document = clients[caller], f"/{documents[collection]}"
    match operation:
        case "get":
            response = client.send("GET", document)
        case "list":
            response = client.send("GET", f"/{collection}")
        case "create":
            response = client.send("POST", f"/{collection}", FORGED_CREDITS, documentId="new")
        case "update":
            response = client.send("PATCH", document, FORGED_CREDITS, **{"updateMask.fieldPaths": "credits"})
        case "delete":
            response = client.send("DELETE", document)

    assert denied(response) is not allowed


def test_owner_may_query_own_requests(clients: dict[str, Client]) -> None:
    response = clients["the owner"].query("generationRequests", of=OWNER)

    assert not denied(response)
    found = [part["document"]["fields"]["userId"]["stringValue"] for part in response.json() if "document" in part]
    assert len(found) > 100
    assert set(found) == {OWNER}


@pytest.mark.parametrize("caller", CALLERS)
def test_query_for_all_requests_is_refused(clients: dict[str, Client], caller: str) -> None:
    assert denied(clients[caller].query("generationRequests", of=None))


@pytest.mark.parametrize("caller", sorted(OTHERS))
@pytest.mark.parametrize("collection", ["users", "generationRequests", "grants"])
def test_other_callers_may_neither_query_nor_count_owner_data(
    clients: dict[str, Client], caller: str, collection: str
) -> None:
    assert denied(clients[caller].query(collection, of=OWNER))
    assert denied(clients[caller].count(collection, of=OWNER))


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("IN", {"arrayValue": {"values": [{"stringValue": "user-bela"}, {"stringValue": OWNER}]}}),
        ("NOT_EQUAL", {"stringValue": "user-bela"}),
        ("GREATER_THAN_OR_EQUAL", {"stringValue": ""}),
    ],
)
def test_query_that_includes_foreign_requests_is_refused(
    clients: dict[str, Client], operator: str, value: dict[str, Any]
) -> None:
    query = {"from": [{"collectionId": "generationRequests"}], "where": where(operator, value)}

    assert denied(clients["another user"].send("POST", ":runQuery", {"structuredQuery": query}))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("of", [None, OWNER])
@pytest.mark.parametrize("collection", ["users", "creditTransactions", "generationRequests", "grants", "notes"])
def test_collection_group_query_is_refused(
    clients: dict[str, Client], caller: str, of: str | None, collection: str
) -> None:
    assert denied(clients[caller].query(collection, of=of, everywhere=True))
    assert denied(clients[caller].count(collection, of=of, everywhere=True))


@pytest.mark.parametrize("caller", sorted(OTHERS))
@pytest.mark.parametrize("collection", ["users", f"users/{OWNER}/creditTransactions", "generationRequests", "grants"])
def test_batch_get_of_owner_data_is_refused(
    clients: dict[str, Client], documents: dict[str, str], caller: str, collection: str
) -> None:
    client = clients[caller]
    readable = f"users/{CALLERS[caller]}" if CALLERS[caller] else "nothing/nothing"
    names = [client.name(readable), client.name(documents[collection])]

    assert denied(client.send("POST", ":batchGet", {"documents": names}))


@pytest.mark.parametrize("caller", CALLERS)
def test_listing_subcollections_is_refused(clients: dict[str, Client], caller: str) -> None:
    assert denied(clients[caller].send("POST", f"/users/{OWNER}:listCollectionIds", {}))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("field", ["credits.paid", "lifetime.grant", "ledger.seq", "activity", "usage", "displayName"])
def test_write_to_any_user_field_is_refused(clients: dict[str, Client], caller: str, field: str) -> None:
    """The client SDKs set fields and increment counters in a commit."""
    client = clients[caller]
    name, top = client.name(f"users/{OWNER}"), field.partition(".")[0]
    deleting = {"update": {"name": name, "fields": {}}, "updateMask": {"fieldPaths": [top]}}
    increasing = {"fieldPath": field, "increment": {"integerValue": "1000"}}

    assert denied(client.send("POST", ":commit", {"writes": [deleting]}))
    assert denied(
        client.send("POST", ":commit", {"writes": [{"transform": {"document": name, "fieldTransforms": [increasing]}}]})
    )


def test_new_user_cannot_create_a_user_document(live: Live, http: requests.Session) -> None:
    user_id, token = live.sign_up()
    newcomer = client_of(live, http, token)

    assert denied(newcomer.send("POST", "/users", FORGED_CREDITS, documentId=user_id))
    assert denied(newcomer.send("PATCH", f"/users/{user_id}", FORGED_CREDITS))
    assert denied(newcomer.send("POST", f"/users/{user_id}/creditTransactions", FORGED_CREDITS))
    assert newcomer.send("GET", f"/users/{user_id}").status_code == HTTPStatus.NOT_FOUND


def test_missing_document_is_refused_like_a_foreign_one(clients: dict[str, Client]) -> None:
    assert denied(clients["the owner"].send("GET", "/generationRequests/nothing"))
    assert denied(clients["the owner"].send("GET", "/users/nobody"))

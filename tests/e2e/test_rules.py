"""What clients may do in the database, on the real emulators with real tokens: read what is theirs, write nothing."""

from collections.abc import Mapping
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
    "an admin": "user-admin",  # reads for others through the functions alone
}

NOBODY: set[str] = set()
ONLY_OWNER = {"the owner"}
SIGNED_IN = set(CALLERS) - {"anonymous"}
OTHERS = set(CALLERS) - ONLY_OWNER

# Nobody creates, updates or deletes anything. Requests are listed by a query for one's own: see below.
READERS: dict[str, dict[Operation, set[str]]] = {
    "users": {"get": ONLY_OWNER, "list": NOBODY},
    f"users/{OWNER}/creditTransactions": {"get": ONLY_OWNER, "list": ONLY_OWNER},
    "generationRequests": {"get": ONLY_OWNER, "list": NOBODY},
    "models": {"get": SIGNED_IN, "list": SIGNED_IN},
    "styles": {"get": SIGNED_IN, "list": SIGNED_IN},
    "colors": {"get": SIGNED_IN, "list": SIGNED_IN},
    "sizes": {"get": SIGNED_IN, "list": SIGNED_IN},
    "weeklyReports": {"get": NOBODY, "list": NOBODY},
    "grants": {"get": NOBODY, "list": NOBODY},
    "webhookDeliveries": {"get": NOBODY, "list": NOBODY},
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

RICH = {
    "fields": {
        "userId": {"stringValue": OWNER},
        "credits": {"mapValue": {"fields": {"paid": {"integerValue": 1_000_000}}}},
    }
}


@dataclass(frozen=True)
class Client:
    """A client SDK's view of the database: Firestore's REST API with somebody's ID token, or none."""

    root: str
    token: str | None

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return requests.request(method, self.root + path, json=body, params=params, headers=headers, timeout=30)

    def query(self, collection: str, *, of: str | None, everywhere: bool = False) -> requests.Response:
        """All documents of a collection, or of all collections by that name; those of one user or any."""
        return self.send("POST", ":runQuery", {"structuredQuery": structured(collection, of, everywhere)})

    def count(self, collection: str, *, of: str | None, everywhere: bool = False) -> requests.Response:
        """How many there are of these."""
        query = {"structuredQuery": structured(collection, of, everywhere), "aggregations": [{"count": {}}]}
        return self.send("POST", ":runAggregationQuery", {"structuredAggregationQuery": query})

    def name(self, path: str) -> str:
        """A document's name, as requests about several documents have it."""
        return f"{self.root.partition('/v1/')[2]}/{path}"


def structured(collection: str, of: str | None, everywhere: bool) -> dict[str, Any]:
    query: dict[str, Any] = {"from": [{"collectionId": collection, "allDescendants": everywhere}]}
    if of is not None:
        query["where"] = where("EQUAL", {"stringValue": of})
    return query


def where(operator: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"fieldFilter": {"field": {"fieldPath": "userId"}, "op": operator, "value": value}}


@pytest.fixture(scope="module")
def clients(live: Live) -> dict[str, Client]:
    """The callers, signed in on the real Auth emulator."""
    return {
        caller: client_of(live, live.sign_in(user) if user is not None else None) for caller, user in CALLERS.items()
    }


@pytest.fixture(scope="module")
def documents(live: Live) -> dict[str, str]:
    """The path of an existing document of each collection: the owner's where it has one."""
    gift = {"userId": OWNER, "credits": 1, "bucket": "paid", "reason": "a gift", "idempotencyKey": "rules"}
    live.result("grantCredits", gift, token=live.sign_in("user-admin"))
    paths = {"users": f"users/{OWNER}"}
    for collection in ("generationRequests", "grants"):
        owned = live.operator.collection(collection).where(filter=FieldFilter("userId", "==", OWNER))
        paths[collection] = next(owned.limit(1).stream()).reference.path
    for collection in (f"users/{OWNER}/notes", "unheardOf", "webhookDeliveries"):
        live.operator.document(f"{collection}/note").set({"userId": OWNER})
    for collection in READERS.keys() - paths.keys():
        paths[collection] = next(live.operator.collection(collection).limit(1).stream()).reference.path
    return paths


def client_of(live: Live, token: str | None) -> Client:
    databases = f"http://{live.suite.firestore_host}/v1/projects/{live.suite.project_id}/databases"
    return Client(f"{databases}/(default)/documents", token)


def denied(response: requests.Response) -> bool:
    """Whether the rules refused it. Anything but that and success is a mistake of the test."""
    if response.status_code == HTTPStatus.OK:
        return False
    body = response.json()
    error = (body[0] if isinstance(body, list) else body)["error"]
    assert (response.status_code, error["status"]) == (HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"), response.text
    return True


@pytest.mark.parametrize(("collection", "operation", "caller", "allowed"), MATRIX)
def test_the_rules_allow_what_the_table_says_and_nothing_else(
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
            response = client.send("POST", f"/{collection}", RICH, documentId="new")
        case "update":
            response = client.send("PATCH", document, RICH, **{"updateMask.fieldPaths": "credits"})
        case "delete":
            response = client.send("DELETE", document)

    assert denied(response) is not allowed


def test_the_owner_may_query_their_own_requests(clients: dict[str, Client]) -> None:
    response = clients["the owner"].query("generationRequests", of=OWNER)

    assert not denied(response)
    found = [part["document"]["fields"]["userId"]["stringValue"] for part in response.json() if "document" in part]
    assert len(found) > 100
    assert set(found) == {OWNER}


@pytest.mark.parametrize("caller", CALLERS)
def test_nobody_may_query_the_requests_of_all(clients: dict[str, Client], caller: str) -> None:
    assert denied(clients[caller].query("generationRequests", of=None))


@pytest.mark.parametrize("caller", sorted(OTHERS))
@pytest.mark.parametrize("collection", ["users", "generationRequests", "grants"])
def test_others_may_neither_query_nor_count_what_is_the_owners(
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
def test_a_query_for_more_than_ones_own_requests_is_refused(
    clients: dict[str, Client], operator: str, value: dict[str, Any]
) -> None:
    query = {"from": [{"collectionId": "generationRequests"}], "where": where(operator, value)}

    assert denied(clients["another user"].send("POST", ":runQuery", {"structuredQuery": query}))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("of", [None, OWNER])
@pytest.mark.parametrize("collection", ["users", "creditTransactions", "generationRequests", "grants", "notes"])
def test_nobody_may_query_or_count_all_collections_of_a_name_at_once(
    clients: dict[str, Client], caller: str, of: str | None, collection: str
) -> None:
    assert denied(clients[caller].query(collection, of=of, everywhere=True))
    assert denied(clients[caller].count(collection, of=of, everywhere=True))


@pytest.mark.parametrize("caller", sorted(OTHERS))
@pytest.mark.parametrize("collection", ["users", f"users/{OWNER}/creditTransactions", "generationRequests", "grants"])
def test_others_get_nothing_of_the_owners_in_a_batch_either(
    clients: dict[str, Client], documents: dict[str, str], caller: str, collection: str
) -> None:
    client = clients[caller]
    readable = f"users/{CALLERS[caller]}" if CALLERS[caller] else "nothing/nothing"
    names = [client.name(readable), client.name(documents[collection])]

    assert denied(client.send("POST", ":batchGet", {"documents": names}))


@pytest.mark.parametrize("caller", CALLERS)
def test_nobody_may_list_what_lies_under_a_user(clients: dict[str, Client], caller: str) -> None:
    assert denied(clients[caller].send("POST", f"/users/{OWNER}:listCollectionIds", {}))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("field", ["credits.paid", "lifetime.grant", "ledger.seq", "activity", "usage", "displayName"])
def test_nobody_writes_any_field_of_a_user(clients: dict[str, Client], caller: str, field: str) -> None:
    """As the client SDKs write: fields that are set, and counters that are increased, in one commit."""
    client = clients[caller]
    name, top = client.name(f"users/{OWNER}"), field.partition(".")[0]
    deleting = {"update": {"name": name, "fields": {}}, "updateMask": {"fieldPaths": [top]}}
    increasing = {"fieldPath": field, "increment": {"integerValue": "1000"}}

    assert denied(client.send("POST", ":commit", {"writes": [deleting]}))
    assert denied(
        client.send("POST", ":commit", {"writes": [{"transform": {"document": name, "fieldTransforms": [increasing]}}]})
    )


def test_a_newcomer_cannot_give_themselves_a_user_document_with_credits(live: Live) -> None:
    user_id, token = live.sign_up()
    newcomer = client_of(live, token)

    assert denied(newcomer.send("POST", "/users", RICH, documentId=user_id))
    assert denied(newcomer.send("PATCH", f"/users/{user_id}", RICH))
    assert denied(newcomer.send("POST", f"/users/{user_id}/creditTransactions", RICH))
    assert newcomer.send("GET", f"/users/{user_id}").status_code == HTTPStatus.NOT_FOUND


def test_what_does_not_exist_cannot_be_told_from_what_is_not_theirs(clients: dict[str, Client]) -> None:
    assert denied(clients["the owner"].send("GET", "/generationRequests/nothing"))
    assert denied(clients["the owner"].send("GET", "/users/nobody"))

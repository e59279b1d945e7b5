"""Tests of the access to the REST API and with API keys: every route and function, every caller, every scope.

The expected outcomes follow from the declaration of each operation. ``tests/e2e/test_auth.py`` tests the access to
the functions with ID tokens.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.api.auth import Access
from imagegen.api.operation import Operation
from imagegen.api.rest.routes import ROUTES
from imagegen.documents.api_keys import create_api_key
from imagegen.domain.api_keys import ApiKey, Scope, key_id, new_secret
from imagegen.ports.clock import Clock
from simulation.payments import FakePayments
from tests.support.access import ALLOWED, CallerKind
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.calls import Call, of_function, of_route
from tests.support.orders import order
from tests.support.wire import ObservedClient
from tools.docs import openapi, openapi_rest

FUNCTIONS = openapi.operations()
USER_IDS = {
    CallerKind.OWNER: "user",
    CallerKind.UNVERIFIED: "user",
    CallerKind.OTHER_USER: "other",
    CallerKind.ADMIN: "admin",
}
Keys = dict[tuple[str, Scope], str]
ALLOWED_CALL = "allowed"
NOT_FOUND = {"generation_request_id": "REQUEST_NOT_FOUND", "purchase_id": "PURCHASE_NOT_FOUND"}
"""The reason that hides another user's document, by the field that names the document."""
DENIED = {"UNAUTHENTICATED", "SCOPE_MISSING", "PERMISSION_DENIED", "EMAIL_NOT_VERIFIED", *NOT_FOUND.values()}


@dataclass(frozen=True)
class Entry:
    """A way to call an operation: as a route or as a function. ``call`` returns its call with some fields."""

    operation: Operation[Any, Any]
    example: dict[str, Any]
    call: Callable[[dict[str, Any]], Call]


ENTRIES = {
    **{
        f"{route.method} {route.path}": Entry(
            route.operation, openapi_rest.example(route.operation), partial(of_route, route)
        )
        for route in ROUTES
    },
    **{
        name: Entry(operation, openapi.example(operation), partial(of_function, name))
        for name, operation in FUNCTIONS.items()
    },
}


def expected(operation: Operation[Any, Any], kind: CallerKind, scope: Scope | None) -> str:
    """Return the reason why a call for the owner's data is refused, or ALLOWED_CALL.

    ``scope`` is the only scope of the caller's API key, or None for a caller without a key.
    """
    if scope is not None and scope is not operation.scope:
        return "SCOPE_MISSING"
    if kind not in ALLOWED[operation.access]:
        if operation.names_owner or operation.access is Access.ADMIN:
            return "PERMISSION_DENIED"
        [named] = NOT_FOUND.keys() & operation.request.model_fields.keys()
        return NOT_FOUND[named]
    if operation.spends and kind is CallerKind.UNVERIFIED:
        return "EMAIL_NOT_VERIFIED"
    return ALLOWED_CALL


@pytest.fixture
def payments(clock: Clock) -> FakePayments:
    return FakePayments(clock.now)


@pytest.fixture
def fields(api: Api, add_user: AddUser) -> dict[str, str]:
    """Add the users and a request of the owner. Return the ids of the owner's data by field name."""
    for user_id in ("user", "other", "admin"):
        add_user(user_id, paid=100)
    request_id = api.result("createGenerationRequest", order(mode="async"))["generationRequestId"]
    purchase_id = api.result("createPurchase", {"userId": "user", "package": "starter"})["purchaseId"]
    return {
        "userId": "user",
        "confirmUserId": "user",
        "user_id": "user",
        "generationRequestId": request_id,
        "generation_request_id": request_id,
        "purchaseId": purchase_id,
        "purchase_id": purchase_id,
    }


@pytest.fixture
def keys(database: FirestoreDatabase, clock: Clock) -> Keys:
    """Add a key for each user and scope, in one commit. Return the keys in clear."""
    rng, creations, keys = random.Random(1), [], {}
    for user_id, scope in product(sorted({*USER_IDS.values()}), Scope):
        keys[user_id, scope] = new_secret(rng)
        key = ApiKey(key_id(keys[user_id, scope]), user_id, "server", frozenset({scope}), clock.now(), 1_000)
        creations.append(create_api_key(key))
    database.commit(*creations)
    return keys


@pytest.mark.parametrize("name", ENTRIES)
def test_call_is_allowed_exactly_as_its_operation_declares(
    api: Api, client: ObservedClient, accounts: Accounts, fields: dict[str, str], keys: Keys, name: str
) -> None:
    entry = ENTRIES[name]
    own = {field: value for field, value in fields.items() if field in entry.example}
    call = entry.call({**entry.example, **own})
    attempts: list[tuple[CallerKind, Scope | None]] = [(kind, scope) for kind in USER_IDS for scope in Scope]
    if call.is_rest:
        attempts += [(kind, None) for kind in CallerKind]
    right = {attempt: expected(entry.operation, *attempt) for attempt in attempts}
    found = {}
    before = _data(client)
    for kind, scope in sorted(attempts, key=lambda attempt: right[attempt] == ALLOWED_CALL):  # the refused calls first
        accounts.unverified = {"user"} if kind is CallerKind.UNVERIFIED else set()
        user_id = USER_IDS.get(kind)
        reason = _reason(api, call, keys[user_id, scope] if user_id and scope else user_id)
        if reason in DENIED:
            assert _data(client) == before
        found[kind, scope] = reason if reason in DENIED else ALLOWED_CALL
    assert found == right


def _reason(api: Api, call: Call, token: str | None) -> str | None:
    """Make a call. Return the reason of the refusal, or None."""
    headers = {**call.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
    answer = api.http.open(call.path, method=call.method, data=call.body, headers=headers).get_json()
    reason: str | None = answer.get("reason") or answer.get("error", {}).get("details", {}).get("reason")
    return reason


def _data(client: ObservedClient) -> list[object]:
    """Return the data that a call in the user's name could change."""
    documents = [client.document("users/user").get(), *client.collection("generationRequests").stream()]
    return [document.to_dict() for document in documents]

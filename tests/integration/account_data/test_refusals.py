"""Tests that every call of a deleted account is refused, whatever function or route it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegen.api.auth import Access
from imagegen.api.operation import Operation
from imagegen.api.rest.routes import ROUTES
from tests.support.account_data import USER, Account, ProcessDied
from tests.support.accounts import Accounts
from tests.support.calls import Call, of_function, of_route
from tests.support.faults import FaultyDatabase
from tools.docs import openapi, openapi_rest

CALLS: dict[str, tuple[Operation[Any, Any], Callable[..., Call], Any]] = {
    **{name: (operation, of_function, name) for name, operation in openapi.operations().items()},
    **{f"{route.method} {route.path}": (route.operation, of_route, route) for route in ROUTES},
}


def reason(account: Account, call: Call) -> str | None:
    headers = {"Authorization": f"Bearer {USER}", **call.headers}
    answer = account.api.http.open(call.path, method=call.method, data=call.body, headers=headers).get_json()
    found: str | None = answer.get("reason") or answer.get("error", {}).get("details", {}).get("reason")
    return found


def refusals(account: Account, about: str = USER) -> dict[str, str | None]:
    """Call everything as the user, for the data of the user ``about``. Return the reasons of the refusals."""
    [request, *_] = account.database.scan("generationRequests")
    own = {"userId": about, "user_id": about, "generationRequestId": request.id, "generation_request_id": request.id}
    found = {}
    for name, (operation, call, target) in CALLS.items():
        example = openapi.example(operation) if name == target else openapi_rest.example(operation)
        found[name] = reason(account, call(target, {**example, **{key: own[key] for key in example if key in own}}))
    return found


@pytest.mark.parametrize("is_finished", [False, True])
def test_every_call_is_refused(account: Account, accounts: Accounts, faulty: FaultyDatabase, is_finished: bool) -> None:
    """Directly after the mark, before anything else is done, and after the end."""
    if is_finished:
        account.delete_to_the_end()
    else:
        faulty.faults = [None, crash]
        with pytest.raises(ProcessDied):
            account.delete()
    accounts.admins.add(USER)
    expected = dict.fromkeys(CALLS, "ACCOUNT_DELETED")
    expected["deleteAccount"] = "INVALID_INPUT"  # the example confirms another user's id
    assert refusals(account) == expected


def crash() -> None:
    raise ProcessDied


def test_every_call_of_a_deleted_admin_about_others_is_refused(account: Account, accounts: Accounts) -> None:
    account.register("person-8")
    accounts.admins.add(USER)
    assert refusals(account, about="person-8")["getCreditBalance"] is None
    account.delete()
    only_for_owners = [
        name for name, (operation, _, _) in CALLS.items() if operation.access is Access.OWNER and operation.names_owner
    ]
    expected = dict.fromkeys(CALLS, "ACCOUNT_DELETED") | dict.fromkeys(only_for_owners, "PERMISSION_DENIED")
    expected["deleteAccount"] = "INVALID_INPUT"  # the example confirms another user's id
    assert refusals(account, about="person-8") == expected


def test_api_key_stops_with_the_mark(account: Account, accounts: Accounts, faulty: FaultyDatabase) -> None:
    key = account.call("createApiKey", name="server", scopes=["read"])["apiKey"]
    [balance] = [route for route in ROUTES if route.path == "/v1/credits/balance"]
    call = of_route(balance, {})
    call = replace(call, headers={**call.headers, "Authorization": f"Bearer {key}"})
    assert reason(account, call) is None
    faulty.faults = [None, crash]
    with pytest.raises(ProcessDied):
        account.delete()
    assert reason(account, call) == "ACCOUNT_DELETED"
    account.delete_to_the_end()
    assert reason(account, call) == "UNAUTHENTICATED"


def test_calls_of_an_existing_account_are_not_refused(account: Account, accounts: Accounts) -> None:
    accounts.admins.add(USER)
    assert "ACCOUNT_DELETED" not in refusals(account).values()


@pytest.mark.parametrize("function", ["exportAccount", "getAccountExport", "deleteAccount"])
def test_only_the_owner_and_admins_export_and_delete(account: Account, accounts: Accounts, function: str) -> None:
    data = {"userId": USER, **({"confirmUserId": USER} if function == "deleteAccount" else {})}
    for token, expected in (("stranger", "PERMISSION_DENIED"), ("admin", None), (USER, None)):
        call = of_function(function, data)
        assert reason(account, replace(call, headers={**call.headers, "Authorization": f"Bearer {token}"})) == expected


def test_no_api_key_exports_or_deletes_an_account() -> None:
    operations = [openapi.operations()[name] for name in ("exportAccount", "getAccountExport", "deleteAccount")]
    assert {(operation.scope, operation.access) for operation in operations} == {(None, Access.OWNER_OR_ADMIN)}


def test_replay_of_a_request_is_refused(account: Account) -> None:
    order = {"model": "Model A", "style": "anime", "color": "neon", "size": "512x512", "prompt": "a", "mode": "async"}
    account.call("createGenerationRequest", **order, idempotencyKey="key")
    assert account.call("createGenerationRequest", **order, idempotencyKey="key")["replayed"]
    account.delete()
    assert account.refusal("createGenerationRequest", **order, idempotencyKey="key") == "ACCOUNT_DELETED"
    account.database.edit("styles/anime", enabled=False)  # now the call is invalid, and only a replay
    account.clock.at += timedelta(minutes=1)
    assert account.refusal("createGenerationRequest", **order, idempotencyKey="key") == "ACCOUNT_DELETED"

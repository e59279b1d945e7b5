"""Tests of API keys on the Firestore emulator, with a fake Firebase Auth: creation, scopes, limits and revocation."""

import hashlib
import json
import random
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope, is_well_formed, new_secret
from imagegen.domain.limits import Limits
from imagegen.services.api_keys import ACTIVE_MAX, CREATED_PER_DAY
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.faults import FaultyDatabase, Lost
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.docs import openapi
from tools.fakes import NO_LIMITS, ManualClock

FUNCTIONS = openapi.operations()
BALANCE = "/v1/credits/balance"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def users(add_user: AddUser, api: Api, accounts: Accounts, client: ObservedClient) -> None:
    for user_id in ("user", "other", "admin"):
        add_user(user_id, paid=100)


def create(backend: Backend, *scopes: Scope, user: str = "user", per_day: int = 0) -> str:
    return backend.api_keys.create(user, "server", scopes, per_day)[0]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def outcome(api: Api, function: str, data: object, secret: str) -> str:
    """Call a function with a key. Return the reason of its refusal, or OK."""
    answer = api.call(function, data, **bearer(secret)).get_json()
    return str(answer["error"]["details"]["reason"]) if "error" in answer else "OK"


def grant(key: str, credits: int = 5, user: str = "user") -> dict[str, object]:
    return {"userId": user, "credits": credits, "bucket": "paid", "reason": "sold", "idempotencyKey": key}


# The form of a key


def test_key_has_a_prefix_and_a_checksum() -> None:
    rng = random.Random(1)
    secret = new_secret(rng)
    assert secret.startswith("igk_")
    assert len(secret) == 76
    assert is_well_formed(secret)
    for position in range(4, 76):
        other = "0" if secret[position] != "0" else "1"
        assert not is_well_formed(secret[:position] + other + secret[position + 1 :])


@pytest.mark.parametrize("change", [str.upper, lambda key: key[:-1], lambda key: key + "0", lambda key: key + "\n"])
def test_malformed_key_is_refused_before_anything_is_read(
    api: Api, backend: Backend, users: None, client: ObservedClient, accounts: Accounts, change: Any
) -> None:
    secret = change(create(backend, *Scope))
    client.wire.reset()
    accounts.lookups = 0
    headers = {"Authorization": f"Bearer igk_{secret[4:].rstrip()}x" if secret.endswith("\n") else f"Bearer {secret}"}
    response = api.rest("GET", BALANCE, **headers)
    assert response.status_code == 401
    assert (client.wire.round_trips, accounts.lookups) == (0, 0)


def test_key_of_another_project_is_refused(api: Api, users: None, accounts: Accounts) -> None:
    response = api.rest("GET", BALANCE, **bearer(new_secret(random.Random(7))))
    assert (response.status_code, response.get_json()["reason"]) == (401, "UNAUTHENTICATED")
    assert accounts.lookups == 0


def test_key_is_stored_under_its_hash_and_nowhere_in_clear(
    api: Api, users: None, client: ObservedClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = api.result("createApiKey", {"userId": "user", "name": "shop", "scopes": ["read", "generate"]})
    secret = answer.pop("apiKey")
    assert answer == {
        "keyId": hashlib.sha256(secret.encode()).hexdigest(),
        "name": "shop",
        "scopes": ["generate", "read"],
        "grantCreditsPerDay": 0,
        "createdAt": "2026-11-18T12:00:00.000000Z",
    }
    api.rest("GET", BALANCE, **bearer(secret))
    api.rest("POST", "/v1/generations", {"model": secret}, **bearer(secret))
    documents = {
        document.reference.path: document.to_dict()
        for collection in client.collections()
        for document in client.collection_group(collection.id).stream()
    }
    assert f"apiKeys/{answer['keyId']}" in documents
    assert secret not in json.dumps(documents, default=str)
    assert secret not in caplog.text
    assert secret not in "".join(capfd.readouterr())


# Access


@pytest.mark.parametrize(
    "function", ["createApiKey", "listApiKeys", "revokeApiKey", "getWebhookSecret", "registerUser"]
)
def test_no_key_can_manage_keys_and_secrets(function: str) -> None:
    assert FUNCTIONS[function].scope is None


def test_server_generates_with_a_key(api: Api, backend: Backend, users: None) -> None:
    secret = create(backend, Scope.GENERATE, Scope.READ)
    data = {name: value for name, value in order().items() if name != "userId"}
    created = api.rest("POST", "/v1/generations", data, **bearer(secret))
    assert (created.status_code, created.get_json()["user_id"]) == (201, "user")
    path = f"/v1/generations/{created.get_json()['generation_request_id']}/replace-image-urls"
    assert api.rest("POST", path, **bearer(secret)).get_json()["reason"] == "NO_STORED_IMAGE"
    assert api.rest("GET", BALANCE, **bearer(secret)).get_json()["total_available"] == 97
    assert api.rest("GET", f"{BALANCE}?user_id=other", **bearer(secret)).status_code == 403


def test_key_stops_with_its_owner(api: Api, backend: Backend, users: None, accounts: Accounts) -> None:
    secret = create(backend, Scope.READ)
    for stopped in (accounts.disabled, accounts.deleted):
        stopped.add("user")
        assert api.rest("GET", BALANCE, **bearer(secret)).status_code == 401
        stopped.clear()
    assert api.rest("GET", BALANCE, **bearer(secret)).status_code == 200


def test_revoked_key_is_refused_at_once_and_the_other_key_goes_on(api: Api, backend: Backend, users: None) -> None:
    old, new = create(backend, Scope.READ), create(backend, Scope.READ)
    old_id = hashlib.sha256(old.encode()).hexdigest()
    assert api.error("revokeApiKey", {"keyId": "missing"})["details"]["reason"] == "API_KEY_NOT_FOUND"
    revoked = api.result("revokeApiKey", {"keyId": old_id})
    assert api.result("revokeApiKey", {"keyId": old_id}) == revoked
    assert [api.rest("GET", BALANCE, **bearer(key)).status_code for key in (old, new)] == [401, 200]
    [listed] = api.result("listApiKeys", {"userId": "user"})["apiKeys"]
    assert listed["keyId"] == hashlib.sha256(new.encode()).hexdigest()


def test_key_that_an_operator_revoked_is_refused_and_makes_room(
    api: Api, backend: Backend, users: None, client: ObservedClient
) -> None:
    secrets = [create(backend, Scope.READ) for _ in range(ACTIVE_MAX)]
    key_id = hashlib.sha256(secrets[0].encode()).hexdigest()
    client.document(f"apiKeys/{key_id}").update({"revokedAt": NOON})
    assert api.rest("GET", BALANCE, **bearer(secrets[0])).status_code == 401
    assert len(api.result("listApiKeys", {"userId": "user"})["apiKeys"]) == ACTIVE_MAX - 1
    refused = api.error("createApiKey", {"userId": "user", "name": "shop", "scopes": ["read"]})
    assert refused["details"]["reason"] == "TOO_MANY_API_KEYS"
    assert api.result("revokeApiKey", {"keyId": key_id})["revokedAt"] == "2026-11-18T12:00:00.000000Z"
    create(backend, Scope.READ)


@pytest.mark.parametrize("ring", [{"active": 7}, {"active": ["a/b"]}, {"earnedAt": "soon"}], ids=str)
def test_key_is_listed_and_revoked_although_the_ring_cannot_be_read(
    api: Api,
    backend: Backend,
    users: None,
    client: ObservedClient,
    caplog: pytest.LogCaptureFixture,
    ring: dict[str, object],
) -> None:
    secret = create(backend, Scope.READ)
    client.document("apiKeyRings/user").update(ring)
    before = client.document("apiKeyRings/user").get().to_dict()
    [listed] = api.result("listApiKeys", {"userId": "user"})["apiKeys"]
    revoked = api.result("revokeApiKey", {"keyId": listed["keyId"]})
    assert "DOCUMENT_UNREADABLE" in caplog.text
    assert api.rest("GET", BALANCE, **bearer(secret)).status_code == 401
    assert api.result("revokeApiKey", {"keyId": listed["keyId"]}) == revoked
    assert api.result("listApiKeys", {"userId": "user"})["apiKeys"] == []
    assert client.document("apiKeyRings/user").get().to_dict() == before


def test_key_that_the_ring_lacks_is_listed_and_revoked(
    api: Api, backend: Backend, users: None, client: ObservedClient, clock: ManualClock
) -> None:
    secrets = []
    for _ in range(2):
        secrets.append(create(backend, Scope.READ))
        clock.sleep(1)
    client.document("apiKeyRings/user").delete()
    ids = [hashlib.sha256(secret.encode()).hexdigest() for secret in reversed(secrets)]
    assert [key["keyId"] for key in api.result("listApiKeys", {"userId": "user"})["apiKeys"]] == ids
    api.result("revokeApiKey", {"keyId": ids[0]})
    assert [key["keyId"] for key in api.result("listApiKeys", {"userId": "user"})["apiKeys"]] == ids[1:]


def test_listed_keys_are_bounded(
    api: Api, backend: Backend, users: None, client: ObservedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its ring, a user can create more keys. Revoked keys make room for the others."""
    monkeypatch.setattr("imagegen.services.api_keys.LISTED_MAX", 2)
    for _ in range(3):
        create(backend, Scope.READ)
        client.document("apiKeyRings/user").delete()
    [first, second] = [key["keyId"] for key in api.result("listApiKeys", {"userId": "user"})["apiKeys"]]
    api.result("revokeApiKey", {"keyId": first})
    left = [key["keyId"] for key in api.result("listApiKeys", {"userId": "user"})["apiKeys"]]
    assert (len(left), second in left, first in left) == (2, True, False)


def test_active_keys_are_bounded_also_if_created_at_once(backend: Backend, users: None) -> None:
    outcomes: list[bool] = []

    def attempt() -> None:
        try:
            create(backend, Scope.READ)
            outcomes.append(True)
        except Exception:  # noqa: BLE001 - the bound
            outcomes.append(False)

    for _ in range(ACTIVE_MAX - 1):
        create(backend, Scope.READ)
    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes) == 1
    assert len(backend.api_keys.list("user")) == ACTIVE_MAX


def test_keys_created_in_a_day_are_bounded(api: Api, backend: Backend, users: None, clock: ManualClock) -> None:
    for _ in range(CREATED_PER_DAY):
        key_id = hashlib.sha256(create(backend, Scope.READ).encode()).hexdigest()
        backend.api_keys.revoke(key_id, lambda _: True)
    refused = api.error("createApiKey", {"userId": "user", "name": "shop", "scopes": ["read"]})
    assert refused["details"]["reason"] == "RATE_LIMITED"
    clock.at += timedelta(seconds=refused["details"]["retryAfterSeconds"])
    create(backend, Scope.READ)


def test_key_whose_commit_got_no_answer_is_returned(backend: Backend, users: None, faulty: FaultyDatabase) -> None:
    faulty.faults = [Lost.AFTER]
    secret = create(backend, Scope.READ)
    [key] = backend.api_keys.list("user")
    assert key.id == hashlib.sha256(secret.encode()).hexdigest()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read", "read"]}, "scopes"),
        ({"scopes": ["write"]}, "scopes.0"),
        ({"scopes": ["grant"]}, "grantCreditsPerDay"),
        ({"grantCreditsPerDay": 5}, "grantCreditsPerDay"),
        ({"name": "\u200b"}, "name"),
    ],
)
def test_invalid_key_is_refused(api: Api, users: None, fields: dict[str, object], field: str) -> None:
    refused = api.error("createApiKey", {"userId": "user", "name": "shop", "scopes": ["read"], **fields})
    assert [violation["field"] for violation in refused["details"]["violations"]] == [field]


# Last use


def test_last_use_is_written_once_a_day(
    api: Api, backend: Backend, users: None, client: ObservedClient, clock: ManualClock
) -> None:
    secret = create(backend, Scope.READ)

    def cost() -> tuple[int, int]:
        client.wire.reset()
        api.rest("GET", BALANCE, **bearer(secret))
        return client.wire.documents_read, client.wire.writes

    api.rest("GET", "/v1/catalog")  # reads the catalog
    assert [cost(), cost()] == [(3, 1), (2, 0)]
    clock.at += timedelta(days=1)
    api.rest("GET", "/v1/catalog")
    assert [cost(), cost()] == [(3, 1), (2, 0)]
    assert str(backend.api_keys.list("user")[0].last_used_on) == "2026-11-19"


def test_simultaneous_first_calls_of_a_day_write_the_last_use_once(
    backend: Backend, users: None, client: ObservedClient
) -> None:
    secret = create(backend, Scope.READ)
    found = [backend.api_keys.find(secret) for _ in range(2)]
    client.wire.reset()
    for key in found:
        assert key is not None
        backend.api_keys.record_use(key)
    assert client.wire.writes == 1


def test_call_is_answered_if_its_use_cannot_be_recorded(
    api: Api, backend: Backend, users: None, faulty: FaultyDatabase
) -> None:
    secret = create(backend, Scope.READ)
    faulty.faults = [Lost.BEFORE]
    assert api.rest("GET", BALANCE, **bearer(secret)).status_code == 200


def test_key_costs_the_money_path_one_read(
    api: Api, backend: Backend, users: None, client: ObservedClient, accounts: Accounts
) -> None:
    secret = create(backend, Scope.GENERATE)
    data = {name: value for name, value in order().items() if name != "userId"}
    api.rest("POST", "/v1/generations", data, **bearer(secret))  # reads the catalog, and records the use
    client.wire.reset()
    accounts.lookups = 0
    api.rest("POST", "/v1/generations", data, **bearer(secret))
    assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == (3, 3, 3)
    assert accounts.lookups == 1


@pytest.mark.parametrize("limits", [replace(NO_LIMITS, calls_per_minute=1)])
def test_calls_with_all_keys_of_a_user_are_limited_together(
    api: Api, backend: Backend, users: None, accounts: Accounts, limits: Limits
) -> None:
    first, second = create(backend, Scope.READ), create(backend, Scope.READ)
    assert api.rest("GET", BALANCE, **bearer(first)).status_code == 200
    refused = api.rest("GET", BALANCE, **bearer(second))
    assert (refused.status_code, refused.get_json()["reason"]) == (429, "RATE_LIMITED")
    assert refused.headers["Retry-After"] == "60"
    assert accounts.lookups == 1


# Grants


def test_only_admins_create_keys_that_grant(api: Api, users: None) -> None:
    data = {"name": "shop", "scopes": ["grant"], "grantCreditsPerDay": 10}
    assert outcome(api, "createApiKey", data, "user") == "PERMISSION_DENIED"
    assert outcome(api, "createApiKey", data, "admin") == "OK"


def test_shop_grants_up_to_its_limit_each_day(
    api: Api, backend: Backend, users: None, clock: ManualClock, client: ObservedClient
) -> None:
    secret = create(backend, Scope.GRANT, user="admin", per_day=10)
    assert outcome(api, "grantCredits", grant("1", 6), secret) == "OK"
    response = api.rest(
        "POST",
        "/v1/credits/grants",
        {
            "user_id": "user",
            "credits": 5,
            "bucket": "paid",
            "reason": "sold",
            "idempotency_key": "2",
        },
        **bearer(secret),
    )
    assert (response.status_code, response.get_json()["reason"]) == (429, "GRANT_LIMIT_REACHED")
    assert response.get_json()["details"] == {"credits_left": 4, "retry_after_seconds": 43_200}
    assert outcome(api, "grantCredits", grant("3", 4), secret) == "OK"
    assert outcome(api, "grantCredits", grant("1", 6), secret) == "OK", "a repeated call grants nothing"
    clock.at += timedelta(hours=12)
    assert outcome(api, "grantCredits", grant("4", 10), secret) == "OK"
    assert client.document("users/user").get().to_dict()["credits"]["paid"] == 120  # type: ignore[index]
    grants = [document.to_dict() or {} for document in client.collection("grants").stream()]
    [made] = [document for document in grants if document["credits"] == 10]
    assert made["apiKeyId"] == hashlib.sha256(secret.encode()).hexdigest()


def test_simultaneous_grants_do_not_exceed_the_limit(api: Api, backend: Backend, users: None) -> None:
    secret = create(backend, Scope.GRANT, user="admin", per_day=10)
    outcomes: list[str] = []
    threads = [
        threading.Thread(
            target=lambda number=number: outcomes.append(
                outcome(api, "grantCredits", grant(str(number), 3, ("user", "other")[number % 2]), secret)
            )
        )
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["GRANT_LIMIT_REACHED"] * 3 + ["OK"] * 3


def test_key_stops_granting_when_its_owner_is_no_longer_an_admin(
    api: Api, backend: Backend, users: None, accounts: Accounts
) -> None:
    secret = create(backend, Scope.GRANT, user="admin", per_day=10)
    accounts.admins.clear()
    assert outcome(api, "grantCredits", grant("1"), secret) == "PERMISSION_DENIED"


def test_key_that_is_revoked_during_its_grant_grants_nothing(
    api: Api, backend: Backend, users: None, faulty: FaultyDatabase
) -> None:
    secret = create(backend, Scope.GRANT, user="admin", per_day=10)
    faulty.faults = [lambda: backend.api_keys.revoke(hashlib.sha256(secret.encode()).hexdigest(), lambda _: True)]
    assert outcome(api, "grantCredits", grant("1"), secret) == "UNAUTHENTICATED"


def test_app_check_is_not_needed_with_a_key(
    api: Api, backend: Backend, users: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENFORCE_APP_CHECK", "true")
    assert api.rest("GET", BALANCE, **bearer(create(backend, Scope.READ))).status_code == 200
    assert api.rest("GET", BALANCE).status_code == 401

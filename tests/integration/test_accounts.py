"""Tests of accounts: registration, grants and balances."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.cloud.firestore import DELETE_FIELD

from imagegen.bootstrap import Backend
from imagegen.domain.grants import Bucket, Grant
from imagegen.domain.ledger import Credits
from imagegen.domain.people import Person
from imagegen.errors import IdempotencyMismatch, UserNotFound
from imagegen.services.credits.accounts import Granted
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.faults import FaultyDatabase, Lost, refuse
from tests.support.orders import ORDER, order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

AT_ONCE = 16
PERSON = Person("email:grace@example.com")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def granted(backend: Backend, credits: int = 5, key: str = "order 1", user_id: str = "user") -> Granted:
    return backend.accounts.grant(user_id, Bucket.PAID, credits, reason="a purchase", key=key, granted_by="admin")


def grant(backend: Backend, credits: int = 5, key: str = "order 1", user_id: str = "user") -> Grant:
    return granted(backend, credits, key, user_id).grant


def entry_types(client: ObservedClient, user_id: str = "user") -> list[str]:
    entries = client.collection(f"users/{user_id}/creditTransactions").order_by("seq").stream()
    return [entry.get("type") for entry in entries]


def run_concurrently(operation: Callable[[], object]) -> list[object]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: operation(), range(AT_ONCE)))


# registerUser


def test_new_user_gets_trial_credits_once_with_a_ledger_entry(
    api: Api, client: ObservedClient, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAL_CREDITS", "7")
    expected = {
        "userId": "newcomer",
        "trialCredits": 7,
        "tokenBalance": 0,
        "totalAvailable": 7,
        "lifetime": {"granted": 7, "spent": 0, "refunded": 0, "corrected": 0},
    }
    assert api.result("registerUser", {"userId": "newcomer"}) == expected
    assert api.result("registerUser", {"userId": "newcomer"}) == expected
    assert entry_types(client, "newcomer") == ["grant"]
    api.result("createGenerationRequest", order(userId="newcomer", size="512x512"))


def test_registering_again_does_not_change_the_account(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(trial=1, paid=3)
    api.result("createGenerationRequest", ORDER)
    assert api.result("registerUser", {"userId": "user"})["totalAvailable"] == 1
    assert entry_types(client) == ["grant", "deduction"]


def test_account_without_trial_credits_is_empty(
    api: Api, client: ObservedClient, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAL_CREDITS", "0")
    assert api.result("registerUser", {"userId": "newcomer"})["totalAvailable"] == 0
    assert entry_types(client, "newcomer") == []


def test_concurrent_registrations_open_one_account(backend: Backend, client: ObservedClient, add_user: AddUser) -> None:
    wallets = run_concurrently(lambda: backend.accounts.register("newcomer", {}, PERSON, Credits(trial=10)))
    assert len(set(map(repr, wallets))) == 1
    assert entry_types(client, "newcomer") == ["grant"]


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_registration_survives_lost_or_refused_commit(
    backend: Backend, client: ObservedClient, faulty: FaultyDatabase, add_user: AddUser, fault: object
) -> None:
    faulty.faults = [fault]  # type: ignore[list-item]
    assert backend.accounts.register("newcomer", {}, PERSON, Credits(trial=10)).credits == Credits(trial=10)
    assert entry_types(client, "newcomer") == ["grant"]


# grantCredits


def test_key_grants_once(backend: Backend, client: ObservedClient, add_user: AddUser) -> None:
    add_user(trial=2)
    first = grant(backend)
    assert (first.credits, first.bucket, first.balance_after) == (5, Bucket.PAID, 7)
    assert granted(backend) == Granted(first, is_replay=True)
    assert grant(backend, key="order 2").balance_after == 12
    assert client.document("users/user").get().get("credits") == {"trial": 2, "paid": 10}
    assert entry_types(client) == ["grant"] * 3


def test_no_ledger_entry_holds_the_reason_of_a_grant(
    backend: Backend, client: ObservedClient, add_user: AddUser
) -> None:
    add_user()
    made = grant(backend)
    entry = client.document(f"users/user/creditTransactions/{made.entry_id}").get().to_dict()
    assert "a purchase" not in str(entry)
    stored = client.document(f"grants/{made.id}")
    assert stored.get().get("reason") == "a purchase"
    stored.update({"reason": DELETE_FIELD})  # an operator erases it
    assert grant(backend).balance_after == 5
    assert entry_types(client) == ["grant"]


def test_entry_of_an_earlier_version_with_its_reason_is_still_read(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser
) -> None:
    add_user()
    client.document(f"users/user/creditTransactions/{grant(backend).entry_id}").update({"reason": "a purchase"})
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 5
    assert backend.corrections.rebuild("user").credits == Credits(paid=5)


def test_quoted_key_finds_the_grant_of_an_earlier_version(backend: Backend, add_user: AddUser) -> None:
    """Earlier versions took the quotes of an Idempotency-Key header for a part of the key."""
    add_user()
    first = grant(backend, key='"order 1"')
    again = backend.accounts.grant(
        "user",
        Bucket.PAID,
        5,
        reason="a purchase",
        key="order 1",
        granted_by="admin",
        earlier_keys=('"order 1"',),
    )
    assert again == Granted(first, is_replay=True)
    assert grant(backend, key="order 1").balance_after == 10


def test_concurrent_grants_with_one_key_grant_once(backend: Backend, client: ObservedClient, add_user: AddUser) -> None:
    add_user()
    assert len(set(run_concurrently(lambda: grant(backend)))) == 1
    assert client.document("users/user").get().get("credits") == {"trial": 0, "paid": 5}


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_grant_survives_lost_or_refused_commit(
    backend: Backend, client: ObservedClient, faulty: FaultyDatabase, add_user: AddUser, fault: object
) -> None:
    add_user()
    faulty.faults = [fault]  # type: ignore[list-item]
    made = granted(backend)
    assert (made.grant.balance_after, made.is_replay) == (5, False)
    assert entry_types(client) == ["grant"]


@pytest.mark.parametrize("change", [{"credits": 6}, {"user_id": "other"}])
def test_key_with_another_grant_is_refused(
    backend: Backend, client: ObservedClient, add_user: AddUser, change: dict[str, object]
) -> None:
    add_user("user")
    add_user("other")
    grant(backend)
    with pytest.raises(IdempotencyMismatch):
        grant(backend, **change)  # type: ignore[arg-type]
    assert entry_types(client, "other") == []
    assert entry_types(client) == ["grant"]


def test_refused_grant_does_not_use_its_key(backend: Backend, add_user: AddUser) -> None:
    with pytest.raises(UserNotFound, match="registerUser"):
        grant(backend)
    add_user()
    assert grant(backend).balance_after == 5


# getCreditBalance


def test_trial_credits_are_spent_first_and_refund_returns_to_its_bucket(
    api: Api, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(trial=2, paid=6)
    client.document("models/model-b").update({"failureRate": 1})
    api.result("createGenerationRequest", ORDER)
    api.error("createGenerationRequest", order(model="Model B"))
    assert api.result("getCreditBalance", {"userId": "user"}) == {
        "trialCredits": 0,
        "tokenBalance": 5,
        "totalAvailable": 5,
        "lifetime": {"granted": 8, "spent": 6, "refunded": 3, "corrected": 0},
    }


def test_refund_of_mixed_payment_restores_both_buckets(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(trial=2, paid=6)
    client.document("models/model-a").update({"failureRate": 1})
    api.error("createGenerationRequest", ORDER)
    balance = api.result("getCreditBalance", {"userId": "user"})
    assert (balance["trialCredits"], balance["tokenBalance"]) == (2, 6)


def test_balance_costs_one_read(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=6)
    api.result("getCreditBalance", {"userId": "user"})
    assert (client.wire.round_trips, client.wire.documents_read) == (1, 1)


def test_balance_of_unknown_user_is_not_found(api: Api, add_user: AddUser) -> None:
    assert api.error("getCreditBalance", {"userId": "nobody"})["details"]["reason"] == "USER_NOT_FOUND"


# All of these functions


@pytest.mark.parametrize("function", ["getUserCredits", "getCreditBalance", "listGenerationRequests", "registerUser"])
def test_anonymous_call_requires_user_id(api: Api, add_user: AddUser, function: str) -> None:
    [violation] = api.error(function, {})["details"]["violations"]
    assert violation == {"field": "userId", "message": "is required"}


@pytest.mark.parametrize("function", ["getUserCredits", "getCreditBalance", "listGenerationRequests", "registerUser"])
def test_unreachable_database_is_service_unavailable(
    api: Api, faulty: FaultyDatabase, add_user: AddUser, function: str
) -> None:
    add_user()
    faulty.down = True
    assert api.error(function, {"userId": "user"})["details"]["reason"] == "SERVICE_UNAVAILABLE"
    faulty.down = False


def test_registration_with_endless_contention_writes_nothing(
    api: Api, faulty: FaultyDatabase, client: ObservedClient, add_user: AddUser
) -> None:
    faulty.faults = [refuse] * 200
    assert api.error("registerUser", {"userId": "newcomer"})["details"]["reason"] == "CONTENTION"
    assert not client.document("users/newcomer").get().exists

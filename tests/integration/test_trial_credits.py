"""Tests of trial credits: each person gets them once, whatever accounts the person opens."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from imagegen.api.auth import Caller
from imagegen.bootstrap import Backend
from imagegen.domain.grants import Bucket
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.faults import Fault, FaultyDatabase, Lost, refuse
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

TRIAL_CREDITS = 10
AT_ONCE = 8
ADDRESS = "grace@example.com"

Register = Callable[[Caller], int]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def account(uid: str, email: str = ADDRESS, *, verified: bool = True) -> Caller:
    return Caller(uid, email=email, email_verified=verified)


@pytest.fixture
def register(api: Api, monkeypatch: pytest.MonkeyPatch, client: ObservedClient, add_user: AddUser) -> Register:
    """Return a function that calls registerUser with an account. It returns the trial credits in the answer."""
    accounts: dict[str, Caller] = {}
    monkeypatch.setenv("REQUIRE_AUTH", "true")
    monkeypatch.setattr(Caller, "of", lambda headers, *_: accounts[_token(headers)])

    def register(caller: Caller) -> int:
        assert caller.uid is not None
        accounts[caller.uid] = caller
        response = api.call("registerUser", {}, Authorization=caller.uid)
        assert response.status_code == 200, response.get_data(as_text=True)
        trial_credits: int = response.get_json()["result"]["trialCredits"]
        return trial_credits

    return register


def _token(headers: Headers) -> str:
    return headers["Authorization"]


def delete(client: ObservedClient, uid: str) -> None:
    """Delete all documents of a user, as an operator does after the account was deleted."""
    client.recursive_delete(client.document(f"users/{uid}"))


def claims(client: ObservedClient) -> list[dict[str, Any]]:
    return [claim.to_dict() or {} for claim in client.collection("trialClaims").stream()]


# One person, many accounts


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "kept"])
def test_second_account_of_an_address_gets_none(register: Register, client: ObservedClient, deleted: bool) -> None:
    assert register(account("first")) == TRIAL_CREDITS
    if deleted:
        delete(client, "first")
    for uid in ("second", "third"):
        assert register(account(uid)) == 0
        assert register(account(uid)) == 0
    assert [claim["userId"] for claim in claims(client)] == ["first"]


@pytest.mark.parametrize(
    ("email", "alias"),
    [
        (ADDRESS, "Grace@EXAMPLE.com"),
        ("grace@gmail.com", "grace+2@gmail.com"),
        ("grace+1@gmail.com", "g.race+2@googlemail.com"),
        ("grace@outlook.com", "grace+2@outlook.com"),
    ],
)
def test_alias_of_an_address_gets_none(register: Register, email: str, alias: str) -> None:
    assert register(account("first", email)) == TRIAL_CREDITS
    assert register(account("second", alias)) == 0


def test_other_addresses_get_their_own(register: Register) -> None:
    for number, email in enumerate([ADDRESS, "grace+2@example.com", "g.race@outlook.com", "grace@outlook.com"]):
        assert register(account(f"user-{number}", email)) == TRIAL_CREDITS


def test_new_address_of_an_account_is_claimed_too(register: Register) -> None:
    assert register(account("first")) == TRIAL_CREDITS
    assert register(account("first", "hopper@example.com")) == TRIAL_CREDITS
    assert register(account("second", "hopper@example.com")) == 0
    assert register(account("third")) == 0


def test_claim_does_not_show_the_address(register: Register, client: ObservedClient) -> None:
    register(account("first"))
    [claim] = client.collection("trialClaims").stream()
    assert len(claim.id) == 64
    assert (claim.to_dict() or {}).keys() == {"schemaVersion", "userId", "claimedAt"}


def test_accounts_of_one_address_registering_at_once_get_them_once(register: Register, client: ObservedClient) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        granted = list(pool.map(lambda number: register(account(f"user-{number}")), range(AT_ONCE)))
    assert sorted(granted) == [0] * (AT_ONCE - 1) + [TRIAL_CREDITS]
    assert len(claims(client)) == 1


def test_first_registrations_of_all_instances_share_one_key(
    register: Register, backend: Backend, faulty: FaultyDatabase
) -> None:
    """Another instance creates the key just before this instance does."""
    other = Backend.on(
        faulty.database,
        backend.generations.queue.tasks,
        backend.sender,
        {},
        backend.images,
        backend.accounts.clock,
        backend.rng,
        lambda: "id",
        backend.generations.limits,
    )
    digests: list[str] = []
    faulty.faults = [lambda: digests.append(other.accounts.claim_keys.digest("x"))]
    assert register(account("first")) == TRIAL_CREDITS
    assert digests == [backend.accounts.claim_keys.digest("x")]


# Verification


def test_unverified_address_gets_them_once_it_is_verified(register: Register, client: ObservedClient) -> None:
    assert register(account("first", verified=False)) == 0
    assert claims(client) == []
    assert register(account("first")) == TRIAL_CREDITS
    assert register(account("first")) == TRIAL_CREDITS
    assert register(account("second")) == 0


def test_unverified_address_claims_nothing_from_its_owner(register: Register) -> None:
    assert register(account("stranger", verified=False)) == 0
    assert register(account("owner")) == TRIAL_CREDITS
    assert register(account("stranger")) == 0


def test_late_grant_keeps_what_the_account_has(register: Register, backend: Backend, client: ObservedClient) -> None:
    register(account("first", verified=False))
    backend.accounts.grant("first", Bucket.PAID, 5, reason="a purchase", key="1", granted_by="admin")
    assert register(account("first")) == TRIAL_CREDITS
    assert client.document("users/first").get().get("credits") == {"trial": TRIAL_CREDITS, "paid": 5}


# Accounts without an e-mail address


def test_phone_number_gets_them_once(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = "+15555550100"
    monkeypatch.setenv("ACCOUNTS_WITHOUT_EMAIL", "none")
    assert register(Caller("first", phone_number=phone)) == 0
    monkeypatch.setenv("ACCOUNTS_WITHOUT_EMAIL", "phone")
    assert register(Caller("first", phone_number=phone)) == TRIAL_CREDITS
    assert register(Caller("second", phone_number=phone)) == 0
    assert register(Caller("third", phone_number="+15555550101")) == TRIAL_CREDITS


def test_anonymous_account_gets_them_only_if_all_accounts_do(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert register(Caller("first")) == 0
    monkeypatch.setenv("ACCOUNTS_WITHOUT_EMAIL", "all")
    assert register(Caller("first")) == TRIAL_CREDITS
    assert register(Caller("first")) == TRIAL_CREDITS


def test_anonymous_account_that_adds_an_address_gets_them_once(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCOUNTS_WITHOUT_EMAIL", "all")
    assert register(Caller("first")) == TRIAL_CREDITS
    assert register(account("first")) == TRIAL_CREDITS
    assert register(account("second")) == 0


# Earlier accounts


def test_account_with_a_welcome_grant_is_claimed_without_a_second_grant(
    register: Register, client: ObservedClient, add_user: AddUser
) -> None:
    add_user("early", trial=3)
    assert register(account("early")) == 3
    assert [claim["userId"] for claim in claims(client)] == ["early"]
    assert register(account("second")) == 0


def test_second_early_account_of_a_person_keeps_its_credits(register: Register, add_user: AddUser) -> None:
    for uid in ("early", "earlier"):
        add_user(uid, trial=3)
        assert register(account(uid)) == 3


def test_without_trial_credits_nobody_is_claimed(
    register: Register, client: ObservedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAL_CREDITS", "0")
    assert register(account("first")) == 0
    assert claims(client) == []
    monkeypatch.setenv("TRIAL_CREDITS", "10")
    assert register(account("first")) == TRIAL_CREDITS


def test_user_whose_document_was_deleted_gets_no_account_over_the_old_ledger(
    register: Register, api: Api, client: ObservedClient
) -> None:
    register(account("first"))
    client.document("users/first").delete()
    response = api.call("registerUser", {}, Authorization="first")
    assert (response.get_json() or {})["error"]["details"]["reason"] == "ACCOUNT_LOST"
    assert not client.document("users/first").get().exists


# Failures


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
@pytest.mark.parametrize("commit", [0, 1, 2], ids=["of the key", "of the account", "of the next account"])
def test_registration_survives_lost_or_refused_commit(
    register: Register, client: ObservedClient, faulty: FaultyDatabase, commit: int, fault: Fault
) -> None:
    faulty.faults = [*[None] * commit, fault]
    assert register(account("first")) == TRIAL_CREDITS
    assert register(account("first")) == TRIAL_CREDITS
    assert register(account("second")) == 0


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse], ids=["lost before", "lost after", "refused"])
def test_late_grant_survives_lost_or_refused_commit(
    register: Register, client: ObservedClient, faulty: FaultyDatabase, fault: Fault
) -> None:
    register(account("first", verified=False))
    register(account("other", "other@example.com"))  # creates the key
    faulty.faults = [fault]
    assert register(account("first")) == TRIAL_CREDITS
    assert client.document("users/first").get().get("credits") == {"trial": TRIAL_CREDITS, "paid": 0}
    assert register(account("second")) == 0


def test_late_grant_and_a_purchase_at_once_both_count(
    register: Register, backend: Backend, client: ObservedClient, faulty: FaultyDatabase
) -> None:
    register(account("first", verified=False))
    register(account("other", "other@example.com"))  # creates the key

    def buy() -> None:
        backend.accounts.grant("first", Bucket.PAID, 5, reason="a purchase", key="1", granted_by="admin")

    faulty.faults = [buy]
    assert register(account("first")) == TRIAL_CREDITS
    assert client.document("users/first").get().get("credits") == {"trial": TRIAL_CREDITS, "paid": 5}


# Costs


def test_repeated_registration_costs_one_round_trip(register: Register, client: ObservedClient) -> None:
    register(account("first"))
    client.wire.reset()
    register(account("first"))
    assert (client.wire.round_trips, client.wire.documents_read) == (1, 3)


def test_without_required_authentication_each_user_gets_them(api: Api, add_user: AddUser) -> None:
    for user_id in ("first", "second"):
        for _ in range(2):
            assert api.result("registerUser", {"userId": user_id})["trialCredits"] == TRIAL_CREDITS
    api.result("createGenerationRequest", order(userId="first", size="512x512"))

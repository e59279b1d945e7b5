"""Tests of the 15 invariants of the Ledger Conformance Kit, each on the Firestore emulator.

The kit (technomorphcorporation/ledger-conformance-kit) is a published standard for ledgers. docs/conformance.md lists
which of its invariants hold here, which do not apply, and why.
"""

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend
from imagegen.documents.accounts import account_of, create_entry, entry_of, ledger_path, wallet_of
from imagegen.domain.ledger import GENESIS, Credits, Wallet
from imagegen.ports.database import CommitRefused
from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.orders import ORDER, order
from tests.support.scale import scaled
from tests.support.wire import ObservedClient
from tools.emulators.project import ROOT

SMALL = order(size="512x512")
KEYED = order(idempotencyKey="key")


@pytest.fixture
def entries(database: FirestoreDatabase) -> Callable[[], list[Any]]:
    """Return a function that reads the user's ledger, oldest entry first."""

    def read() -> list[Any]:
        found = [entry_of("user", document) for document in database.scan(ledger_path("user"))]
        return sorted(found, key=lambda entry: entry.seq)

    return read


def outcomes_of(api: Api, count: int, threads: int, data: object) -> Counter[str]:
    """Make ``count`` calls in parallel. Return how many ended with which outcome."""

    def outcome(_number: int) -> str:
        answer = api.call("createGenerationRequest", data).get_json()
        return "delivered" if "result" in answer else str(answer["error"]["details"]["reason"])

    with ThreadPoolExecutor(threads) as pool:
        return Counter(pool.map(outcome, range(count)))


def balance(api: Api) -> int:
    credits: int = api.result("getUserCredits", {"userId": "user"})["currentCredits"]
    return credits


def test_inv_01_every_transaction_is_balanced(
    api: Api, client: ObservedClient, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    """A deduction equals the request's cost, and the refund equals the deduction in each bucket."""
    add_user(trial=2, paid=8)
    set_models(client, failureRate=1)
    api.error("createGenerationRequest", ORDER)
    _, deduction, refund = entries()
    request = client.document(f"generationRequests/{deduction.generation_request_id}").get()
    assert deduction.amount.total == request.get("cost") == 3
    assert refund.amount == deduction.amount


def test_inv_02_the_journal_is_append_only(
    api: Api, client: ObservedClient, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(paid=20)
    api.result("createGenerationRequest", ORDER)
    before = entries()
    set_models(client, failureRate=1)
    for number in range(3):
        api.call("createGenerationRequest", order(idempotencyKey=f"key-{number % 2}"))
    assert entries()[: len(before)] == before
    writes = [write for method, request in client.wire.calls if method == "Commit" for write in request.writes]
    assert any("creditTransactions" in write.update.name for write in writes)
    for write in writes:
        if "creditTransactions" in (write.update.name or write.delete):
            assert write.current_document.exists is False  # created, never replaced


def test_inv_03_the_hash_chain_is_intact(api: Api, add_user: AddUser, entries: Callable[[], list[Any]]) -> None:
    add_user(paid=20)
    for _ in range(5):
        api.result("createGenerationRequest", ORDER)
    head = GENESIS
    for entry in entries():
        assert entry.sealed(head).hash == entry.hash
        head = entry.hash


def test_inv_04_a_duplicate_submission_is_a_no_op(
    api: Api, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(paid=20)
    first = api.result("createGenerationRequest", KEYED)
    before = entries()
    assert all(api.result("createGenerationRequest", KEYED) == {**first, "replayed": True} for _ in range(3))
    assert entries() == before


def test_inv_05_concurrent_duplicates_collapse_to_one(
    api: Api, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(paid=20)
    outcomes = outcomes_of(api, 32, 32, KEYED)
    assert set(outcomes) <= {"delivered", "REQUEST_IN_PROGRESS"}
    assert outcomes["delivered"] >= 1
    assert [entry.type.value for entry in entries()] == ["grant", "deduction"]


def test_inv_06_no_updates_are_lost_on_a_hot_account(
    api: Api, client: ObservedClient, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    """A call that was refused because of contention wrote neither a request nor a deduction."""
    calls = scaled(80, 500)
    add_user(paid=600)
    outcomes = outcomes_of(api, calls, 16, SMALL)
    delivered = outcomes["delivered"]
    print(f"\n{delivered} of {calls} requests of one user got through, 16 at a time")
    assert set(outcomes) <= {"delivered", "CONTENTION"}
    assert balance(api) == 600 - delivered
    assert len(entries()) == 1 + delivered
    recorded = [request.get("status") for request in client.collection("generationRequests").stream()]
    assert recorded == ["completed"] * delivered
    assert delivered >= 0.9 * calls


def test_inv_07_value_is_conserved(api: Api, backend: Backend, client: ObservedClient, add_user: AddUser) -> None:
    """For several users with parallel successes and failures: granted = left + spent."""
    users = [add_user(f"user-{number}", trial=3, paid=30) for number in range(4)]
    set_models(client, failureRate=0.5)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: api.call("createGenerationRequest", order(userId=users[n % 4])), range(40)))
    left = sum(account_of(user).wallet.credits.total for user in backend.audit.database.scan("users"))
    requests = [document.to_dict() or {} for document in client.collection("generationRequests").stream()]
    spent = sum(request["cost"] for request in requests if request["status"] == "completed")
    assert {request["status"] for request in requests} == {"completed", "failed"}
    assert left + spent == 4 * 33


def test_inv_08_the_balance_equals_the_journal_projection(
    api: Api, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(trial=5, paid=40)
    outcomes_of(api, 20, 8, SMALL)
    assert balance(api) == sum(entry.type.sign * entry.amount.total for entry in entries())


def test_inv_09_the_overdraft_guard_holds_under_a_drain(
    api: Api, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(paid=17)
    outcomes = outcomes_of(api, 50, 32, SMALL)
    assert set(outcomes) <= {"delivered", "INSUFFICIENT_CREDITS", "CONTENTION"}
    assert outcomes["delivered"] == 17 - balance(api)
    assert min(entry.balance_after for entry in entries()) >= 0


def test_inv_10_small_movements_do_not_drift(add_user: AddUser, backend: Backend) -> None:
    """Credits are integers, in the code and in Firestore, so 250 corrections by 1 add up to 250."""
    add_user(paid=0)
    for number in range(250):
        backend.corrections.correct("user", Credits(paid=1), reason="drift", key=f"{number}")
    [user] = backend.audit.database.read("users/user")
    assert wallet_of(user).credits == Credits(paid=250)
    assert type(user.data["credits"]["paid"]) is int


def test_inv_11_buckets_are_not_mixed(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    """There is only one currency. The closest rule is that a refund never turns trial credits into paid credits."""
    add_user(trial=2, paid=8)
    set_models(client, failureRate=1)
    for _ in range(3):
        api.error("createGenerationRequest", ORDER)
    assert client.document("users/user").get().get("credits") == {"trial": 2, "paid": 8}


def test_inv_12_a_reversal_is_compensation_never_deletion(
    api: Api, client: ObservedClient, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1)
    api.error("createGenerationRequest", ORDER)
    assert [entry.type.value for entry in entries()] == ["grant", "deduction", "refund"]
    commits = [request for method, request in client.wire.calls if method == "Commit"]
    assert not any(write.delete for request in commits for write in request.writes)


def test_inv_13_the_state_rebuilds_exactly_from_the_log(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(trial=3, paid=40)
    set_models(client, failureRate=0.5)
    for _ in range(10):
        api.call("createGenerationRequest", ORDER)
    live = client.document("users/user").get().to_dict()
    client.document("users/user").update({"credits": {"trial": 0, "paid": 0}, "ledger": {"seq": 0, "head": GENESIS}})
    backend.corrections.rebuild("user")
    assert client.document("users/user").get().to_dict() == live


def test_inv_14_the_order_within_an_account_is_monotonic(
    api: Api, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(paid=30)
    outcomes_of(api, 20, 10, SMALL)
    ledger = entries()
    assert [entry.seq for entry in ledger] == list(range(1, len(ledger) + 1))


def test_inv_15_a_duplicate_of_a_refused_one_is_not_reported_as_applied(
    api: Api, backend: Backend, add_user: AddUser, entries: Callable[[], list[Any]]
) -> None:
    add_user(paid=2)
    refusals = [api.error("createGenerationRequest", KEYED)["details"] for _ in range(2)]
    assert [refusal["reason"] for refusal in refusals] == ["INSUFFICIENT_CREDITS"] * 2
    backend.corrections.correct("user", Credits(paid=1), reason="enough", key="1")
    assert api.result("createGenerationRequest", KEYED)["deductedCredits"] == 3
    assert [entry.type.value for entry in entries()] == ["grant", "correction", "deduction"]


def test_conformance_page_lists_each_invariant_and_its_test() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text("utf-8")
    listed = re.findall(r"^\| (INV-\d\d) \|.*`(test_inv_\d\d\w*)` \|$", page, re.MULTILINE)
    assert [name for name, _ in listed] == [f"INV-{number:02}" for number in range(1, 16)]
    for name, test in listed:
        assert test in globals()
        assert test.startswith(f"test_{name.lower().replace('-', '_')}_")


def test_existing_entry_cannot_be_overwritten(database: FirestoreDatabase, add_user: AddUser) -> None:
    add_user(paid=5)
    [grant] = [entry_of("user", document) for document in database.scan(ledger_path("user"))]
    with pytest.raises(CommitRefused):
        database.commit(
            create_entry(
                Wallet("user").post(
                    grant.type,
                    Credits(paid=9),
                    entry_id=grant.id,
                    generation_request_id=None,
                    timestamp=grant.timestamp,
                )[1]
            )
        )

"""Tests of getUserCredits and listCreditTransactions: the balance and the pages of the history."""

from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend
from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import Credits, EntryType
from imagegen.services.credits.history import Histories
from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.faults import FaultyDatabase
from tests.support.orders import ORDER, order
from tests.support.wire import ObservedClient


def all_pages(api: Api, page_size: int) -> list[list[dict[str, Any]]]:
    """Return all pages of the user's history."""
    pages, token = [], None
    while True:
        answer = api.result("getUserCredits", {"userId": "user", "pageSize": page_size, "pageToken": token})
        pages.append(answer["transactions"])
        if "nextPageToken" not in answer:
            return pages
        token = answer["nextPageToken"]


def test_history_has_exactly_the_documented_fields(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(trial=1, paid=9)
    set_models(client, failureRate=1)
    request_id = api.error("createGenerationRequest", ORDER)["details"]["generationRequestId"]
    answer = api.result("getUserCredits", {"userId": "user"})
    refund, deduction = answer["transactions"]
    for transaction, type_ in ((refund, "refund"), (deduction, "deduction")):
        assert transaction == {
            "id": f"{request_id}-{type_}",
            "type": type_,
            "credits": 3,
            "generationRequestId": request_id,
            "timestamp": transaction["timestamp"],
        }
        assert transaction["timestamp"].endswith("Z")
    assert deduction["timestamp"] < refund["timestamp"]
    assert set(answer) == {"currentCredits", "transactions"}


def test_user_without_requests_has_an_empty_history(api: Api, add_user: AddUser) -> None:
    add_user(paid=5)
    assert api.result("getUserCredits", {"userId": "user"}) == {"currentCredits": 5, "transactions": []}


def test_pages_are_newest_first_without_gaps_or_repeats(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=50)
    created = [api.result("createGenerationRequest", order(size="512x512"))["generationRequestId"] for _ in range(7)]
    for size, lengths in ((3, [3, 3, 1]), (7, [7]), (6, [6, 1]), (1, [1] * 7)):
        pages = all_pages(api, size)
        assert [len(page) for page in pages] == lengths
        listed = [entry["generationRequestId"] for page in pages for entry in page]
        assert listed == created[::-1]


def test_new_entries_do_not_shift_the_pages(api: Api, add_user: AddUser) -> None:
    add_user(paid=50)
    for _ in range(4):
        api.result("createGenerationRequest", ORDER)
    first = api.result("getUserCredits", {"userId": "user", "pageSize": 2})
    api.result("createGenerationRequest", ORDER)
    second = api.result("getUserCredits", {"userId": "user", "pageSize": 2, "pageToken": first["nextPageToken"]})
    ids = [entry["id"] for page in (first, second) for entry in page["transactions"]]
    assert len(set(ids)) == 4
    assert "nextPageToken" not in second


def test_balance_and_history_are_consistent(api: Api, database: FirestoreDatabase, add_user: AddUser) -> None:
    """A request is made after the balance is read and before the history is read."""
    add_user(paid=10)
    api.result("createGenerationRequest", ORDER)
    faulty = FaultyDatabase(database, before_find=lambda: api.result("createGenerationRequest", ORDER))
    page = Histories(faulty).page("user", 50)
    assert (page.wallet.credits.total, [entry.balance_after for entry in page.entries.items]) == (7, [7, 10])


# listCreditTransactions


def test_whole_history_has_grants_and_corrections_with_the_balance_after_each(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(trial=1, paid=9)
    set_models(client, failureRate=1)
    request_id = api.error("createGenerationRequest", ORDER)["details"]["generationRequestId"]
    backend.accounts.grant("user", Bucket.PAID, 5, reason="a gift", key="1", granted_by="admin")
    backend.corrections.correct("user", Credits(paid=-2), reason="a secret", key="2")
    correction, grant, refund, deduction, welcome = whole_history(api)
    assert [(entry["type"], entry["credits"], entry["balanceAfter"]) for entry in whole_history(api)] == [
        ("correction", -2, 13),
        ("grant", 5, 15),
        ("refund", 3, 10),
        ("deduction", 3, 7),
        ("grant", 10, 10),
    ]
    fields = {"id", "type", "credits", "balanceAfter", "timestamp"}
    assert correction.keys() == grant.keys() == welcome.keys() == fields
    assert refund["generationRequestId"] == deduction["generationRequestId"] == request_id
    assert api.result("listCreditTransactions", {"userId": "user", "pageSize": 1})["currentCredits"] == 13


def whole_history(api: Api, page_size: int = 50, **filters: object) -> list[dict[str, Any]]:
    """Return all entries of the user's history, page by page."""
    entries: list[dict[str, Any]] = []
    token = None
    while True:
        params = {"userId": "user", "pageSize": page_size, "pageToken": token, **filters}
        answer = api.result("listCreditTransactions", params)
        assert len(answer["transactions"]) <= page_size
        entries += answer["transactions"]
        if "nextPageToken" not in answer:
            return entries
        token = answer["nextPageToken"]


@pytest.mark.parametrize("type", EntryType)
def test_history_is_filtered_by_type_on_all_pages(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser, type: EntryType
) -> None:
    add_user(paid=20)
    set_models(client, failureRate=1)
    for number in range(2):
        api.error("createGenerationRequest", ORDER)
        backend.corrections.correct("user", Credits(paid=1), reason="test", key=str(number))
    everything = whole_history(api, page_size=3)
    assert [entry["type"] for entry in everything] == ["correction", "refund", "deduction"] * 2 + ["grant"]
    expected = [entry for entry in everything if entry["type"] == type]
    for page_size in (1, 50):
        assert whole_history(api, page_size, type=type) == expected


def test_token_of_another_user_or_type_is_refused(api: Api, add_user: AddUser) -> None:
    add_user(paid=9)
    api.result("createGenerationRequest", ORDER)
    token = api.result("listCreditTransactions", {"userId": "user", "pageSize": 1})["nextPageToken"]
    for params in ({"userId": "other"}, {"userId": "user", "type": "grant"}):
        [violation] = api.error("listCreditTransactions", {**params, "pageToken": token})["details"]["violations"]
        assert violation["field"] == "pageToken"


def test_unknown_type_or_user_is_refused(api: Api) -> None:
    [violation] = api.error("listCreditTransactions", {"userId": "user", "type": "gift"})["details"]["violations"]
    assert violation["field"] == "type"
    assert api.error("listCreditTransactions", {"userId": "user"})["details"]["reason"] == "USER_NOT_FOUND"


@pytest.mark.parametrize(
    "page_size",
    [None, {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": "50"}],
    ids=["null", "a 64-bit integer of the Apple and Android SDKs"],
)
def test_page_size_is_accepted_in_every_form_of_the_client_sdks(api: Api, add_user: AddUser, page_size: object) -> None:
    add_user(paid=10)
    assert api.result("getUserCredits", {"userId": "user", "pageSize": page_size})["currentCredits"] == 10


@pytest.mark.parametrize("credits", [{"paid": 2.5}, {"paid": -1}, {"paid": "10"}, {"paid": True}, {"trial": None}])
def test_invalid_balance_is_an_internal_error_and_not_spent(
    api: Api, client: ObservedClient, database: FirestoreDatabase, credits: object, capfd: pytest.CaptureFixture[str]
) -> None:
    client.document("users/user").set({"credits": credits})
    for function, data in (("getUserCredits", {"userId": "user"}), ("createGenerationRequest", ORDER)):
        assert api.error(function, data)["details"]["reason"] == "INTERNAL"
    logged = "".join(capfd.readouterr())
    assert logged.count('"event": "CALL_FAILED"') == 2
    assert "documents/accounts.py" in logged
    assert (client.document("users/user").get().to_dict() or {}) == {"credits": credits}


def test_default_page_has_50_entries_and_costs_two_round_trips(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=60)
    for _ in range(51):
        api.result("createGenerationRequest", order(size="512x512"))
    client.wire.reset()
    answer = api.result("getUserCredits", {"userId": "user"})
    assert len(answer["transactions"]) == 50
    assert client.wire.round_trips == 2
    assert len(api.result("getUserCredits", {"userId": "user", "pageSize": 200})["transactions"]) == 51

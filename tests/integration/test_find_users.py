"""Tests of findUsers: by id, address and name, page by page, with bad documents."""

from datetime import timedelta

import pytest

from imagegen.bootstrap import Backend
from imagegen.domain.ledger import Credits
from imagegen.domain.times import rfc3339
from imagegen.services.credits.accounts import new_account
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.console import as_admin, refused
from tests.support.times import NOON
from tests.support.wire import ObservedClient

NAMES = {"ada": "Ada", "bela": "Béla", "mc": "McDonald", "two": "Hundred Credits", "old": "Trial and Paid"}

pytestmark = pytest.mark.usefixtures("accounts")


@pytest.fixture(autouse=True)
def users(backend: Backend, client: ObservedClient, accounts: Accounts) -> None:
    """Add users, the last of them as earlier versions stored them."""
    for number, (id, name) in enumerate(NAMES.items()):
        profile = {"displayName": name, "email": f"{id}@example.com"}
        _, writes = new_account(f"user-{id}", profile, Credits(1, number), NOON + timedelta(days=number))
        backend.database.commit(*writes)
    old = client.document("users/user-old")
    old.set({name: value for name, value in (old.get().to_dict() or {}).items() if name != "searchName"})


def ids(api: Api, **data: object) -> list[str]:
    return [user["userId"] for user in as_admin(api, "findUsers", **data)["users"]]


def pages(api: Api, **data: object) -> list[list[str]]:
    """Return the ids on each page."""
    found, token = [], None
    while True:
        page = as_admin(api, "findUsers", **data, pageToken=token)
        found.append([user["userId"] for user in page["users"]])
        if not (token := page.get("nextPageToken")):
            return found


def test_without_a_query_the_newest_users_come_first(api: Api) -> None:
    newest = [f"user-{id}" for id in reversed(NAMES)]
    assert ids(api) == ids(api, query="") == ids(api, query=None) == newest
    assert [id for page in pages(api, pageSize=2) for id in page] == newest


def test_user_is_shown_with_the_balance(api: Api) -> None:
    [user] = as_admin(api, "findUsers", query="user-bela")["users"]
    assert user == {
        "userId": "user-bela",
        "email": "bela@example.com",
        "displayName": "Béla",
        "createdAt": rfc3339(NOON + timedelta(days=1)),
        "currentCredits": 2,
        "trialCredits": 1,
        "paidCredits": 1,
    }


def test_query_finds_ids_and_the_beginnings_of_addresses_and_names(api: Api) -> None:
    expected = {
        "user-ada": ["ada"],
        "user-ad": [],  # an id is found only whole
        "ada@": ["ada"],
        "ADA@EXAMPLE": ["ada"],
        "aDA": ["ada"],
        "BÉL": ["bela"],
        "bél": ["bela"],
        "mcDON": ["mc"],
        "hundred c": ["two"],
        "Trial and": ["old"],
        "TRIAL": ["old"],
        "trial": ["old"],
        "onald": [],
        "user/ada": [],
        "..": [],
    }
    found = {query: ids(api, query=query) for query in expected}
    assert found == {query: [f"user-{id}" for id in names] for query, names in expected.items()}


def test_user_who_matches_in_several_ways_is_shown_once(api: Api, client: ObservedClient) -> None:
    client.document("users/user-mc").update({"email": "user-ada@example.com", "displayName": "User-Ada"})
    client.document("users/user-two").update({"displayName": "user-ada 2"})
    found = ["user-ada", "user-mc", "user-two"]
    assert ids(api, query="user-ada") == found
    for size in (1, 2):
        assert [id for page in pages(api, query="user-ada", pageSize=size) for id in page] == found


def test_bad_document_is_shown_as_such_beside_the_others(api: Api, client: ObservedClient) -> None:
    client.document("users/user-mc").update({"email": 5, "displayName": ["x"], "credits": None})
    client.document("users/user-bela").update({"credits.paid": -5})
    client.document("users/user-two").update({"usage": {"soon": {}}})
    users = {user["userId"]: user for user in as_admin(api, "findUsers")["users"]}
    bad = {id: user["unreadableField"] for id, user in users.items() if "unreadableField" in user}
    assert bad == {"user-mc": "credits", "user-bela": "credits", "user-two": "usage.soon"}
    assert [id for id, user in users.items() if "currentCredits" in user] == ["user-old", "user-ada"]
    assert as_admin(api, "findUsers", query="user-two")["users"] == [users["user-two"]]


def test_page_ends_after_some_queries(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.services.users.QUERIES_MAX", 1)
    found = pages(api, query="m")
    assert [id for page in found for id in page] == ["user-mc"]
    assert len(found) > 1


def test_token_of_another_query_is_refused(api: Api) -> None:
    token = as_admin(api, "findUsers", pageSize=1)["nextPageToken"]
    error = refused(api, "findUsers", query="ada", pageToken=token)
    assert [violation["field"] for violation in error["details"]["violations"]] == ["pageToken"]


def test_invalid_query_is_refused(api: Api) -> None:
    for query in (5, "x" * 201, "a\u202eb", "\ud800"):
        assert refused(api, "findUsers", query=query)["details"]["reason"] == "INVALID_INPUT"

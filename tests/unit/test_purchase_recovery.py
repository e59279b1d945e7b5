"""Tests of reconciling a purchase without its events, and of lists. An audit follows each test."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from imagegen.domain.ledger import Credits
from imagegen.ports.payments import PaymentsRefused
from tests.support.accounts import Accounts
from tests.support.console import as_admin, refused
from tests.support.purchases import Shop, down


def test_landing_page_looks_once_in_a_while(shop: Shop) -> None:
    purchase_id, session_id = shop.bought()
    shop.payments.pay(session_id)
    assert shop.purchase(purchase_id)["status"] == "open"
    assert shop.api.result("reconcilePurchase", {"purchaseId": purchase_id})["status"] == "paid"
    calls = len(shop.payments.calls)
    shop.payments.refund(session_id, 500)
    assert shop.api.result("reconcilePurchase", {"purchaseId": purchase_id})["status"] == "paid"
    assert len(shop.payments.calls) == calls
    shop.clock.sleep(5)
    assert shop.api.result("reconcilePurchase", {"purchaseId": purchase_id})["status"] == "refunded"


def test_simultaneous_looks_call_the_provider_once(shop: Shop) -> None:
    purchase_id, _ = shop.bought()
    calls = len(shop.payments.calls)
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: shop.api.call("reconcilePurchase", {"purchaseId": purchase_id}), range(8))]
    assert {answer.status_code for answer in found} == {200}
    assert len(shop.payments.calls) == calls + 1


def test_stranger_causes_no_call_to_the_provider(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts()
    monkeypatch.setattr("firebase_admin.auth.get_user", accounts.get_user)
    monkeypatch.setattr("firebase_admin.auth.verify_id_token", accounts.verify_id_token)
    purchase_id, _ = shop.bought()
    calls = len(shop.payments.calls)
    for function in ("getPurchase", "reconcilePurchase"):
        for id in (purchase_id, "unknown"):
            answer = shop.api.call(function, {"purchaseId": id}, Authorization="Bearer stranger")
            assert answer.get_json()["error"]["details"] == {"reason": "PURCHASE_NOT_FOUND", "purchaseId": id}
    assert len(shop.payments.calls) == calls


def test_landing_page_says_that_the_provider_is_away(shop: Shop) -> None:
    purchase_id, _ = shop.bought()
    shop.payments.before = down
    error = shop.api.error("reconcilePurchase", {"purchaseId": purchase_id})
    assert error["details"]["reason"] == "SERVICE_UNAVAILABLE"


def test_landing_page_says_that_the_provider_refuses(shop: Shop) -> None:
    def refused(_call: str) -> None:
        raise PaymentsRefused("api_key_expired")

    purchase_id, _ = shop.bought()
    shop.payments.before = refused
    error = shop.api.error("reconcilePurchase", {"purchaseId": purchase_id})
    assert error["details"] == {"reason": "PAYMENTS_UNAVAILABLE"}
    shop.clock.sleep(5)
    answer = shop.api.rest("POST", f"/v1/purchases/{purchase_id}/reconcile")
    assert (answer.status_code, answer.get_json()["reason"]) == (409, "PAYMENTS_UNAVAILABLE")


def test_refund_waits_while_the_user_owes_for_too_many_purchases(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.domain.ledger.DEBTS_MAX", 1)
    monkeypatch.setattr("imagegen.api.purchases.DEBTS_MAX", 1)
    (owing, first), (waiting, second) = shop.paid(), shop.paid()
    shop.spend(100)
    shop.payments.refund(first, 500)
    shop.payments.refund(second, 500)
    assert shop.api.result("reconcilePurchase", {"purchaseId": owing})["uncollected"] == 50
    before, entries = shop.stored(waiting), shop.entries()
    error = shop.api.error("reconcilePurchase", {"purchaseId": waiting})
    assert error["details"] == {"reason": "TOO_MANY_UNCOLLECTED", "purchasesOwedFor": 1}
    assert {**shop.stored(waiting), "lookedAt": None} == {**before, "lookedAt": None}
    assert shop.entries() == entries
    shop.paid()  # settles the debt
    shop.clock.sleep(5)
    assert shop.api.result("reconcilePurchase", {"purchaseId": waiting})["status"] == "refunded"


def test_sweeper_finds_what_lost_events_told(shop: Shop) -> None:
    made = [shop.bought() for _ in range(4)]
    shop.payments.pay(made[0][1])
    shop.payments.pay_later(made[1][1])
    shop.payments.expire(made[2][1])
    assert shop.api.http.post("/sweepAbandonedRequests").get_json() == {"swept": 0}
    shop.clock.sleep(601)
    assert shop.api.http.post("/sweepAbandonedRequests").get_json() == {"swept": 4}
    assert [shop.purchase(id)["status"] for id, _ in made] == ["paid", "processing", "expired", "open"]
    shop.payments.refund(made[0][1], 500)
    shop.payments.settle(made[1][1], arrived=True)
    shop.clock.sleep(86_400)
    shop.api.http.post("/sweepAbandonedRequests")
    assert [shop.purchase(id)["status"] for id, _ in made[:2]] == ["refunded", "paid"]
    assert shop.balance() == 50


def test_purchase_that_cannot_be_reconciled_stops_no_other(shop: Shop) -> None:
    broken, _ = shop.bought()
    _, other = shop.bought()
    shop.payments.pay(other)
    [document] = shop.database.read(f"purchases/{broken}")
    shop.database.database.edit(document.path, credits="many")  # type: ignore[attr-defined]
    shop.clock.sleep(601)
    assert shop.api.http.post("/sweepAbandonedRequests").get_json() == {"swept": 1}
    assert shop.balance() == 50
    assert shop.findings() == ["READABLE: The purchase cannot be read: the field credits is missing or not valid."]
    listed = shop.api.result("listPurchases", {"userId": "user"})["purchases"]
    assert [purchase["status"] for purchase in listed] == ["paid"]
    shop.database.database.edit(document.path, credits=50)  # type: ignore[attr-defined]


def test_sweeper_survives_a_provider_that_is_away(shop: Shop) -> None:
    _, session = shop.bought()
    shop.payments.pay(session)
    shop.payments.before = down
    shop.clock.sleep(601)
    assert shop.api.http.post("/sweepAbandonedRequests").get_json() == {"swept": 0}
    shop.payments.before = lambda _call: None
    assert shop.api.http.post("/sweepAbandonedRequests").get_json() == {"swept": 1}


def test_purchases_are_listed_newest_first_page_by_page(shop: Shop) -> None:
    made = []
    for _ in range(5):
        made.append(shop.bought()[0])
        shop.clock.sleep(1)
    first = shop.api.result("listPurchases", {"userId": "user", "pageSize": 3})
    token = first["nextPageToken"]
    second = shop.api.result("listPurchases", {"userId": "user", "pageSize": 3, "pageToken": token})
    found = [purchase["purchaseId"] for purchase in (*first["purchases"], *second["purchases"])]
    assert found == made[::-1]
    assert "nextPageToken" not in second
    assert shop.api.result("listPurchases", {"userId": "other"}) == {"purchases": []}


def test_admins_find_disputed_purchases_of_all_users_with_what_is_owed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.open("other")
    shop.paid()
    disputed = []
    for user_id in ("user", "other", "user"):
        shop.clock.sleep(1)
        purchase_id = shop.buy(userId=user_id)["purchaseId"]
        session_id = shop.session_of(purchase_id)
        shop.payments.pay(session_id)
        shop.deliver(*shop.payments.events[-1:])
        disputed.append((purchase_id, session_id))
    shop.backend.corrections.correct("other", Credits(paid=-45), reason="spent", key="spent")
    for _, session_id in disputed:
        shop.payments.dispute(session_id, 500)
        shop.deliver(*shop.payments.events[-1:])
    accounts = Accounts()
    monkeypatch.setattr("firebase_admin.auth.get_user", accounts.get_user)
    monkeypatch.setattr("firebase_admin.auth.verify_id_token", accounts.verify_id_token)
    first = as_admin(shop.api, "findPurchases", status="disputed", pageSize=2)
    rest = as_admin(shop.api, "findPurchases", status="disputed", pageToken=first["nextPageToken"])
    found = [*first["purchases"], *rest["purchases"]]
    assert [purchase["purchaseId"] for purchase in found] == [purchase_id for purchase_id, _ in reversed(disputed)]
    assert [(purchase["userId"], purchase["uncollected"]) for purchase in found] == [
        ("user", 0),
        ("other", 45),
        ("user", 0),
    ]
    assert "nextPageToken" not in rest
    assert as_admin(shop.api, "findPurchases", status="refunded") == {"purchases": []}
    error = refused(shop.api, "findPurchases", status="paid", pageToken=first["nextPageToken"])
    assert error["details"]["reason"] == "INVALID_INPUT"


def test_rest_api_has_purchases_too(shop: Shop) -> None:
    created = shop.api.rest("POST", "/v1/purchases", {"user_id": "user", "package": "starter"})
    assert (created.status_code, created.get_json()["status"]) == (201, "open")
    purchase_id = created.get_json()["purchase_id"]
    assert created.headers["Location"] == f"purchases/{purchase_id}"
    shop.payments.pay(shop.session_of(purchase_id))
    reconciled = shop.api.rest("POST", f"/v1/purchases/{purchase_id}/reconcile")
    assert reconciled.get_json()["credits_granted"] == 50
    assert shop.api.rest("GET", f"/v1/purchases/{purchase_id}").get_json() == reconciled.get_json()
    listed = shop.api.rest("GET", "/v1/purchases?user_id=user&limit=5").get_json()
    assert listed == {"items": [reconciled.get_json()]}

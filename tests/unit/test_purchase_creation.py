"""Tests of creating purchases and their checkout sessions. An audit follows each test."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegen.ports.payments import PaymentsDown, PaymentsRefused, Session
from tests.support.faults import Lost, refuse
from tests.support.purchases import START, Shop, down


def test_purchase_is_created_before_its_session_and_carried_by_it(shop: Shop) -> None:
    seen: list[Any] = []
    shop.payments.before = lambda call: seen.append([*shop.backend.database.scan("purchases")])
    made = shop.buy(idempotencyKey="order-1")
    assert len(seen[-1]) == 1, "the session is created after the document"
    [session] = shop.payments.sessions.values()
    assert made == {
        "purchaseId": session.purchase_id,
        "status": "open",
        "checkoutUrl": session.url,
        "expiresAt": "2026-11-10T11:45:00.000000Z",
    }
    assert (session.amount, session.currency) == (500, "usd")
    assert shop.purchase(made["purchaseId"]) == {
        "purchaseId": made["purchaseId"],
        "userId": "user",
        "package": "starter",
        "status": "open",
        "amount": 500,
        "currency": "usd",
        "credits": 50,
        "creditsGranted": 0,
        "creditsReversed": 0,
        "uncollected": 0,
        "amountRefunded": 0,
        "amountDisputed": 0,
        "checkoutUrl": session.url,
        "createdAt": "2026-11-09T12:00:00.000000Z",
        "expiresAt": "2026-11-10T11:45:00.000000Z",
    }


def test_repeated_call_returns_the_same_session(shop: Shop) -> None:
    first = shop.buy(idempotencyKey="order-1")
    shop.clock.sleep(3_600)
    shop.payments.amounts["credits-starter"] = 900  # the purchase keeps its price
    assert shop.buy(idempotencyKey="order-1") == {**first, "replayed": True}
    assert len(shop.payments.sessions) == 1
    error = shop.api.error("createPurchase", {"userId": "user", "package": "large", "idempotencyKey": "order-1"})
    assert error["details"]["reason"] == "IDEMPOTENCY_MISMATCH"


@pytest.mark.parametrize("applied", [False, True])
def test_unanswered_creation_is_finished_by_a_repeated_call(shop: Shop, applied: bool) -> None:
    create = shop.payments.create_session

    def lost(new: Any) -> Session:
        if applied:
            create(new)
        raise PaymentsDown("lost")

    shop.payments.create_session = lost  # type: ignore[method-assign]
    order = {"userId": "user", "package": "starter", "idempotencyKey": "order-1"}
    assert shop.api.error("createPurchase", order)["details"]["reason"] == "SERVICE_UNAVAILABLE"
    shop.payments.create_session = create  # type: ignore[method-assign]
    shop.clock.sleep(22 * 3_600)
    made = shop.api.result("createPurchase", order)
    assert (made["status"], made["replayed"]) == ("open", True)
    [session] = shop.payments.sessions.values()
    assert made["checkoutUrl"] == session.url


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse])
@pytest.mark.parametrize("commit", [0, 1])
def test_creation_survives_lost_and_refused_commits(shop: Shop, fault: Any, commit: int) -> None:
    shop.database.faults = [None] * commit + [fault]
    made = shop.buy(idempotencyKey="order-1")
    assert made["checkoutUrl"]
    assert "replayed" not in made
    assert len(shop.payments.sessions) == 1


def test_purchase_without_an_answered_session_expires_after_23_hours(shop: Shop) -> None:
    shop.payments.before = lambda call: down(call) if call == "create_session" else None
    order = {"userId": "user", "package": "starter", "idempotencyKey": "order-1"}
    shop.api.error("createPurchase", order)
    shop.clock.at = START + timedelta(hours=23, minutes=10)
    answer = shop.api.result("createPurchase", order)
    assert (answer["status"], "checkoutUrl" in answer) == ("expired", False)
    assert shop.payments.calls[-1] == "find_session"


def test_session_that_was_paid_is_found_after_23_hours(shop: Shop) -> None:
    create = shop.payments.create_session

    def lost(new: Any) -> Session:
        shop.payments.pay(create(new).id)
        raise PaymentsDown("lost")

    shop.payments.create_session = lost  # type: ignore[method-assign]
    order = {"userId": "user", "package": "starter", "idempotencyKey": "order-1"}
    shop.api.error("createPurchase", order)
    shop.clock.at = START + timedelta(hours=23, minutes=10)
    assert shop.api.http.post("/sweepAbandonedRequests").get_json()["swept"] == 1
    assert shop.balance() == 50
    assert shop.api.result("createPurchase", order)["status"] == "paid"


def test_purchase_that_expired_while_its_session_was_created_is_open_again(shop: Shop) -> None:
    """The sweeper looks for the session, 23 hours after the purchase, just before the session exists."""
    order = {"userId": "user", "package": "starter", "idempotencyKey": "order-1"}
    shop.payments.before = lambda call: down(call) if call == "create_session" else None
    shop.api.error("createPurchase", order)
    shop.clock.at = START + timedelta(hours=22, minutes=59, seconds=59)
    create = shop.payments.create_session

    def overtaken(new: Any) -> Session:
        shop.clock.sleep(2)
        assert shop.api.http.post("/sweepAbandonedRequests").get_json()["swept"] == 1
        return create(new)

    shop.payments.before = lambda _call: None
    shop.payments.create_session = overtaken  # type: ignore[method-assign]
    answer = shop.api.result("createPurchase", order)
    assert (answer["status"], "checkoutUrl" in answer) == ("open", True)
    shop.payments.pay(next(iter(shop.payments.sessions)))
    shop.clock.sleep(3_600)  # no event arrives
    assert shop.api.http.post("/sweepAbandonedRequests").get_json()["swept"] == 1
    assert shop.balance() == 50


def test_session_with_another_amount_is_not_handed_out(shop: Shop) -> None:
    create = shop.payments.create_session
    shop.payments.create_session = lambda new: replace(create(new), amount=1)  # type: ignore[method-assign]
    error = shop.api.error("createPurchase", {"userId": "user", "package": "starter"})
    assert error["details"]["reason"] == "PAYMENTS_UNAVAILABLE"


def test_refused_session_is_no_server_error(shop: Shop) -> None:
    def refused(call: str) -> None:
        if call == "create_session":
            raise PaymentsRefused("price")

    shop.payments.before = refused
    error = shop.api.error("createPurchase", {"userId": "user", "package": "starter"})
    assert error["details"]["reason"] == "PAYMENTS_UNAVAILABLE"


def test_open_purchases_are_limited(shop: Shop) -> None:
    made = [shop.bought() for _ in range(10)]
    order = {"userId": "user", "package": "starter"}
    calls = len(shop.payments.calls)
    error = shop.api.error("createPurchase", order)
    assert error["details"] == {"reason": "TOO_MANY_PURCHASES", "maxPurchases": 10}
    assert len(shop.payments.calls) == calls
    shop.payments.pay(made[0][1])
    shop.deliver()
    shop.api.result("createPurchase", order)


def test_simultaneous_calls_do_not_exceed_the_limit(shop: Shop) -> None:
    def create(number: int) -> int:
        status: int = shop.api.call("createPurchase", {"userId": "user", "package": "starter"}).status_code
        return status

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(16)))
    assert len([*shop.backend.database.scan("purchases")]) <= 10


def test_new_purchases_are_paced(shop: Shop) -> None:
    for _ in range(20):
        shop.payments.expire(shop.bought()[1])
        shop.deliver(*shop.payments.events[-1:])
    error = shop.api.error("createPurchase", {"userId": "user", "package": "starter"})
    assert error["details"] == {"reason": "RATE_LIMITED", "retryAfterSeconds": 180}
    shop.clock.sleep(180)
    shop.buy()


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/",
        "https://127.0.0.1:5000@evil.example.com/",
        "https://site.example.com.evil.com/",
        "https://site.example.com:444/",
        "http://site.example.com/",
        "//site.example.com/",
        "javascript:alert(1)",
        "https://user:word@site.example.com/",
    ],
)
def test_buyer_returns_only_to_allowed_sites(shop: Shop, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PURCHASE_RETURN_URLS", "https://app.example.com, https://site.example.com/")
    error = shop.api.error("createPurchase", {"userId": "user", "package": "starter", "returnUrl": url})
    assert [violation["field"] for violation in error["details"]["violations"]] == ["returnUrl"]


def test_buyer_returns_with_the_purchase_in_the_query(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURCHASE_RETURN_URLS", "https://app.example.com, https://site.example.com/")
    made = shop.buy(returnUrl="https://site.example.com/shop?tab=2#top")
    new, _, _ = shop.payments.made[made["purchaseId"]]
    query = f"tab=2&purchaseId={made['purchaseId']}&checkout"
    assert new.success_url == f"https://site.example.com/shop?{query}=success#top"
    assert new.cancel_url == f"https://site.example.com/shop?{query}=canceled#top"
    new, _, _ = shop.payments.made[shop.buy()["purchaseId"]]
    assert new.success_url.startswith("https://app.example.com/?purchaseId=")


def test_unknown_user_and_package_are_refused(shop: Shop) -> None:
    error = shop.api.error("createPurchase", {"userId": "nobody", "package": "starter"})
    assert error["details"]["reason"] == "USER_NOT_FOUND"
    error = shop.api.error("createPurchase", {"userId": "user", "package": "gigantic"})
    assert error["details"] == {"reason": "PACKAGE_NOT_FOUND", "package": "gigantic"}

"""Tests of buying credits, through the deployed functions, on a database in memory. An audit follows each test."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import Credits
from imagegen.ports.database import Update
from imagegen.ports.payments import PaymentsDown, PaymentsRefused, Session
from tests.support.accounts import Accounts
from tests.support.faults import Lost, refuse
from tests.support.purchases import START, Shop


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    shop = Shop()
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: shop.backend)
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    yield shop
    assert shop.findings() == []


def down(_call: str) -> None:
    raise PaymentsDown("down")


def entries(shop: Shop) -> list[tuple[str, int]]:
    """Return the types and amounts of all entries of the user's ledger, oldest first."""
    listed = shop.api.result("listCreditTransactions", {"userId": "user"})["transactions"]
    return [(entry["type"], entry["credits"]) for entry in reversed(listed)]


def bought(shop: Shop, package: str = "starter") -> tuple[str, str]:
    """Create a purchase. Return its id and the id of its session."""
    made = shop.buy(package)
    return made["purchaseId"], shop.session_of(made["purchaseId"])


def paid(shop: Shop) -> tuple[str, str]:
    """Create a purchase, pay it and deliver the event. Return its id and the id of its session."""
    purchase_id, session_id = bought(shop)
    shop.payments.pay(session_id)
    shop.deliver(*shop.payments.events[-1:])
    return purchase_id, session_id


# Creating


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
    made = [bought(shop) for _ in range(10)]
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
        shop.payments.expire(bought(shop)[1])
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


# Events


def test_paid_purchase_is_granted_once_whatever_the_events_do(shop: Shop) -> None:
    purchase_id, session_id = bought(shop)
    shop.payments.pay_later(session_id)
    assert shop.deliver() == [200]
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("processing", 0)
    shop.payments.settle(session_id, arrived=True)
    completed, succeeded = shop.payments.events
    assert shop.deliver(succeeded, completed, succeeded, completed, succeeded) == [200] * 5
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("paid", 50)
    again = [replace(event, id=f"{event.id}-again") for event in (completed, succeeded)]
    assert shop.deliver(*again) == [200] * 2
    assert entries(shop) == [("purchase", 50)]
    [entry] = shop.api.result("listCreditTransactions", {"userId": "user", "type": "purchase"})["transactions"]
    assert entry["purchaseId"] == purchase_id
    assert shop.api.result("getUserCredits", {"userId": "user"})["transactions"] == []


def test_payment_that_does_not_arrive_fails(shop: Shop) -> None:
    purchase_id, session_id = bought(shop)
    shop.payments.pay_later(session_id)
    shop.payments.settle(session_id, arrived=False)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], entries(shop)) == ("failed", [])


def test_event_that_comes_before_the_answer_of_its_session_is_used(shop: Shop) -> None:
    create = shop.payments.create_session

    def paid_at_once(new: Any) -> Session:
        session = create(new)
        shop.payments.pay(session.id)
        assert shop.deliver() == [200]
        return session

    shop.payments.create_session = paid_at_once  # type: ignore[method-assign]
    made = shop.buy()
    assert (made["status"], "checkoutUrl" in made, shop.balance()) == ("paid", False, 50)


def test_simultaneous_events_grant_once(shop: Shop) -> None:
    _, session_id = bought(shop)
    shop.payments.pay(session_id)
    with ThreadPoolExecutor(8) as pool:
        statuses = [*pool.map(lambda event: shop.deliver(event)[0], shop.payments.events * 8)]
    assert (set(statuses), entries(shop)) == ({200}, [("purchase", 50)])


def test_older_record_does_not_undo_a_newer_one(shop: Shop) -> None:
    """A process read the record before a refund, and commits after another one has booked the refund."""
    purchase_id, session_id = paid(shop)
    other = Shop.deliver

    def refunded_meanwhile() -> None:
        shop.payments.refund(session_id, 500)
        other(shop, *shop.payments.events[-1:])

    shop.clock.sleep(10)
    shop.payments.refund(session_id, 100)
    shop.database.faults = [refunded_meanwhile]
    assert shop.deliver(*shop.payments.events[-1:]) == [200]
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("refunded", 0)


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse])
def test_event_is_accepted_only_after_the_commit(shop: Shop, fault: Any) -> None:
    purchase_id, session_id = bought(shop)
    shop.payments.pay(session_id)
    if fault is not Lost.AFTER:
        shop.database.faults = [fault] * 100
        assert shop.deliver() == [503]
        assert shop.purchase(purchase_id)["status"] == "open"
    shop.database.faults = [fault]
    assert shop.deliver() == [200]
    assert (shop.purchase(purchase_id)["status"], entries(shop)) == ("paid", [("purchase", 50)])


def test_event_is_sent_again_while_provider_or_database_is_away(shop: Shop) -> None:
    _, session_id = bought(shop)
    shop.payments.pay(session_id)
    shop.payments.before = down
    assert shop.deliver() == [503]
    shop.payments.before = lambda _call: None
    shop.database.down = True
    assert shop.deliver() == [503]
    shop.database.down = False
    assert shop.deliver() == [200]
    assert shop.balance() == 50


def test_event_of_the_other_mode_is_ignored(shop: Shop) -> None:
    _, session_id = bought(shop)
    shop.payments.pay(session_id)
    [event] = shop.payments.events
    calls = len(shop.payments.calls)
    answer = shop.webhook(shop.payments.body(replace(event, livemode=True)))
    assert (answer.status_code, answer.get_json()) == (200, {"received": True, "ignored": "mode"})
    assert (len(shop.payments.calls), shop.balance()) == (calls, 0)


def test_test_purchase_is_not_granted_with_live_keys(shop: Shop) -> None:
    purchase_id, session_id = bought(shop)
    shop.payments.pay(session_id)
    shop.payments.is_live = True
    calls = len(shop.payments.calls)
    shop.clock.sleep(86_400)
    assert shop.deliver(*(replace(event, livemode=True) for event in shop.payments.events)) == [200]
    assert shop.api.result("reconcilePurchase", {"purchaseId": purchase_id})["status"] == "open"
    assert shop.api.http.post("/sweepAbandonedRequests").get_json()["swept"] == 0
    assert (len(shop.payments.calls), shop.balance()) == (calls, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "charge.refunded"},
        {"type": "customer.created"},
        {"purchase_id": None},
        {"purchase_id": "unknown"},
        {"purchase_id": "a/b"},
        {"purchase_id": ""},
        {"purchase_id": "x" * 2_000},
    ],
)
def test_event_about_something_else_is_accepted_and_ignored(shop: Shop, change: dict[str, Any]) -> None:
    _, session_id = bought(shop)
    shop.payments.pay(session_id)
    [event] = shop.payments.events
    answer = shop.webhook(shop.payments.body(replace(event, **change)))
    assert answer.status_code == 200
    assert answer.get_json()["ignored"] == ("type" if "type" in change else "purchase")
    assert shop.balance() == 0


@pytest.mark.parametrize("signature", [None, "", "forged"])
def test_forged_event_is_refused(shop: Shop, signature: str | None) -> None:
    _, session_id = bought(shop)
    shop.payments.pay(session_id)
    answer = shop.webhook(shop.payments.body(shop.payments.events[0]), signature)
    assert (answer.status_code, answer.get_json()) == (400, {"reason": "INVALID_EVENT"})
    assert shop.balance() == 0


def test_long_body_and_other_methods_are_refused(shop: Shop) -> None:
    assert shop.webhook(b" " * (512 * 1024 + 1)).status_code == 400
    assert shop.api.http.get("/stripeWebhook").status_code == 405


def test_second_session_of_a_purchase_is_not_granted(shop: Shop) -> None:
    purchase_id, session_id = paid(shop)
    second = replace(shop.payments.sessions[session_id], id="cs_second")
    shop.payments.sessions[second.id] = second
    event = replace(shop.payments.events[-1], session_id=second.id)
    assert shop.deliver(event) == [200]
    assert (shop.session_of(purchase_id), shop.balance()) == (session_id, 50)


@pytest.mark.parametrize("field", ["amount", "currency", "livemode", "purchase_id"])
def test_paid_session_that_differs_is_a_finding(shop: Shop, field: str) -> None:
    purchase_id, session_id = bought(shop)
    shop.payments.pay(session_id)
    right = shop.payments.sessions[session_id]
    wrong = {"amount": 499, "currency": "eur", "livemode": True, "purchase_id": "other"}
    shop.payments.sessions[session_id] = replace(right, **{field: wrong[field]})  # type: ignore[arg-type]
    assert shop.deliver() == [200]
    assert (shop.balance(), len(shop.findings())) == (0, 1)
    shop.payments.sessions[session_id] = right
    shop.backend.reconciliation.reconcile(purchase_id)
    assert shop.balance() == 50


def test_payment_of_a_lost_account_is_a_finding(shop: Shop) -> None:
    purchase_id, session_id = bought(shop)
    shop.payments.pay(session_id)
    [user] = shop.database.read("users/user")
    del shop.database.database.collections["users"]["user"]  # type: ignore[attr-defined]
    assert shop.deliver() == [200]
    assert shop.stored(purchase_id)["discrepancy"] == "user"
    shop.database.database.collections["users"]["user"] = user  # type: ignore[attr-defined]
    shop.backend.reconciliation.reconcile(purchase_id)
    assert shop.balance() == 50


# Refunds and disputes


def test_refund_takes_the_credits_back(shop: Shop) -> None:
    purchase_id, session_id = paid(shop)
    shop.payments.refund(session_id, 250)
    shop.deliver()
    found = shop.purchase(purchase_id)
    assert (found["status"], found["creditsReversed"], found["amountRefunded"]) == ("partially_refunded", 25, 250)
    shop.payments.refund(session_id, 250)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("refunded", 0)
    assert entries(shop) == [("purchase", 50), ("reversal", 25), ("reversal", 25)]


def test_refund_before_the_grant_is_booked_with_it(shop: Shop) -> None:
    purchase_id, session_id = bought(shop)
    shop.payments.pay(session_id)
    shop.payments.refund(session_id, 500)
    assert shop.deliver(*reversed(shop.payments.events)) == [200, 200]
    assert entries(shop) == [("purchase", 50), ("reversal", 50)]
    assert shop.purchase(purchase_id)["status"] == "refunded"


def test_spent_credits_are_taken_from_the_refunds_of_generations(shop: Shop) -> None:
    """Buying, spending on pending requests, disputing and canceling leaves no free credits."""
    purchase_id, session_id = paid(shop)
    spent = shop.spend(50)
    shop.payments.dispute(session_id, 500)
    shop.deliver()
    found = shop.purchase(purchase_id)
    assert (found["status"], found["creditsReversed"], found["uncollected"], found["amountDisputed"]) == (
        "disputed",
        0,
        50,
        500,
    )
    answers = [shop.api.result("cancelGenerationRequest", {"generationRequestId": one}) for one in spent]
    assert [answer["currentCredits"] for answer in answers] == [0] * len(spent)
    found = shop.purchase(purchase_id)
    assert (found["creditsReversed"], found["uncollected"], shop.balance()) == (50, 0, 0)


def test_trial_and_granted_credits_are_not_taken_for_a_debt(shop: Shop) -> None:
    shop.open("buyer", trial=3)
    made = shop.buy(userId="buyer")
    session_id = shop.session_of(made["purchaseId"])
    shop.payments.pay(session_id)
    shop.deliver()
    shop.backend.corrections.correct("buyer", Credits(paid=-45), reason="spent", key="spent")
    shop.payments.refund(session_id, 500)
    shop.deliver(*shop.payments.events[-1:])
    assert shop.purchase(made["purchaseId"])["uncollected"] == 45
    shop.backend.accounts.grant("buyer", Bucket.PAID, 20, reason="gift", key="gift", granted_by="admin")
    assert shop.balance("buyer") == 23
    assert shop.purchase(made["purchaseId"])["uncollected"] == 45


def test_won_dispute_reinstates_and_lost_one_does_not(shop: Shop) -> None:
    purchase_id, session_id = paid(shop)
    dispute = shop.payments.dispute(session_id, 500)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("disputed", 0)
    shop.payments.close_dispute(dispute, won=True)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("paid", 50)
    lost = shop.payments.dispute(session_id, 500)
    shop.payments.close_dispute(lost, won=False)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("disputed", 0)
    balance = shop.api.result("getCreditBalance", {"userId": "user"})
    assert balance["lifetime"] == {
        "granted": 0,
        "spent": 0,
        "refunded": 0,
        "corrected": 0,
        "purchased": 50,
        "reversed": 100,
        "reinstated": 50,
    }


def test_inquiry_moves_nothing_until_money_is_withdrawn(shop: Shop) -> None:
    purchase_id, session_id = paid(shop)
    dispute = shop.payments.dispute(session_id, 500, inquiry=True)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("paid", 50)
    shop.payments.withdraw(dispute)
    shop.deliver()
    assert shop.balance() == 0


def test_wallet_of_a_user_who_owes_can_be_rebuilt(shop: Shop) -> None:
    _, session_id = paid(shop)
    shop.spend(30)
    shop.payments.dispute(session_id, 500)
    shop.deliver()
    [before] = shop.database.read("users/user")
    shop.database.commit(
        Update("users/user", {"debts": [], "credits.paid": 7, "lifetime.purchase": 0}, before.version)  # type: ignore[arg-type]
    )
    assert {finding.partition(":")[0] for finding in shop.findings()} == {"BALANCE", "PURCHASE"}
    shop.backend.corrections.rebuild("user")
    [after] = shop.database.read("users/user")
    assert after.data == before.data


# The landing page, the sweeper and lists


def test_landing_page_looks_once_in_a_while(shop: Shop) -> None:
    purchase_id, session_id = bought(shop)
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
    purchase_id, _ = bought(shop)
    calls = len(shop.payments.calls)
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: shop.api.call("reconcilePurchase", {"purchaseId": purchase_id}), range(8))]
    assert {answer.status_code for answer in found} == {200}
    assert len(shop.payments.calls) == calls + 1


def test_stranger_causes_no_call_to_the_provider(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts()
    monkeypatch.setattr("imagegen.api.auth.auth.get_user", accounts.get_user)
    monkeypatch.setattr("imagegen.api.auth.auth.verify_id_token", accounts.verify_id_token)
    purchase_id, _ = bought(shop)
    calls = len(shop.payments.calls)
    for function in ("getPurchase", "reconcilePurchase"):
        for id in (purchase_id, "unknown"):
            answer = shop.api.call(function, {"purchaseId": id}, Authorization="Bearer stranger")
            assert answer.get_json()["error"]["details"] == {"reason": "PURCHASE_NOT_FOUND", "purchaseId": id}
    assert len(shop.payments.calls) == calls


def test_landing_page_says_that_the_provider_is_away(shop: Shop) -> None:
    purchase_id, _ = bought(shop)
    shop.payments.before = down
    error = shop.api.error("reconcilePurchase", {"purchaseId": purchase_id})
    assert error["details"]["reason"] == "SERVICE_UNAVAILABLE"


def test_sweeper_finds_what_lost_events_told(shop: Shop) -> None:
    made = [bought(shop) for _ in range(4)]
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
    broken, _ = bought(shop)
    _, other = bought(shop)
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
    _, session = bought(shop)
    shop.payments.pay(session)
    shop.payments.before = down
    shop.clock.sleep(601)
    assert shop.api.http.post("/sweepAbandonedRequests").get_json() == {"swept": 0}
    shop.payments.before = lambda _call: None
    assert shop.api.http.post("/sweepAbandonedRequests").get_json() == {"swept": 1}


def test_purchases_are_listed_newest_first_page_by_page(shop: Shop) -> None:
    made = []
    for _ in range(5):
        made.append(bought(shop)[0])
        shop.clock.sleep(1)
    first = shop.api.result("listPurchases", {"userId": "user", "pageSize": 3})
    token = first["nextPageToken"]
    second = shop.api.result("listPurchases", {"userId": "user", "pageSize": 3, "pageToken": token})
    found = [purchase["purchaseId"] for purchase in (*first["purchases"], *second["purchases"])]
    assert found == made[::-1]
    assert "nextPageToken" not in second
    assert shop.api.result("listPurchases", {"userId": "other"}) == {"purchases": []}


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


# Packages, and payments that are off


def test_catalog_has_the_packages_with_their_prices(shop: Shop) -> None:
    shop.payments.amounts["credits-large"] = 7_000
    packages = shop.api.result("getCatalog", {})["packages"]
    assert [package["id"] for package in packages] == ["starter", "standard", "large"]
    assert packages[2] == {"id": "large", "name": "Large", "credits": 1_000, "amount": 7_000, "currency": "usd"}
    for _ in range(5):
        shop.api.result("getCatalog", {})
    assert shop.payments.calls == ["prices"]
    shop.clock.sleep(60)
    shop.api.result("getCatalog", {})
    assert shop.payments.calls == ["prices"] * 2


def test_package_without_a_price_or_with_a_broken_document_is_left_out(shop: Shop) -> None:
    store = shop.database.database
    store.edit("packages/starter", lookupKey="unknown")  # type: ignore[attr-defined]
    store.edit("packages/standard", credits=0)  # type: ignore[attr-defined]
    assert [package["id"] for package in shop.api.result("getCatalog", {})["packages"]] == ["large"]
    store.edit("packages/large", enabled=False)  # type: ignore[attr-defined]
    shop.clock.sleep(60)
    assert shop.api.result("getCatalog", {})["packages"] == []


def test_packages_are_missing_while_the_provider_is_away(shop: Shop) -> None:
    shop.payments.before = down
    assert "packages" not in shop.api.result("getCatalog", {})
    assert "packages" not in shop.api.result("getCatalog", {})
    assert shop.payments.calls == ["prices"], "a failed load is not repeated at once"
    error = shop.api.error("createPurchase", {"userId": "user", "package": "starter"})
    assert error["details"] == {"reason": "PAYMENTS_UNAVAILABLE"}
    shop.payments.before = lambda _call: None
    shop.clock.sleep(10)
    assert len(shop.api.result("getCatalog", {})["packages"]) == 3
    shop.payments.before = down
    shop.clock.sleep(3_000)
    assert len(shop.api.result("getCatalog", {})["packages"]) == 3, "the last prices are used for an hour"
    shop.clock.sleep(1_000)
    assert "packages" not in shop.api.result("getCatalog", {})


def test_without_payments_everything_else_works(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase_id, _ = paid(shop)
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: replace(shop.backend, payments=None))
    off = {"reason": "PAYMENTS_UNAVAILABLE"}
    assert shop.api.error("createPurchase", {"userId": "user", "package": "starter"})["details"] == off
    assert shop.api.error("reconcilePurchase", {"purchaseId": purchase_id})["details"] == off
    assert "packages" not in shop.api.result("getCatalog", {})
    assert shop.purchase(purchase_id)["status"] == "paid"
    assert len(shop.api.result("listPurchases", {"userId": "user"})["purchases"]) == 1
    answer = shop.webhook(json.dumps({}).encode())
    assert (answer.status_code, answer.get_json()) == (503, off)
    shop.spend(3)

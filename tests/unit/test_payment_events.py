"""Tests of the webhook that the payment provider calls. An audit follows each test."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from imagegen.ports.payments import Session
from tests.support.faults import Lost, refuse
from tests.support.purchases import Shop, down


def test_paid_purchase_is_granted_once_whatever_the_events_do(shop: Shop) -> None:
    purchase_id, session_id = shop.bought()
    shop.payments.pay_later(session_id)
    assert shop.deliver() == [200]
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("processing", 0)
    shop.payments.settle(session_id, arrived=True)
    completed, succeeded = shop.payments.events
    assert shop.deliver(succeeded, completed, succeeded, completed, succeeded) == [200] * 5
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("paid", 50)
    again = [replace(event, id=f"{event.id}-again") for event in (completed, succeeded)]
    assert shop.deliver(*again) == [200] * 2
    assert shop.entries() == [("purchase", 50)]
    [entry] = shop.api.result("listCreditTransactions", {"userId": "user", "type": "purchase"})["transactions"]
    assert entry["purchaseId"] == purchase_id
    assert shop.api.result("getUserCredits", {"userId": "user"})["transactions"] == []


def test_payment_that_does_not_arrive_fails(shop: Shop) -> None:
    purchase_id, session_id = shop.bought()
    shop.payments.pay_later(session_id)
    shop.payments.settle(session_id, arrived=False)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.entries()) == ("failed", [])


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
    _, session_id = shop.bought()
    shop.payments.pay(session_id)
    with ThreadPoolExecutor(8) as pool:
        statuses = [*pool.map(lambda event: shop.deliver(event)[0], shop.payments.events * 8)]
    assert (set(statuses), shop.entries()) == ({200}, [("purchase", 50)])


@pytest.mark.parametrize("seen_before", [False, True], ids=["found won", "found open before"])
def test_older_record_does_not_undo_a_newer_one(shop: Shop, seen_before: bool) -> None:
    """A process reads that a dispute is open, and commits after another one has read that it was won.

    The other one has something to commit only if it has seen the dispute while it was open.
    """
    purchase_id, session_id = shop.paid()
    dispute = shop.payments.dispute(session_id, 500)
    if seen_before:
        shop.deliver(*shop.payments.events[-1:])

    def won_meanwhile() -> None:
        shop.payments.close_dispute(dispute, won=True)
        assert shop.deliver(*shop.payments.events[-1:]) == [200]

    shop.database.faults = [won_meanwhile]
    assert shop.deliver(*shop.payments.events[-1:]) == [200]
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("paid", 50)


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse])
def test_event_is_accepted_only_after_the_commit(shop: Shop, fault: Any) -> None:
    purchase_id, session_id = shop.bought()
    shop.payments.pay(session_id)
    if fault is not Lost.AFTER:
        shop.database.faults = [fault] * 100
        assert shop.deliver() == [503]
        assert shop.purchase(purchase_id)["status"] == "open"
    shop.database.faults = [fault]
    assert shop.deliver() == [200]
    assert (shop.purchase(purchase_id)["status"], shop.entries()) == ("paid", [("purchase", 50)])


def test_event_is_sent_again_while_provider_or_database_is_away(shop: Shop) -> None:
    _, session_id = shop.bought()
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
    _, session_id = shop.bought()
    shop.payments.pay(session_id)
    [event] = shop.payments.events
    calls = len(shop.payments.calls)
    answer = shop.webhook(shop.payments.body(replace(event, livemode=True)))
    assert (answer.status_code, answer.get_json()) == (200, {"received": True, "ignored": "mode"})
    assert (len(shop.payments.calls), shop.balance()) == (calls, 0)


def test_test_purchase_is_not_granted_with_live_keys(shop: Shop) -> None:
    purchase_id, session_id = shop.bought()
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
    _, session_id = shop.bought()
    shop.payments.pay(session_id)
    [event] = shop.payments.events
    answer = shop.webhook(shop.payments.body(replace(event, **change)))
    assert answer.status_code == 200
    assert answer.get_json()["ignored"] == ("type" if "type" in change else "purchase")
    assert shop.balance() == 0


@pytest.mark.parametrize("signature", [None, "", "forged"])
def test_forged_event_is_refused(shop: Shop, signature: str | None) -> None:
    _, session_id = shop.bought()
    shop.payments.pay(session_id)
    answer = shop.webhook(shop.payments.body(shop.payments.events[0]), signature)
    assert (answer.status_code, answer.get_json()) == (400, {"reason": "INVALID_EVENT"})
    assert shop.balance() == 0


def test_long_body_and_other_methods_are_refused(shop: Shop) -> None:
    assert shop.webhook(b" " * (512 * 1024 + 1)).status_code == 400
    assert shop.api.http.get("/stripeWebhook").status_code == 405


def test_second_session_of_a_purchase_is_not_granted(shop: Shop) -> None:
    purchase_id, session_id = shop.paid()
    second = replace(shop.payments.sessions[session_id], id="cs_second")
    shop.payments.sessions[second.id] = second
    event = replace(shop.payments.events[-1], session_id=second.id)
    assert shop.deliver(event) == [200]
    assert (shop.session_of(purchase_id), shop.balance()) == (session_id, 50)


@pytest.mark.parametrize("field", ["amount", "currency", "livemode", "purchase_id"])
def test_paid_session_that_differs_is_a_finding(shop: Shop, field: str) -> None:
    purchase_id, session_id = shop.bought()
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
    purchase_id, session_id = shop.bought()
    shop.payments.pay(session_id)
    [user] = shop.database.read("users/user")
    del shop.database.database.collections["users"]["user"]  # type: ignore[attr-defined]
    assert shop.deliver() == [200]
    assert shop.stored(purchase_id)["discrepancy"] == "user"
    shop.database.database.collections["users"]["user"] = user  # type: ignore[attr-defined]
    shop.backend.reconciliation.reconcile(purchase_id)
    assert shop.balance() == 50


def test_payment_for_a_deleted_account_is_booked_and_forfeited(shop: Shop) -> None:
    purchase_id, session_id = shop.bought()
    shop.payments.pay_later(session_id)
    shop.api.result("deleteAccount", {"userId": "user", "confirmUserId": "user"})
    shop.payments.settle(session_id, arrived=True)
    assert shop.deliver() == [200] * 2
    assert shop.ledger() == [("purchase", 50), ("forfeit", 50)]
    shop.payments.refund(session_id, 500)
    assert shop.deliver() == [200] * 3
    assert shop.stored(purchase_id)["status"] == "refunded"
    assert shop.ledger() == [("purchase", 50), ("forfeit", 50)]

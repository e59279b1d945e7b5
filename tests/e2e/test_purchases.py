"""Tests that buy credits through the checkout page of the emulator of Stripe, under the real Firebase CLI."""

from collections.abc import Iterator

import pytest
import requests

from tests.support.buying import create, delivered_webhooks, lost_webhooks, press_button, purchase_of, session_of
from tests.support.live import Live, until

ARRIVAL_SECONDS = 60
"""The first webhook starts a process."""


@pytest.fixture(autouse=True)
def webhooks(live: Live) -> Iterator[None]:
    with delivered_webhooks(live):
        yield


def test_paid_credits_arrive_and_refunds_and_disputes_take_them_back(live: Live) -> None:
    user_id = live.add_user(trial=5)
    [starter] = [package for package in live.result("getCatalog", {})["packages"] if package["id"] == "starter"]
    assert (starter["credits"], starter["amount"], starter["currency"]) == (50, 500, "usd")
    purchase = create(live, user_id, "key")
    assert create(live, user_id, "key")["checkoutUrl"] == purchase["checkoutUrl"]
    assert "Pay 5.00 USD" in requests.get(purchase["checkoutUrl"], timeout=30).text

    session_id, purchase_id = session_of(purchase), purchase["purchaseId"]
    landing = press_button(live, session_id, "pay")
    assert landing.startswith(f"{live.suite.hosting_url}/?")
    assert {f"purchaseId={purchase_id}", "checkout=success"} <= set(landing.partition("?")[2].split("&"))
    until(lambda: live.credits(user_id) == 55, seconds=ARRIVAL_SECONDS)
    paid = purchase_of(live, purchase_id)
    assert (paid["status"], paid["creditsGranted"], paid["amount"]) == ("paid", 50, 500)
    listed = live.result("listCreditTransactions", {"userId": user_id})["transactions"]
    assert (listed[0]["type"], listed[0]["credits"]) == ("purchase", 50)

    def has_become(status: str, credits: int) -> bool:
        return (purchase_of(live, purchase_id)["status"], live.credits(user_id)) == (status, credits)

    press_button(live, session_id, "refund", amount="250")
    until(lambda: has_become("partially_refunded", 30), seconds=ARRIVAL_SECONDS)
    press_button(live, session_id, "dispute", amount="250")
    until(lambda: has_become("disputed", 5), seconds=ARRIVAL_SECONDS)
    press_button(live, session_id, "win")
    until(lambda: has_become("partially_refunded", 30), seconds=ARRIVAL_SECONDS)


def test_landing_page_learns_of_a_payment_whose_webhook_was_lost(live: Live) -> None:
    user_id = live.add_user()
    purchase = create(live, user_id, "key")
    with lost_webhooks(live):
        press_button(live, session_of(purchase), "pay")
    assert live.credits(user_id) == 0
    paid = live.result("reconcilePurchase", {"purchaseId": purchase["purchaseId"]})
    assert (paid["status"], live.credits(user_id)) == ("paid", 50)

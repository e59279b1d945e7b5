"""A purchase through an emulator of Stripe that we did not write."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.adapters.stripe_payments import StripePayments
from tests.support.emulate import WEBHOOK_SECRET, emulate, serving
from tests.support.purchases import Shop
from tests.support.wire import ObservedClient


def test_credits_are_bought_on_the_page_of_another_emulator(
    client: ObservedClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its checkout page leads back to the shop, and its signed webhook grants the credits."""
    shop = Shop(FirestoreDatabase(client))
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    with (
        serving(shop.api.http.application) as functions,
        emulate(tmp_path, f"{functions}/stripeWebhook") as stripe,
    ):
        backend = replace(shop.backend, payments=StripePayments("sk_test_of_emulate", [WEBHOOK_SECRET], stripe))
        monkeypatch.setattr("imagegen.bootstrap.backend", lambda: backend)
        purchase = shop.buy()
        assert shop.balance() == 0
        page = requests.get(purchase["checkoutUrl"], timeout=30).text
        assert "50 credits" in page
        [action] = re.findall('<form method="post" action="([^"]+)">', page)
        address = purchase["checkoutUrl"].partition("/checkout/")[0]
        paid = requests.post(address + action, data={"email": "buyer@example.com"}, timeout=30, allow_redirects=False)
    assert paid.status_code == 302
    assert f"purchaseId={purchase['purchaseId']}&checkout=success" in paid.headers["Location"]
    assert (shop.purchase(purchase["purchaseId"])["status"], shop.balance()) == ("paid", 50)
    assert shop.findings() == []

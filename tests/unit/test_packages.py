"""Tests of the packages on sale, and of projects that sell nothing. An audit follows each test."""

import json
from dataclasses import replace

import pytest

from tests.support.purchases import Shop, down


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
    assert error["details"] == {"reason": "SERVICE_UNAVAILABLE"}
    shop.payments.before = lambda _call: None
    shop.clock.sleep(10)
    assert len(shop.api.result("getCatalog", {})["packages"]) == 3
    shop.payments.before = down
    shop.clock.sleep(3_000)
    assert len(shop.api.result("getCatalog", {})["packages"]) == 3, "the last prices are used for an hour"
    shop.clock.sleep(1_000)
    assert "packages" not in shop.api.result("getCatalog", {})


def test_without_payments_everything_else_works(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase_id, _ = shop.paid()
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: replace(shop.backend, payments=None))
    off = {"reason": "PAYMENTS_UNAVAILABLE"}
    assert shop.api.error("createPurchase", {"userId": "user", "package": "starter"})["details"] == off
    assert shop.api.result("reconcilePurchase", {"purchaseId": purchase_id}) == shop.purchase(purchase_id)
    assert "packages" not in shop.api.result("getCatalog", {})
    assert shop.purchase(purchase_id)["status"] == "paid"
    assert len(shop.api.result("listPurchases", {"userId": "user"})["purchases"]) == 1
    answer = shop.webhook(json.dumps({}).encode())
    assert (answer.status_code, answer.get_json()) == (503, off)
    shop.spend(3)

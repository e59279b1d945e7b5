"""Purchases while nothing answers at Stripe's address, as in the demo project without `make start`."""

from dataclasses import replace

import pytest

from imagegen.adapters.stripe_payments import StripePayments
from tests.support.purchases import Shop
from tools.emulators.ports import free_ports


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop()
    payments = StripePayments("sk_test_demo", ["whsec_demo"], f"http://127.0.0.1:{free_ports(1)[0]}")
    backend = replace(shop.backend, payments=payments)
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: backend)
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    return shop


def test_catalog_has_no_packages_and_a_purchase_is_refused(shop: Shop) -> None:
    catalog = shop.api.result("getCatalog", {})
    assert "packages" not in catalog
    assert catalog["models"]
    error = shop.api.error("createPurchase", {"userId": "user", "package": "starter"})
    assert error["status"] == "UNAVAILABLE"
    assert error["details"]["reason"] in ("SERVICE_UNAVAILABLE", "PAYMENTS_UNAVAILABLE")

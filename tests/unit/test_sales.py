"""Tests of the sales in the weekly report. An audit follows each test."""

from dataclasses import replace

import pytest

from tests.support.orders import ORDER
from tests.support.purchases import Shop


def test_weekly_report_has_the_sales_of_each_currency(shop: Shop) -> None:
    _, refunded = shop.paid()
    _, disputed = shop.paid()
    shop.paid()
    shop.bought()
    shop.payments.refund(refunded, 200)
    shop.payments.dispute(disputed, 500)
    shop.deliver()
    shop.payments.currency = "eur"
    shop.clock.sleep(60)  # the prices are read again
    shop.paid()
    shop.api.result("createGenerationRequest", ORDER)
    report = shop.report()
    assert report["sales"] == [
        {
            "currency": "eur",
            "purchases": 1,
            "amount": 500,
            "credits": 50,
            "amountRefunded": 0,
            "amountDisputed": 0,
        },
        {
            "currency": "usd",
            "purchases": 3,
            "amount": 1_500,
            "credits": 150,
            "amountRefunded": 200,
            "amountDisputed": 500,
        },
    ]
    assert report["reconciliation"]["difference"] == 0
    assert report["reconciliation"]["booked"] == {
        "grant": 0,
        "deduction": -3,
        "refund": 0,
        "correction": 0,
        "purchase": 200,
        "reversal": -70,
        "reinstatement": 0,
        "forfeit": 0,
    }


def test_weekly_report_balances_after_payments_were_switched_off(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _, session_id = shop.paid()
    shop.payments.refund(session_id, 100)
    shop.deliver()
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: replace(shop.backend, payments=None))
    report = shop.report()
    assert "sales" not in report
    assert report["reconciliation"]["difference"] == 0
    assert report["reconciliation"]["booked"] == {
        "grant": 50,
        "deduction": -10,
        "refund": 0,
        "correction": 0,
        "forfeit": 0,
    }

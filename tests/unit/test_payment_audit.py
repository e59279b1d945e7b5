"""Tests of the audit's comparison with the payment provider's record: it finds each planted difference alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from imagegen.adapters.stripe_payments import StripePayments
from imagegen.ports.payments import SessionState
from imagegen.services.purchases.audit import PaymentAudit
from tests.support.purchases import Shop
from tests.support.stored import ThreadSafeStore
from tests.support.stripe import SECRETS, open_shop


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Return a shop with a purchase that is paid and partly refunded, one that is expired, and one that is open."""
    shop = Shop()
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: shop.backend)
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    shop.payments.pay(shop.session_of(shop.buy(idempotencyKey="paid")["purchaseId"]))
    shop.payments.expire(shop.session_of(shop.buy(idempotencyKey="expired")["purchaseId"]))
    shop.buy(idempotencyKey="open")
    shop.payments.refund(paid_session(shop), 250)
    assert set(shop.deliver()) == {200}
    assert findings(shop) == []
    return shop


def purchase_id(shop: Shop) -> str:
    [session] = [session for session in shop.payments.sessions.values() if session.state is SessionState.PAID]
    assert session.purchase_id is not None
    return session.purchase_id


def paid_session(shop: Shop) -> str:
    return shop.session_of(purchase_id(shop))


def store_of(shop: Shop) -> ThreadSafeStore:
    assert isinstance(shop.database.database, ThreadSafeStore)
    return shop.database.database


def findings(shop: Shop) -> list[str]:
    audit = PaymentAudit(shop.database, shop.payments, shop.clock)
    return [f"{finding.invariant.name}: {finding.message}" for finding in audit.findings()]


def lose_a_payment(shop: Shop) -> None:
    lost = shop.buy(idempotencyKey="lost")["purchaseId"]
    shop.payments.pay(shop.session_of(lost))


def lose_a_refund(shop: Shop) -> None:
    shop.payments.refund(paid_session(shop), 250)


def lose_a_failed_refund(shop: Shop) -> None:
    [[refund]] = shop.payments.adjustments.values()
    shop.payments.fail_refund(refund)


def grant_without_a_payment(shop: Shop) -> None:
    session_id = paid_session(shop)
    shop.payments.sessions[session_id] = replace(shop.payments.sessions[session_id], state=SessionState.EXPIRED)


def change_the_amount(shop: Shop) -> None:
    session_id = paid_session(shop)
    shop.payments.sessions[session_id] = replace(shop.payments.sessions[session_id], amount=1)


def pay_twice(shop: Shop) -> None:
    session = shop.payments.sessions[paid_session(shop)]
    shop.payments.sessions["cs_second"] = replace(session, id="cs_second")


def delete_the_purchase(shop: Shop) -> None:
    del store_of(shop).collections["purchases"][purchase_id(shop)]


def forget_the_grant(shop: Shop) -> None:
    store_of(shop).edit(f"purchases/{purchase_id(shop)}", creditsGranted=0, creditsDue=0, status="open", adjustments=[])


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (lose_a_payment, "says paid, 50 credits granted and 0 to take back, but the purchase says open, 0"),
        (lose_a_refund, "says refunded, 50 credits granted and 50 to take back, but the purchase says partially"),
        (lose_a_failed_refund, "says paid, 50 credits granted and 0 to take back, but the purchase says partially"),
        (grant_without_a_payment, "Credits were granted, but the payment provider has no paid session"),
        (change_the_amount, "is paid, but differs from its purchase: amount"),
        (pay_twice, "The session cs_second is paid, but differs from its purchase: session"),
        (delete_the_purchase, "is paid, but its purchase does not exist"),
        (forget_the_grant, "says partially_refunded, 50 credits granted and 25 to take back, but"),
    ],
)
def test_planted_difference_is_the_only_finding(shop: Shop, plant: Callable[[Shop], None], message: str) -> None:
    plant(shop)
    [found] = findings(shop)
    assert found.startswith("PAYMENT: ")
    assert message in found


def test_session_that_names_something_else_is_found_without_a_read(shop: Shop) -> None:
    session = shop.payments.sessions[paid_session(shop)]
    shop.payments.sessions["cs_other"] = replace(session, id="cs_other", purchase_id="orders/7")
    [found] = PaymentAudit(shop.database, shop.payments, shop.clock).findings()
    assert found.message == "The session cs_other is paid, but its purchase does not exist."
    assert found.documents == ("purchases",)


def test_purchases_of_the_other_mode_are_not_compared(shop: Shop) -> None:
    grant_without_a_payment(shop)
    shop.payments.is_live = True
    assert findings(shop) == []


def test_unreadable_purchase_does_not_stop_the_comparison(shop: Shop) -> None:
    store_of(shop).edit(f"purchases/{purchase_id(shop)}", amount="much")
    lose_a_payment(shop)
    assert len(findings(shop)) == 1


def test_all_paid_sessions_of_purchases_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account sells other things too, which are not in the metadata of a purchase."""
    monkeypatch.setattr("imagegen.adapters.stripe_payments.PAGE_SIZE", 2)
    with open_shop() as shop:
        paid = [shop.paid().id for _ in range(5)]
        shop.press(shop.open(metadata={}), "pay")
        shop.press(shop.open(), "pay_later")
        shop.open()
        payments = StripePayments(shop.stripe.secret_key, SECRETS, shop.stripe.url)
        assert [session.id for session in payments.paid_sessions()] == paid[::-1]

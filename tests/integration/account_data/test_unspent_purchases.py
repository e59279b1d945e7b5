"""Tests of the refunds of unspent purchases when an account is deleted. An audit follows each deletion."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from imagegen.adapters.stripe_payments import StripePayments
from imagegen.bootstrap import Backend
from imagegen.documents.purchases import purchase_of
from imagegen.domain.ledger import Credits
from imagegen.ports.payments import PaymentsDown, PaymentsRefused
from imagegen.services.account_data.deletions import Deletions
from imagegen.services.purchases.audit import PaymentAudit
from simulation.payments import FakePayments
from tests.support.account_data import USER, Account, ProcessDied
from tests.support.purchases import down
from tests.support.stripe import SECRETS, open_shop, press

LATER = timedelta(minutes=20)
LEDGER = f"users/{USER}/creditTransactions"


class Case:
    """A user with 50 granted credits, none of which is left, and the deletion of the account with refunds."""

    def __init__(self, account: Account) -> None:
        self.account, self.clock = account, account.clock
        self.payments = cast(FakePayments, account.backend.payments)
        self.backend: Backend = replace(account.backend, refunds_unspent=True)
        self.deletions: Deletions = self.backend.account_data.deletions
        self.spend(50)

    def spend(self, credits: int) -> None:
        self.account.backend.corrections.correct(USER, Credits(paid=-credits), reason="spent", key=f"spend {credits}")

    def buy(self) -> str:
        """Buy 50 credits for 500, a minute after the last purchase. Return the purchase's id."""
        self.clock.at += timedelta(minutes=1)
        purchase_id: str = self.account.call("createPurchase", package="starter")["purchaseId"]
        self.payments.pay(self.session(purchase_id))
        self.backend.reconciliation.reconcile(purchase_id)
        return purchase_id

    def session(self, purchase_id: str) -> str:
        return str(self.account.document(f"purchases/{purchase_id}")["sessionId"])

    def delete(self) -> None:
        self.deletions.delete(USER, USER)

    def sweep(self, after: timedelta = LATER) -> None:
        self.clock.at += after
        self.backend.sweeper.sweep()

    def refunded(self, purchase_id: str) -> int:
        """Return the amount of the provider's refunds that are in effect. It must be the booked one."""
        [document] = self.account.database.read(f"purchases/{purchase_id}")
        intent, booked = str(document.data["paymentIntentId"]), purchase_of(document).amount_refunded
        refunds = self.payments.adjustments.get(intent, {}).values()
        assert sum(one.amount for one in refunds if one.in_effect and one.kind == "refund") == booked
        return booked

    def forfeited(self) -> int:
        return sum(one.data["credits"] for one in self.account.database.scan(LEDGER) if one.data["type"] == "forfeit")

    def assert_finished(self) -> None:
        assert self.account.document(f"accountDeletions/{USER}")["finishedAt"] is not None
        assert self.account.document(f"users/{USER}")["credits"] == {"trial": 0, "paid": 0}
        assert self.account.findings() == []
        assert [*PaymentAudit(self.account.database, self.payments, self.clock).findings()] == []


@pytest.fixture
def case(new_account: Account) -> Case:
    return Case(new_account)


def test_newest_purchases_are_refunded_first(case: Case) -> None:
    """Trial credits are forfeited."""
    old, new = case.buy(), case.buy()
    case.spend(30)
    case.delete()
    case.sweep()
    assert (case.refunded(new), case.refunded(old), case.forfeited()) == (500, 200, 10)
    case.assert_finished()


def test_purchase_behind_pages_of_unpaid_ones_is_refunded(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.services.purchases.unspent.PAGE_SIZE", 2)
    purchase_id = case.buy()
    for _ in range(5):
        case.clock.at += timedelta(minutes=1)
        case.account.call("createPurchase", package="starter")
    case.delete()
    assert (case.refunded(purchase_id), case.forfeited()) == (500, 10)
    case.sweep()
    case.assert_finished()


def test_without_the_parameter_nothing_is_refunded(case: Case) -> None:
    purchase_id = case.buy()
    case.account.delete_to_the_end()
    assert (case.refunded(purchase_id), case.forfeited()) == (0, 60)
    case.assert_finished()


def test_buyer_who_was_faster_is_refunded(case: Case) -> None:
    purchase_id: str = case.account.call("createPurchase", package="starter")["purchaseId"]
    case.payments.pay(case.session(purchase_id))
    case.delete()
    assert (case.refunded(purchase_id), case.forfeited()) == (500, 10)
    case.sweep()
    case.assert_finished()


@pytest.mark.parametrize("is_forgotten", [False, True])
@pytest.mark.parametrize("error", [PaymentsDown("lost"), ProcessDied()], ids=["lost answer", "crash"])
def test_crash_after_the_refund_refunds_nothing_again(
    case: Case, error: BaseException, is_forgotten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the provider has forgotten the key. Enough money is left for a second refund."""
    purchase_id = case.buy()
    case.spend(30)
    create_refund = case.payments.create_refund

    def lost(*call: Any) -> None:
        create_refund(*call)
        raise error

    monkeypatch.setattr(case.payments, "create_refund", lost)
    try:
        case.delete()
    except ProcessDied:
        assert isinstance(error, ProcessDied)
    monkeypatch.setattr(case.payments, "create_refund", create_refund)
    if is_forgotten:
        case.payments.refunded.clear()
    case.sweep()
    assert case.refunded(purchase_id) == 200
    case.assert_finished()


def test_plan_is_stored_before_the_refund(case: Case) -> None:
    purchase_id = case.buy()
    stored: list[Any] = []

    def look(call: str) -> None:
        if call == "create_refund":
            stored.append(case.account.document(f"accountDeletions/{USER}")["refunding"])
            case.payments.before = lambda _call: None
            raise ProcessDied

    case.payments.before = look
    with pytest.raises(ProcessDied):
        case.delete()
    assert [(one["purchaseId"], one["credits"], one["target"]) for one in stored] == [(purchase_id, 50, 500)]
    case.sweep()
    assert case.refunded(purchase_id) == 500
    case.assert_finished()


def test_disputed_purchases_are_left_out_and_refunded_ones_count(case: Case) -> None:
    refunded, disputed = case.buy(), case.buy()
    case.payments.refund(case.session(refunded), 100)
    case.payments.dispute(case.session(disputed), 200)
    case.delete()  # their events have not arrived
    case.sweep()
    assert (case.refunded(refunded), case.refunded(disputed)) == (500, 0)
    case.assert_finished()


def test_refused_refund_is_given_up_after_days(
    case: Case, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refunds of the others follow."""
    old, new = case.buy(), case.buy()
    intent = case.account.document(f"purchases/{new}")["paymentIntentId"]
    create_refund = case.payments.create_refund

    def refuse(intent_id: str, amount: int, key: str) -> None:
        if intent_id == intent:
            raise PaymentsRefused("balance_insufficient")
        create_refund(intent_id, amount, key)

    monkeypatch.setattr(case.payments, "create_refund", refuse)
    case.delete()
    case.sweep(timedelta(days=2))
    assert (case.refunded(new), case.refunded(old), case.forfeited()) == (0, 0, 0)
    case.sweep(timedelta(days=1))
    assert (case.refunded(new), case.refunded(old), case.forfeited()) == (0, 500, 60)
    given_up = [vars(record)["fields"]["givenUp"] for record in caplog.records if "NOT_REFUNDED" in record.msg]
    assert given_up == [False, False, True]
    case.assert_finished()


def test_refund_that_fails_later_is_forfeited_and_reported(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    purchase_id = case.buy()
    case.delete()
    case.sweep()
    case.payments.fail_refund(case.payments.unspent_refunds[0])
    case.backend.reconciliation.reconcile(purchase_id)
    assert (case.refunded(purchase_id), case.forfeited()) == (0, 60)
    assert "PURCHASE_OF_DELETED" in [record.msg for record in caplog.records]
    case.assert_finished()


def test_payment_that_arrives_during_the_refunds_is_reported(
    case: Case, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refunds have counted what is unspent, so this payment is forfeited with the rest of the balance."""
    late: str = case.account.call("createPurchase", package="starter")["purchaseId"]
    case.payments.pay_later(case.session(late))
    case.backend.reconciliation.reconcile(late)
    purchase_id = case.buy()
    case.payments.before = lambda call: down(call) if call == "create_refund" else None
    case.delete()
    case.payments.settle(case.session(late), arrived=True)
    case.backend.reconciliation.reconcile(late)
    case.payments.before = lambda _call: None
    case.sweep()
    assert (case.refunded(purchase_id), case.refunded(late), case.forfeited()) == (500, 0, 60)
    reported = [vars(record)["fields"]["purchaseId"] for record in caplog.records if "OF_DELETED" in record.msg]
    assert reported == [late]
    case.assert_finished()


def test_unspent_part_is_refunded_once_at_the_emulator_of_stripe(
    new_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call makes the refund, but its answer is an error, which Stripe saves for the key."""
    account = new_account
    account.clock.at = datetime.now(UTC)
    with open_shop() as shop:
        payments = StripePayments(shop.stripe.secret_key, SECRETS, shop.stripe.url)
        backend = replace(account.backend, payments=payments, refunds_unspent=True)
        monkeypatch.setattr("imagegen.bootstrap.backend", lambda: backend)
        purchase_id: str = account.call("createPurchase", package="starter")["purchaseId"]
        press(shop.stripe.url, str(account.document(f"purchases/{purchase_id}")["sessionId"]), "pay")
        backend.reconciliation.reconcile(purchase_id)
        backend.corrections.correct(USER, Credits(paid=-80), reason="spent", key="spend")
        shop.control("faults", path="/v1/refunds", applied=True)
        backend.account_data.deletions.delete(USER, USER)
        assert account.document(f"users/{USER}")["credits"]["paid"] == 20
        account.clock.at += LATER
        backend.sweeper.sweep()
        refunds = shop.client.v1.refunds.list().data
        assert [(refund.amount, refund.status) for refund in refunds] == [(200, "succeeded")]
        assert [*PaymentAudit(account.database, payments, account.clock).findings()] == []
    assert account.document(f"accountDeletions/{USER}")["finishedAt"] is not None
    assert account.findings() == []


def test_late_payment_of_an_account_that_an_earlier_version_deleted_is_forfeited(case: Case) -> None:
    """It left no mark that the balance has ended."""
    late: str = case.account.call("createPurchase", package="starter")["purchaseId"]
    case.payments.pay_later(case.session(late))
    case.backend.reconciliation.reconcile(late)
    case.delete()
    case.sweep()
    user = case.account.document(f"users/{USER}")
    assert user["balanceEndedAt"] is not None
    case.account.database.edit(f"users/{USER}", balanceEndedAt=None)
    case.payments.settle(case.session(late), arrived=True)
    case.backend.reconciliation.reconcile(late)
    assert (case.refunded(late), case.forfeited()) == (0, 60)
    case.assert_finished()

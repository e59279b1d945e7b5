"""Tests of refunds and disputes of purchases. An audit follows each test."""

from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import Credits
from imagegen.ports.database import Update
from tests.support.purchases import Shop


def test_refund_takes_the_credits_back(shop: Shop) -> None:
    purchase_id, session_id = shop.paid()
    shop.payments.refund(session_id, 250)
    shop.deliver()
    found = shop.purchase(purchase_id)
    assert (found["status"], found["creditsReversed"], found["amountRefunded"]) == ("partially_refunded", 25, 250)
    shop.payments.refund(session_id, 250)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("refunded", 0)
    assert shop.entries() == [("purchase", 50), ("reversal", 25), ("reversal", 25)]


def test_refund_before_the_grant_is_booked_with_it(shop: Shop) -> None:
    purchase_id, session_id = shop.bought()
    shop.payments.pay(session_id)
    shop.payments.refund(session_id, 500)
    assert shop.deliver(*reversed(shop.payments.events)) == [200, 200]
    assert shop.entries() == [("purchase", 50), ("reversal", 50)]
    assert shop.purchase(purchase_id)["status"] == "refunded"


def test_spent_credits_are_taken_from_the_refunds_of_generations(shop: Shop) -> None:
    """Buying, spending on pending requests, disputing and canceling leaves no free credits."""
    purchase_id, session_id = shop.paid()
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
    purchase_id, session_id = shop.paid()
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
    purchase_id, session_id = shop.paid()
    dispute = shop.payments.dispute(session_id, 500, inquiry=True)
    shop.deliver()
    assert (shop.purchase(purchase_id)["status"], shop.balance()) == ("paid", 50)
    shop.payments.withdraw(dispute)
    shop.deliver()
    assert shop.balance() == 0


def test_wallet_of_a_user_who_owes_can_be_rebuilt(shop: Shop) -> None:
    _, session_id = shop.paid()
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

"""Tests of the entries that are due for a purchase by the payment provider's record."""

import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from imagegen.domain import ledger
from imagegen.domain.ledger import Credits, EntryType, LedgerEntry, TooManyDebts, Wallet
from imagegen.domain.purchases import Discrepancy, Purchase, PurchaseStatus
from imagegen.ports.payments import Adjustment, AdjustmentKind, Payment, Session, SessionState
from tests.support.purchases import PURCHASE, START

NOW = START
PAID = Session("cs_1", "p1", SessionState.PAID, 500, "usd", livemode=False, payment_intent_id="pi_1")


def refund(id: str, amount: int, *, in_effect: bool = True) -> Adjustment:
    return Adjustment(id, AdjustmentKind.REFUND, amount, in_effect)


def dispute(id: str, amount: int, *, in_effect: bool = True) -> Adjustment:
    return Adjustment(id, AdjustmentKind.DISPUTE, amount, in_effect)


def reconciled(
    wallet: Wallet, *adjustments: Adjustment, purchase: Purchase = PURCHASE, session: Session = PAID
) -> tuple[Purchase, Wallet, list[LedgerEntry]]:
    return purchase.reconciled(Payment(session, adjustments), wallet, NOW)


def spend(wallet: Wallet, credits: int) -> Wallet:
    wallet, _ = wallet.post(
        EntryType.DEDUCTION, Credits(paid=credits), entry_id="spent", generation_request_id="r", timestamp=NOW
    )
    return wallet


def moved(entries: list[LedgerEntry]) -> list[tuple[str, int]]:
    return [(entry.id, entry.type.sign * entry.amount.paid) for entry in entries]


def test_paid_purchase_is_granted_once() -> None:
    purchase, wallet, entries = reconciled(Wallet("user"))
    assert moved(entries) == [("p1-purchase", 50)]
    assert (purchase.status, purchase.credits_granted, purchase.paid_at) == (PurchaseStatus.PAID, 50, NOW)
    assert wallet.credits == Credits(paid=50)
    assert reconciled(wallet, purchase=purchase) == (purchase, wallet, [])


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (SessionState.OPEN, PurchaseStatus.OPEN),
        (SessionState.PROCESSING, PurchaseStatus.PROCESSING),
        (SessionState.FAILED, PurchaseStatus.FAILED),
        (SessionState.EXPIRED, PurchaseStatus.EXPIRED),
    ],
)
def test_unpaid_purchase_is_not_granted(state: SessionState, status: PurchaseStatus) -> None:
    session = Session("cs_1", "p1", state, 500, "usd", livemode=False)
    purchase, wallet, entries = reconciled(Wallet("user"), session=session)
    assert (purchase.status, wallet, entries) == (status, Wallet("user"), [])


@pytest.mark.parametrize(
    ("session", "discrepancy"),
    [
        (Session("cs_1", "p1", SessionState.PAID, 499, "usd", False), Discrepancy.AMOUNT),
        (Session("cs_1", "p1", SessionState.PAID, 500, "eur", False), Discrepancy.CURRENCY),
        (Session("cs_1", "p1", SessionState.PAID, 500, "usd", True), Discrepancy.MODE),
        (Session("cs_1", "p2", SessionState.PAID, 500, "usd", False), Discrepancy.SESSION),
        (Session("cs_1", None, SessionState.PAID, 500, "usd", False), Discrepancy.SESSION),
    ],
)
def test_session_that_differs_grants_nothing(session: Session, discrepancy: Discrepancy) -> None:
    purchase, wallet, entries = reconciled(Wallet("user"), session=session)
    assert (purchase.discrepancy, purchase.credits_granted, wallet, entries) == (discrepancy, 0, Wallet("user"), [])
    assert purchase.checked(NOW).check_at is None


def test_granted_purchase_whose_session_is_not_paid_differs() -> None:
    purchase, wallet, _ = reconciled(Wallet("user"))
    unpaid = Session("cs_1", "p1", SessionState.OPEN, 500, "usd", livemode=False)
    differs, same, entries = reconciled(wallet, purchase=purchase, session=unpaid)
    assert (differs.discrepancy, same, entries) == (Discrepancy.SESSION, wallet, [])


def test_parts_of_refunds_add_up_to_the_whole() -> None:
    wallet, purchase = Wallet("user"), PURCHASE
    parts = [167, 166, 100, 66, 1]  # 16.7, 16.6, 10, 6.6 and 0.1 credits
    taken = []
    for number in range(len(parts) + 1):
        refunds = [refund(f"re_{one}", part) for one, part in enumerate(parts[:number])]
        purchase, wallet, entries = reconciled(wallet, *refunds, purchase=purchase)
        taken += [entry.amount.paid for entry in entries if entry.type is EntryType.REVERSAL]
    assert taken == [16, 17, 10, 6, 1]
    assert (purchase.status, purchase.credits_due, wallet.credits) == (PurchaseStatus.REFUNDED, 50, Credits())


def test_order_of_the_refunds_does_not_matter() -> None:
    refunds = [refund("re_1", 167), refund("re_2", 166), dispute("dp_1", 100)]
    found = set()
    for order in itertools.permutations(refunds):
        wallet, purchase = Wallet("user"), PURCHASE
        for number in range(4):
            purchase, wallet, _ = reconciled(wallet, *order[:number], purchase=purchase)
        found.add((purchase.credits_due, wallet.credits, purchase.status))
    assert found == {(43, Credits(paid=7), PurchaseStatus.DISPUTED)}


def test_refund_and_dispute_of_the_same_money_take_the_credits_once() -> None:
    _, wallet, _ = reconciled(Wallet("user", Credits(trial=5)), refund("re_1", 300), dispute("dp_1", 500))
    assert wallet.credits == Credits(trial=5)


def test_spent_credits_become_a_debt_that_the_next_purchase_settles() -> None:
    purchase, wallet, _ = reconciled(Wallet("user", Credits(trial=7)))
    purchase, wallet, entries = reconciled(spend(wallet, 40), dispute("dp_1", 500), purchase=purchase)
    assert moved(entries) == [("p1-dp_1-1", -10)]
    assert (wallet.credits, wallet.debt_of("p1")) == (Credits(trial=7), 40)
    second = replace(PURCHASE, id="p2")
    session = Session("cs_2", "p2", SessionState.PAID, 500, "usd", livemode=False)
    _, wallet, entries = reconciled(wallet, purchase=second, session=session)
    assert moved(entries) == [("p2-purchase", 50), ("p2-purchase-p1", -40)]
    assert [entry.purchase_id for entry in entries] == ["p2", "p1"]
    assert (wallet.credits, wallet.debts) == (Credits(trial=7, paid=10), ())


def test_grant_is_not_taken_for_a_debt() -> None:
    purchase, wallet, _ = reconciled(Wallet("user"))
    _, wallet, _ = reconciled(spend(wallet, 50), refund("re_1", 500), purchase=purchase)
    wallet, _ = wallet.post(EntryType.GRANT, Credits(paid=5), entry_id="grant", timestamp=NOW)
    assert (wallet.credits, wallet.debt_of("p1")) == (Credits(paid=5), 50)


def test_won_dispute_cancels_the_debt_and_reinstates_the_rest() -> None:
    purchase, wallet, _ = reconciled(Wallet("user"))
    purchase, wallet, _ = reconciled(spend(wallet, 20), dispute("dp_1", 500), purchase=purchase)
    assert (wallet.credits.paid, wallet.debt_of("p1")) == (0, 20)
    purchase, wallet, entries = reconciled(wallet, dispute("dp_1", 500, in_effect=False), purchase=purchase)
    assert moved(entries) == [("p1-dp_1-2", 30)]
    assert (wallet.credits.paid, wallet.debts, purchase.status) == (30, (), PurchaseStatus.PAID)


def test_reinstatement_settles_the_debt_of_another_purchase() -> None:
    wallet = Wallet("user", debts=(ledger.Debt("p0", 12),))
    wallet, entries = wallet.give_back(30, purchase_id="p1", entry_id="p1-dp_1-2", timestamp=NOW)
    assert moved(entries) == [("p1-dp_1-2", 30), ("p1-dp_1-2-p0", -12)]
    assert (wallet.credits.paid, wallet.debts) == (18, ())


def test_failed_refund_is_given_back() -> None:
    purchase, wallet, _ = reconciled(Wallet("user"), refund("re_1", 250))
    assert (purchase.status, wallet.credits.paid) == (PurchaseStatus.PARTIALLY_REFUNDED, 25)
    purchase, wallet, entries = reconciled(wallet, refund("re_1", 250, in_effect=False), purchase=purchase)
    assert moved(entries) == [("p1-re_1-2", 25)]
    assert (purchase.status, wallet.credits.paid) == (PurchaseStatus.PAID, 50)


def test_inquiry_moves_nothing() -> None:
    purchase, wallet, entries = reconciled(Wallet("user"), dispute("dp_1", 500, in_effect=False))
    assert moved(entries) == [("p1-purchase", 50)]
    assert (purchase.status, wallet.credits.paid) == (PurchaseStatus.PAID, 50)


def test_refund_of_a_generation_settles_no_more_than_it_returns() -> None:
    wallet = Wallet("user", Credits(paid=100), debts=(ledger.Debt("p1", 2), ledger.Debt("p2", 9)))
    wallet, returned = wallet.post(
        EntryType.REFUND, Credits(trial=1, paid=4), entry_id="r-refund", generation_request_id="r", timestamp=NOW
    )
    wallet, entries = wallet.settle_debts(returned)
    assert moved(entries) == [("r-refund-p1", -2), ("r-refund-p2", -2)]
    assert (wallet.credits, wallet.debts) == (Credits(1, 100), (ledger.Debt("p2", 7),))


def test_reversal_waits_when_there_are_too_many_debts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "DEBTS_MAX", 2)
    wallet = Wallet("user", debts=(ledger.Debt("a", 1), ledger.Debt("b", 1)))
    same, _ = wallet.take_back(5, purchase_id="b", entry_id="b-re-1", timestamp=NOW)
    assert same.debt_of("b") == 6
    with pytest.raises(TooManyDebts):
        wallet.take_back(5, purchase_id="c", entry_id="c-re-1", timestamp=NOW)


def test_credits_follow_the_record_whatever_happens() -> None:
    """Granted, reversed and owed credits match the record after every history, and no bucket goes below zero."""
    rng = random.Random(1)
    for _ in range(300):
        wallet, purchase = Wallet("user", Credits(trial=rng.randrange(5))), PURCHASE
        trial = wallet.credits.trial
        adjustments: dict[str, Adjustment] = {}
        total = dict.fromkeys(EntryType, 0)
        for step in range(rng.randrange(1, 12)):
            match rng.randrange(3):
                case 0:
                    made = rng.choice([refund, dispute])(f"x{step}", rng.randrange(1, 501))
                    adjustments[made.id] = made
                case 1 if adjustments:
                    id = rng.choice(list(adjustments))
                    one = adjustments[id]
                    adjustments[id] = Adjustment(id, one.kind, one.amount, not one.in_effect)
                case _ if wallet.credits.paid:
                    wallet = spend(wallet, rng.randrange(1, wallet.credits.paid + 1))
            purchase, wallet, entries = reconciled(wallet, *adjustments.values(), purchase=purchase)
            for entry in entries:
                assert entry.amount.total > 0
                total[entry.type] += entry.amount.paid
            returned = min(sum(one.amount for one in adjustments.values() if one.in_effect), 500)
            assert purchase.credits_due == 50 * returned // 500
            assert total[EntryType.PURCHASE] == 50
            taken = total[EntryType.REVERSAL] - total[EntryType.REINSTATEMENT]
            assert taken + wallet.debt_of("p1") == purchase.credits_due
            assert wallet.credits.trial == trial


def test_open_purchase_is_checked_until_it_expires() -> None:
    now = NOW
    checks: list[int] = []
    while (check_at := PURCHASE.checked(now).check_at) and len(checks) < 100 and check_at < NOW + timedelta(days=1):
        checks.append(round((check_at - NOW) / timedelta(minutes=1)))
        now = check_at
    assert checks[:4] == [10, 20, 40, 80]
    assert checks[-1] == round((PURCHASE.expires_at - NOW) / timedelta(minutes=1)) + 10


def test_paid_purchase_is_checked_for_half_a_year() -> None:
    purchase, _, _ = reconciled(Wallet("user"))
    now, checks = NOW, 0
    while check_at := purchase.checked(now).check_at:
        now, checks = check_at, checks + 1
    assert timedelta(days=180) < now - NOW < timedelta(days=215)
    assert checks < 25


def test_purchase_is_unanswered_after_23_hours_without_a_session() -> None:
    assert not PURCHASE.is_unanswered(NOW + timedelta(hours=23) - timedelta(microseconds=1))
    assert PURCHASE.is_unanswered(NOW + timedelta(hours=23))
    assert PURCHASE.expires_at - (NOW + timedelta(hours=23)) >= timedelta(minutes=30)

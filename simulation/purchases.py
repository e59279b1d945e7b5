"""Checks the purchases after a run: against the payment provider's record, the ledger and the answers of the API."""

from collections import Counter
from collections.abc import Iterator, Mapping

from imagegen.api.purchases import Purchase as PurchaseAnswer
from imagegen.documents.accounts import USERS, entry_of, ledger_path, user_path, wallet_of
from imagegen.documents.purchases import PURCHASES, purchase_of
from imagegen.domain.purchases import Purchase, PurchaseStatus, PurchaseTotals, totals_by_purchase
from imagegen.ports.payments import SessionState
from imagegen.services.purchases.audit import PaymentAudit
from imagegen.services.purchases.queries import Purchases
from simulation.checks import AFTER_ALL_LEASES, Violation
from simulation.payments import FakePayments
from simulation.store import Store
from tools.fakes import ManualClock


def stored(store: Store) -> list[Purchase]:
    return [purchase_of(document) for document in store.scan(PURCHASES)]


def unfinished(store: Store) -> int:
    """Return the number of purchases that a sweep may check."""
    return sum(purchase.check_at is not None for purchase in stored(store))


def violations(store: Store, record: FakePayments, changes: Mapping[str, int]) -> Iterator[Violation]:
    """Yield every contradiction between the purchases, the ledgers and the provider's record.

    ``changes`` has the number of times that each refund or dispute came into effect or ended.
    """
    try:
        for finding in PaymentAudit(store, record, ManualClock(AFTER_ALL_LEASES)).findings():
            yield Violation(finding.invariant.name, f"{finding.message} {finding.documents}")
    except AssertionError as error:
        yield Violation("LIVENESS", f"the audit raised {error!r}")
    sessions = Counter(session.purchase_id for session in record.sessions.values())
    booked = _booked(store)
    for purchase in stored(store):
        if sessions[purchase.id] > 1:
            yield Violation("ONCE", f"{purchase.id} has {sessions[purchase.id]} sessions")
        yield from _contradictions(store, record, purchase, booked.get(purchase.id, PurchaseTotals()))
        for one in purchase.booked:
            if one.changes > changes[one.id]:
                yield Violation("ONCE", f"{one.id} changed {changes[one.id]} times, and is booked {one.changes} times")
    for user in store.scan(USERS):
        wallet = wallet_of(user)
        if min(wallet.credits.trial, wallet.credits.paid) < 0:
            yield Violation("BALANCE", f"{user.id} has {wallet.credits}")
        if wallet.debts and wallet.credits.paid:
            yield Violation("OWED", f"{user.id} owes {wallet.debts}, and has {wallet.credits}")


def _contradictions(
    store: Store, record: FakePayments, purchase: Purchase, booked: PurchaseTotals
) -> Iterator[Violation]:
    """Yield the differences between the ledger's entries of a purchase and what is due by the provider's record."""
    found = [session for session in record.sessions.values() if session.purchase_id == purchase.id]
    paid = [session for session in found if session.state is SessionState.PAID]
    if (booked.entries, booked.granted) != ((1, purchase.credits) if paid else (0, 0)):
        states = [session.state.value for session in found]
        yield Violation(
            "PAID", f"{purchase.id} granted {booked.granted} in {booked.entries}, and its session is {states}"
        )
    returned = sum(
        one.amount
        for session in paid
        for one in record.adjustments.get(session.payment_intent_id or "", {}).values()
        if one.in_effect
    )
    due = purchase.credits * min(returned, purchase.amount) // purchase.amount
    [user] = store.read(user_path(purchase.user_id))
    owed = wallet_of(user).debt_of(purchase.id)
    if booked.taken + owed != due:
        yield Violation(
            "DUE", f"of {purchase.id}, {booked.taken} credits were taken, {owed} are owed, and {due} are due"
        )
    if (purchase.amount_refunded + purchase.amount_disputed) != returned:
        yield Violation("DUE", f"{purchase.id} counts {purchase.booked}, and {returned} was returned")
    if purchase.status in (PurchaseStatus.OPEN, PurchaseStatus.PROCESSING):
        yield Violation("PROGRESS", f"{purchase.id} is {purchase.status} forever")


def misstated(store: Store, purchases: Purchases) -> Iterator[Violation]:
    """Yield the answers of getPurchase and listPurchases that differ from the stored purchase or from the ledger."""
    booked = _booked(store)
    for user in store.scan(USERS):
        mine = {one.id: one for one in stored(store) if one.user_id == user.id}
        listed = {one.purchase.id: one for one in purchases.list(user.id, 100, None).items}
        if listed.keys() != mine.keys():
            yield Violation("TRUTH", f"listPurchases of {user.id} has {sorted(listed)}, not {sorted(mine)}")
        for id, purchase in mine.items():
            got = purchases.get(id, lambda _: True)
            answer = PurchaseAnswer.of(got)
            totals = booked.get(id, PurchaseTotals())
            stated = (answer.credits_granted, answer.credits_reversed, answer.uncollected)
            true = (totals.granted, totals.taken, purchase.credits_due - totals.taken)
            if got != listed.get(id) or got.purchase != purchase or stated != true:
                yield Violation("TRUTH", f"getPurchase has {got}, and the ledger {totals}")


def bought(store: Store) -> int:
    """Return the credits of all purchases, without those that were taken back."""
    return sum(totals.granted - totals.taken for totals in _booked(store).values())


def _booked(store: Store) -> dict[str, PurchaseTotals]:
    """Return the sums of the ledger entries of each purchase."""
    entries = (entry_of(user.id, found) for user in store.scan(USERS) for found in store.scan(ledger_path(user.id)))
    return totals_by_purchase(entries)

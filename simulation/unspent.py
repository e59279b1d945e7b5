"""Checks the refunds of unspent purchases after a run: each by the rule, and none twice."""

from collections.abc import Iterator

from imagegen.documents.account_data import DELETIONS, deletion_of
from imagegen.documents.accounts import entry_of, ledger_path
from imagegen.domain.account_data import Deletion, DeletionStatus
from imagegen.domain.ledger import EntryType
from simulation import purchases
from simulation.checks import Violation
from simulation.payments import FakePayments
from simulation.store import Store


def violations(store: Store, record: FakePayments) -> Iterator[Violation]:
    """Yield the purchases of deleted users whose refunds differ from the rule.

    The rule is simple only if nobody else refunded or disputed a payment, and no payment arrived after the deletion
    began. Other users are left out.
    """
    for document in store.scan(DELETIONS):
        deletion = deletion_of(document)
        mine = [one for one in purchases.stored(store) if one.user_id == deletion.user_id and one.credits_granted]
        mine.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        booked = [adjustment for one in mine for adjustment in one.booked]
        is_simple = all(one.paid_at is not None and one.paid_at < deletion.requested_at for one in mine) and all(
            adjustment.id in record.unspent_refunds and adjustment.amount for adjustment in booked
        )
        if deletion.status is not DeletionStatus.FINISHED or not is_simple:
            continue
        left = _unspent(store, deletion)
        for purchase in mine:
            credits = min(left, purchase.credits_granted)
            left -= credits
            due = purchase.amount * credits // purchase.credits_granted
            refunds = [adjustment.amount for adjustment in purchase.booked]
            if refunds != ([due] if due else []):
                yield Violation("UNSPENT", f"{purchase.id} was refunded {refunds}, and {due} was not spent")


def _unspent(store: Store, deletion: Deletion) -> int:
    """Return the paid credits that the user had when the refunds began, by the entries that ended them."""
    entries = (entry_of(deletion.user_id, found) for found in store.scan(ledger_path(deletion.user_id)))
    return sum(entry.amount.paid for entry in entries if entry.type in (EntryType.FORFEIT, EntryType.REVERSAL))

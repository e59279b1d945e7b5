"""Refunds the part of a deleted user's purchases that is not spent.

The newest purchases count as unspent first. The plan of each refund is committed before the provider is called. So a
repetition refunds only what is missing to the plan, also after the provider has forgotten the call.
"""

from dataclasses import replace

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.account_data import deletion_of, deletion_path, write_deletion
from imagegen.documents.accounts import has_ended, user_path, wallet_of
from imagegen.documents.purchases import PURCHASES, purchase_of
from imagegen.domain.account_data import REFUNDS_TRIED_FOR, Deletion, Refunding
from imagegen.domain.purchases import Purchase
from imagegen.events import Event
from imagegen.ports.database import Database, Query, Snapshot, Where
from imagegen.ports.payments import PaymentsDown, PaymentsRefused
from imagegen.services.purchases.reconcile import Reconciliation

PAGE_SIZE = 20


@dataclass(frozen=True)
class UnspentRefunds:
    """The refunds of unspent purchases. The state of a user's refunds is in the document of the deletion."""

    database: Database
    reconciliation: Reconciliation

    def refund_some(self, user_id: str) -> bool:
        """Do the next part of a user's refunds. Return whether all are done. It can be repeated at any time.

        Raises PaymentsDown and PaymentsRefused while a refund is not made, until it is given up.
        """
        user, document = self.database.read(user_path(user_id), deletion_path(user_id))
        if has_ended(user):
            return True
        deletion, paid = deletion_of(document), wallet_of(user).credits.paid
        refunding = deletion.refunding or Refunding(paid)
        if refunding.target is not None:
            return self._refund(document, deletion, refunding)
        if not min(refunding.unspent, paid):
            return True
        return self._plan(document, deletion, refunding)

    def _plan(self, document: Snapshot, deletion: Deletion, refunding: Refunding) -> bool:
        """Commit the plan of the next purchase that was paid. Return True if there is none."""
        mine = (Where("userId", "==", deletion.user_id),)
        query = Query(PURCHASES, mine, order_by="createdAt", start_after=refunding.after, limit=PAGE_SIZE)
        found = [purchase_of(one) for one in self.database.find(query)]
        purchase = next((one for one in found if one.credits_granted), None)
        if purchase is not None:
            purchase = self.reconciliation.reconcile(purchase.id)
            planned = self._planned(purchase, refunding)
        elif len(found) < PAGE_SIZE:
            return True
        else:
            planned = refunding.passed((found[-1].created_at, found[-1].id), 0)
        self._commit(document, deletion, planned)
        return False

    def _planned(self, purchase: Purchase, refunding: Refunding) -> Refunding:
        # The purchase was reconciled, so credits that were taken back are not in the wallet any more.
        [user] = self.database.read(user_path(purchase.user_id))
        unspent = min(refunding.unspent, wallet_of(user).credits.paid)
        credits = min(unspent, purchase.credits_granted - purchase.credits_due)
        here = (purchase.created_at, purchase.id)
        if not credits or not self._may_refund(purchase):
            return refunding.passed(here, credits)
        part = purchase.amount * credits // purchase.credits_granted
        return refunding.planned(here, credits, min(purchase.amount_refunded + part, purchase.amount))

    def _may_refund(self, purchase: Purchase) -> bool:
        """Return whether a purchase is of this mode, live or test, and its money is neither disputed nor unclear."""
        is_of_mode = purchase.livemode is self.reconciliation.payments.is_live
        return is_of_mode and not purchase.amount_disputed and purchase.discrepancy is None

    def _refund(self, document: Snapshot, deletion: Deletion, refunding: Refunding) -> bool:
        """Refund what is missing to the target of the planned purchase, and go on with the next one."""
        assert refunding.after is not None, "a plan names its purchase"
        assert refunding.target is not None, "only a planned purchase is refunded"
        purchase = self.reconciliation.reconcile(refunding.after[1])
        missing = refunding.target - purchase.amount_refunded
        if missing > 0 and purchase.payment_intent_id is not None and self._may_refund(purchase):
            try:
                self._refund_missing(purchase, purchase.payment_intent_id, missing, refunding.target)
            except (PaymentsDown, PaymentsRefused) as error:
                is_given_up = self.reconciliation.clock.now() >= deletion.requested_at + REFUNDS_TRIED_FOR
                events.error(
                    Event.PURCHASE_NOT_REFUNDED,
                    purchaseId=purchase.id,
                    amount=missing,
                    problem=str(error),
                    givenUp=is_given_up,
                )
                if not is_given_up:
                    raise
        self._commit(document, deletion, refunding.passed(refunding.after, refunding.credits))
        return False

    def _refund_missing(self, purchase: Purchase, intent_id: str, missing: int, target: int) -> None:
        """Refund an amount, and book it. Raises PaymentsRefused if the refund has failed."""
        # The plan fixes the key. So of simultaneous sweeps, which may have read different records, only one refunds.
        self.reconciliation.payments.create_refund(intent_id, missing, f"unspent-{purchase.id}-{target}")
        if self.reconciliation.reconcile(purchase.id).amount_refunded < target:
            raise PaymentsRefused("refund_failed")

    def _commit(self, document: Snapshot, deletion: Deletion, refunding: Refunding) -> None:
        """Store the state. Raises CommitRefused if another sweep has changed the deletion."""
        self.database.commit(write_deletion(document, replace(deletion, refunding=refunding)))

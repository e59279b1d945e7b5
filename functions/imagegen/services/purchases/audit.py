"""Compares the purchases with the payment provider's record. Changes nothing.

A payment during the audit can cause a finding that a second run does not confirm.
"""

from collections.abc import Iterator

from imagegen.dataclass import dataclass
from imagegen.documents.fields import Unreadable
from imagegen.documents.purchases import PURCHASES, purchase_of, purchase_path
from imagegen.domain.audit import Finding, Invariant
from imagegen.domain.ledger import Wallet
from imagegen.domain.purchases import Purchase, is_purchase_id
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Snapshot
from imagegen.ports.payments import Payments, Session


@dataclass(frozen=True)
class PaymentAudit:
    """Compares each paid session with its purchase, and each granted purchase with its paid session.

    The purchases of the other mode, live or test, are left out. So are documents that cannot be read, which ``Audit``
    finds.
    """

    database: Database
    payments: Payments
    clock: Clock

    def findings(self) -> Iterator[Finding]:
        """Yield each difference as it is found. Raises DatabaseUnavailable, PaymentsDown and PaymentsRefused."""
        paid: set[str] = set()
        for session in self.payments.paid_sessions():
            if session.purchase_id is None:
                continue
            if is_purchase_id(session.purchase_id):
                paid.add(session.purchase_id)
                yield from self._session(session, session.purchase_id)
            else:
                yield _without_purchase(session, PURCHASES)
        for document in self.database.scan(PURCHASES):
            purchase = _readable(document)
            if purchase and self._is_comparable(purchase) and purchase.credits_granted and purchase.id not in paid:
                message = "Credits were granted, but the payment provider has no paid session of this purchase."
                yield Finding(Invariant.PAYMENT, message, (document.path,))

    def _session(self, session: Session, purchase_id: str) -> Iterator[Finding]:
        """Yield what would change if the purchase of a paid session was reconciled."""
        [document] = self.database.read(purchase_path(purchase_id))
        if not document.exists:
            yield _without_purchase(session, document.path)
            return
        purchase, payment = _readable(document), self.payments.payment(session.id)
        if purchase is None or payment is None or not self._is_comparable(purchase):
            return
        # What is due does not depend on the wallet. It only decides which part is taken, and which is owed.
        due, _, _ = purchase.reconciled(payment, Wallet(purchase.user_id), self.clock.now())
        if due.discrepancy is not None:
            message = f"The session {session.id} is paid, but differs from its purchase: {due.discrepancy}."
            yield Finding(Invariant.PAYMENT, message, (document.path,))
        elif _facts(due) != _facts(purchase):
            message = f"The payment provider says {_facts(due)}, but the purchase says {_facts(purchase)}."
            yield Finding(Invariant.PAYMENT, message, (document.path,))

    def _is_comparable(self, purchase: Purchase) -> bool:
        return purchase.livemode is self.payments.is_live


def _without_purchase(session: Session, path: str) -> Finding:
    return Finding(Invariant.PAYMENT, f"The session {session.id} is paid, but its purchase does not exist.", (path,))


def _readable(document: Snapshot) -> Purchase | None:
    try:
        return purchase_of(document)
    except Unreadable:
        return None


def _facts(purchase: Purchase) -> str:
    return f"{purchase.status}, {purchase.credits_granted} credits granted and {purchase.credits_due} to take back"

"""Handles the payment provider's webhooks: each event leads to a purchase, which is reconciled."""

from enum import StrEnum

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.domain.purchases import is_purchase_id
from imagegen.errors import PurchaseNotFound
from imagegen.events import Event
from imagegen.ports.payments import PaymentEvent, Payments
from imagegen.services.purchases.reconcile import Reconciliation

OF_SESSIONS = {
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
}
OF_PAYMENTS = {
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
}


class Ignored(StrEnum):
    """The reason why an event is not handled. It will not be sent again."""

    MODE = "mode"
    """It is of the other mode: a test event where payments are live, or the other way round."""
    TYPE = "type"
    PURCHASE = "purchase"
    """It is about no purchase in this database, but perhaps about one of another project."""


@dataclass(frozen=True)
class PaymentEvents:
    payments: Payments
    reconciliation: Reconciliation

    def receive(self, body: bytes, signature: str | None) -> Ignored | None:
        """Reconcile the purchase of an event, and return None after the commit, or the reason to ignore the event.

        Raises NotAnEvent, and what ``Reconciliation.reconcile`` raises: then the provider must send the event again.
        """
        event = self.payments.event(body, signature)
        ignored = self._handle(event)
        if ignored in (Ignored.MODE, Ignored.PURCHASE):
            events.warning(Event.PAYMENT_EVENT_IGNORED, eventId=event.id, type=event.type, reason=ignored.value)
        return ignored

    def _handle(self, event: PaymentEvent) -> Ignored | None:
        if event.livemode is not self.payments.is_live:
            return Ignored.MODE
        if event.type in OF_SESSIONS:
            purchase_id = event.purchase_id
        elif event.type in OF_PAYMENTS:
            purchase_id = event.payment_intent_id and self.payments.purchase_of(event.payment_intent_id)
        else:
            return Ignored.TYPE
        if not purchase_id or not is_purchase_id(purchase_id):
            return Ignored.PURCHASE
        try:
            self.reconciliation.reconcile(purchase_id, event.session_id)
        except PurchaseNotFound:
            return Ignored.PURCHASE
        return None

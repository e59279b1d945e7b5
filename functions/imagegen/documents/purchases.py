"""Conversion of purchases to and from Firestore documents."""

from datetime import datetime
from typing import Any

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.domain.purchases import Booked, Discrepancy, Purchase, PurchaseStatus
from imagegen.ports.database import Create, Query, Snapshot, Update, Where
from imagegen.ports.payments import AdjustmentKind

PACKAGES = "packages"
PURCHASES = "purchases"


def purchase_path(purchase_id: str) -> str:
    return f"{PURCHASES}/{purchase_id}"


def create_purchase(purchase: Purchase) -> Create:
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": purchase.user_id,
        "package": purchase.package,
        "credits": purchase.credits,
        "amount": purchase.amount,
        "currency": purchase.currency,
        "priceId": purchase.price_id,
        "livemode": purchase.livemode,
        "returnUrl": purchase.return_url,
        "fingerprint": purchase.fingerprint,
        "createdAt": purchase.created_at,
        "expiresAt": purchase.expires_at,
        "lookedAt": purchase.looked_at,
        **_progress(purchase),
    }
    return Create(purchase_path(purchase.id), data)


def update_purchase(document: Snapshot, purchase: Purchase) -> Update:
    """Return the update of the fields that change when a purchase is reconciled."""
    assert document.version is not None, "only a purchase that was read can be updated"
    return Update(document.path, _progress(purchase), document.version)


def update_looked_at(document: Snapshot, at: datetime) -> Update:
    assert document.version is not None, "only a purchase that was read can be updated"
    return Update(document.path, {"lookedAt": at}, document.version)


def return_urls(user_id: str, limit: int) -> Query:
    """Return the query for the purchases of a user that name a page, to which the buyer returned."""
    where = (Where("userId", "==", user_id), Where("returnUrl", ">=", ""))
    return Query(PURCHASES, where, "returnUrl", ascending=True, limit=limit)


def erase_return_url(document: Snapshot) -> Update:
    """Return the write that removes the page to which the buyer returned, and the hash that covers it."""
    assert document.version is not None, "purchases are never deleted"
    return Update(document.path, {"returnUrl": None, "fingerprint": ""}, document.version)


def _progress(purchase: Purchase) -> dict[str, Any]:
    return {
        "status": purchase.status.value,
        "sessionId": purchase.session_id,
        "checkoutUrl": purchase.checkout_url,
        "paymentIntentId": purchase.payment_intent_id,
        "paidAt": purchase.paid_at,
        "paidWeek": None if purchase.paid_week is None else str(purchase.paid_week),
        "creditsGranted": purchase.credits_granted,
        "creditsDue": purchase.credits_due,
        "amountRefunded": purchase.amount_refunded,
        "amountDisputed": purchase.amount_disputed,
        "adjustments": [
            {"id": booked.id, "kind": booked.kind.value, "amount": booked.amount, "changes": booked.changes}
            for booked in purchase.booked
        ],
        "checkAt": purchase.check_at,
        "reconciliations": purchase.reconciliations,
        "discrepancy": None if purchase.discrepancy is None else purchase.discrepancy.value,
    }


def purchase_of(document: Snapshot) -> Purchase:
    """Return the purchase. Raises Unreadable."""
    fields = Fields.of(document)
    amount, credits = fields.amount("amount"), fields.amount("credits")
    if not amount:
        fields.refuse("amount")
    if not credits:
        fields.refuse("credits")
    return Purchase(
        id=document.id,
        user_id=fields.id("userId"),
        package=fields.read("package", str),
        credits=credits,
        amount=amount,
        currency=fields.read("currency", str),
        price_id=fields.read("priceId", str),
        livemode=fields.read("livemode", bool),
        return_url=fields.nullable("returnUrl", str) or "",
        fingerprint=fields.read("fingerprint", str),
        created_at=fields.read("createdAt", datetime),
        status=fields.read("status", PurchaseStatus),
        session_id=fields.optional("sessionId", str),
        checkout_url=fields.optional("checkoutUrl", str),
        payment_intent_id=fields.optional("paymentIntentId", str),
        paid_at=fields.optional("paidAt", datetime),
        credits_granted=fields.amount("creditsGranted"),
        credits_due=fields.amount("creditsDue"),
        booked=tuple(map(_booked, fields.maps("adjustments"))),
        check_at=fields.optional("checkAt", datetime),
        looked_at=fields.optional("lookedAt", datetime),
        discrepancy=fields.optional("discrepancy", Discrepancy),
        reconciliations=fields.amount("reconciliations", default=0),
    )


def _booked(fields: Fields) -> Booked:
    return Booked(
        fields.id("id"), fields.read("kind", AdjustmentKind), fields.amount("amount"), fields.amount("changes")
    )

"""Purchases of credits: the states, and the ledger entries that are due by the payment provider's record."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from imagegen.dataclass import dataclass
from imagegen.domain.catalog import Option
from imagegen.domain.ledger import Credits, EntryType, LedgerEntry, Wallet
from imagegen.domain.limits import Rate
from imagegen.domain.weeks import Week
from imagegen.ports.payments import Adjustment, AdjustmentKind, Payment, Session, SessionState

SESSION_LIFETIME = timedelta(hours=23, minutes=45)
"""The time in which a purchase can be paid. Stripe allows 24 hours, and the clocks may differ by a quarter of one."""

ANSWERED_WITHIN = timedelta(hours=23)
"""The time in which a session is created. Later, Stripe forgets the idempotency key, and would make a second one. Until
then, the session has the half hour left that Stripe requires."""

OPEN_MAX = 10
"""The number of open purchases of a user."""

CREATION = Rate(burst=20, interval=timedelta(minutes=3))
"""The rate at which a user can create purchases."""

LOOK = timedelta(seconds=5)
"""The time between two looks at the provider's record of one purchase that its buyer causes."""

FIRST_CHECK = timedelta(minutes=10)
LONGEST_DELAY = timedelta(days=30)
CHECKED_FOR = timedelta(days=180)
"""The time in which the sweeper checks a purchase, after longer and longer delays. Disputes come within 120 days."""


_ID = re.compile("[A-Za-z0-9-]{1,64}")


class Package(Option):
    """Credits on sale. Its price is the provider's, under ``lookup_key``."""

    credits: Annotated[int, Field(ge=1, le=1_000_000)]
    lookup_key: Annotated[str, Field(min_length=1, max_length=200)]


class PurchaseStatus(StrEnum):
    OPEN = "open"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


PAID_STATUSES = (
    PurchaseStatus.PAID,
    PurchaseStatus.PARTIALLY_REFUNDED,
    PurchaseStatus.REFUNDED,
    PurchaseStatus.DISPUTED,
)

UNPAID = {
    SessionState.OPEN: PurchaseStatus.OPEN,
    SessionState.EXPIRED: PurchaseStatus.EXPIRED,
    SessionState.PROCESSING: PurchaseStatus.PROCESSING,
    SessionState.FAILED: PurchaseStatus.FAILED,
}


class Discrepancy(StrEnum):
    """The difference between a purchase and its session. Nothing is granted or taken until an operator resolves it."""

    SESSION = "session"
    MODE = "mode"
    AMOUNT = "amount"
    CURRENCY = "currency"
    USER = "user"
    """The user's document does not exist."""


@dataclass(frozen=True)
class PurchaseTotals:
    """The sums of a purchase's ledger entries: the credits granted, and those taken back by now."""

    entries: int = 0
    granted: int = 0
    taken: int = 0


def totals_by_purchase(entries: Iterable[LedgerEntry]) -> dict[str, PurchaseTotals]:
    """Return the sums of each purchase's entries, in the order in which the purchases were granted."""
    totals: dict[str, PurchaseTotals] = {}
    for entry in entries:
        if entry.purchase_id is None:
            continue
        before = totals.get(entry.purchase_id, PurchaseTotals())
        amount = entry.amount.total
        totals[entry.purchase_id] = (
            PurchaseTotals(before.entries + 1, before.granted + amount, before.taken)
            if entry.type is EntryType.PURCHASE
            else PurchaseTotals(before.entries, before.granted, before.taken - entry.type.sign * amount)
        )
    return totals


@dataclass(frozen=True)
class Booked:
    """An adjustment as booked: the amount in effect, and how often it changed."""

    id: str
    kind: AdjustmentKind
    amount: int
    changes: int


def keyed_purchase_id(user_id: str, idempotency_key: str) -> str:
    """Return the purchase id for an idempotency key of this user. The same key always gives the same id."""
    return hashlib.sha256(json.dumps(["purchase", user_id, idempotency_key]).encode()).hexdigest()[:32]


def is_purchase_id(text: str) -> bool:
    """Return whether an id that the payment provider names has the form of a purchase's id."""
    return _ID.fullmatch(text) is not None


def purchase_entry_id(purchase_id: str) -> str:
    """Return the id of the entry that grants a purchase's credits. The fixed id makes a second one impossible."""
    return f"{purchase_id}-purchase"


@dataclass(frozen=True)
class Purchase:
    """A purchase as stored. ``amount`` and ``currency`` are those of ``price_id`` when it was created.

    ``credits_due`` is the part of ``credits_granted`` to take back, whether or not it could be taken. ``booked`` are
    the adjustments that it follows from. The sweeper checks the purchase at ``check_at``. ``looked_at`` is the last
    look that the buyer caused. ``reconciliations`` counts how often it was reconciled.
    """

    id: str
    user_id: str
    package: str
    credits: int
    amount: int
    currency: str
    price_id: str
    livemode: bool
    return_url: str
    fingerprint: str
    created_at: datetime
    status: PurchaseStatus = PurchaseStatus.OPEN
    session_id: str | None = None
    checkout_url: str | None = None
    payment_intent_id: str | None = None
    paid_at: datetime | None = None
    credits_granted: int = 0
    credits_due: int = 0
    booked: tuple[Booked, ...] = ()
    check_at: datetime | None = None
    looked_at: datetime | None = None
    discrepancy: Discrepancy | None = None
    reconciliations: int = 0

    @property
    def expires_at(self) -> datetime:
        return self.created_at + SESSION_LIFETIME

    @property
    def paid_week(self) -> Week | None:
        return None if self.paid_at is None else Week.of(self.paid_at)

    @property
    def amount_refunded(self) -> int:
        return self._in_effect(AdjustmentKind.REFUND)

    @property
    def amount_disputed(self) -> int:
        return self._in_effect(AdjustmentKind.DISPUTE)

    def _in_effect(self, kind: AdjustmentKind) -> int:
        return sum(booked.amount for booked in self.booked if booked.kind is kind)

    def is_unanswered(self, now: datetime) -> bool:
        """Return whether the purchase has no session, and none is created for it any more."""
        return self.session_id is None and now >= self.created_at + ANSWERED_WITHIN

    def with_session(self, session: Session) -> "Purchase":
        """Return the purchase with the session that was created or found for it."""
        if self.session_id not in (None, session.id):
            return replace(self, discrepancy=Discrepancy.SESSION)
        url = session.url if session.state is SessionState.OPEN else None
        return replace(self, session_id=session.id, checkout_url=url, discrepancy=self.discrepancy_of(session))

    def without_session(self) -> "Purchase":
        """Return the purchase as expired, because nobody tried to pay for it and no session was answered."""
        return replace(self, status=PurchaseStatus.EXPIRED, check_at=None)

    def discrepancy_of(self, session: Session) -> Discrepancy | None:
        """Return the first difference between the purchase and the session, or None."""
        if session.purchase_id != self.id or (self.credits_granted and session.state is not SessionState.PAID):
            return Discrepancy.SESSION
        if session.livemode is not self.livemode:
            return Discrepancy.MODE
        if session.currency != self.currency:
            return Discrepancy.CURRENCY
        return Discrepancy.AMOUNT if session.amount != self.amount else None

    def checked(self, now: datetime) -> "Purchase":
        """Return the purchase with the time of the sweeper's next check: after as long as it exists, or None."""
        if self.status in (PurchaseStatus.FAILED, PurchaseStatus.EXPIRED) or self.discrepancy is not None:
            return replace(self, check_at=None)
        age = now - self.created_at
        check_at = now + min(max(age, FIRST_CHECK), LONGEST_DELAY)
        if self.status is PurchaseStatus.OPEN:
            check_at = min(check_at, max(self.expires_at, now) + FIRST_CHECK)
        return replace(self, check_at=None if age > CHECKED_FOR else check_at)

    def reconciled(
        self, payment: Payment, wallet: Wallet, now: datetime
    ) -> tuple["Purchase", Wallet, list[LedgerEntry]]:
        """Return the purchase and its user's wallet as the provider's record says they must be, and the due entries.

        The entries are the difference to what was granted and taken back before, so it does not matter which events
        arrived, how often and in which order. If the session differs from the purchase, nothing is due. Raises
        TooManyDebts.
        """
        session = payment.session
        purchase = self.with_session(session)
        if purchase.discrepancy is not None:
            return replace(self, discrepancy=purchase.discrepancy), wallet, []
        purchase = replace(purchase, payment_intent_id=session.payment_intent_id)
        if session.state is not SessionState.PAID:
            return replace(purchase, status=UNPAID[session.state]), wallet, []
        entries: list[LedgerEntry] = []
        if not purchase.credits_granted:
            wallet, entries = purchase._grant(wallet, now)
            purchase = replace(purchase, credits_granted=purchase.credits, paid_at=now)
        for adjustment in payment.adjustments:
            purchase, wallet, booked = purchase._adjusted(adjustment, wallet, now)
            entries += booked
        return replace(purchase, status=purchase._status_when_paid()), wallet, entries

    def _grant(self, wallet: Wallet, now: datetime) -> tuple[Wallet, list[LedgerEntry]]:
        wallet, entry = wallet.post(
            EntryType.PURCHASE,
            Credits(paid=self.credits),
            entry_id=purchase_entry_id(self.id),
            purchase_id=self.id,
            timestamp=now,
        )
        wallet, reversals = wallet.settle_debts(entry)
        return wallet, [entry, *reversals]

    def _adjusted(
        self, adjustment: Adjustment, wallet: Wallet, now: datetime
    ) -> tuple["Purchase", Wallet, Sequence[LedgerEntry]]:
        """Return purchase and wallet after one refund or dispute, and the entries of its change, if it has changed.

        The credits to take back follow from all refunds and disputes together. So the parts of several refunds add up
        to the whole, however each of them is rounded.
        """
        amount = adjustment.amount if adjustment.in_effect else 0
        before = next((booked for booked in self.booked if booked.id == adjustment.id), None)
        if amount == (0 if before is None else before.amount):
            return self, wallet, []
        changes = 1 if before is None else before.changes + 1
        others = tuple(booked for booked in self.booked if booked is not before)
        purchase = replace(self, booked=(*others, Booked(adjustment.id, adjustment.kind, amount, changes)))
        returned = min(purchase.amount_refunded + purchase.amount_disputed, purchase.amount)
        due = purchase.credits_granted * returned // purchase.amount
        move = wallet.take_back if due > self.credits_due else wallet.give_back
        wallet, entries = move(
            abs(due - self.credits_due),
            purchase_id=self.id,
            entry_id=f"{self.id}-{adjustment.id}-{changes}",
            timestamp=now,
        )
        return replace(purchase, credits_due=due), wallet, entries

    def _status_when_paid(self) -> PurchaseStatus:
        if self.amount_disputed:
            return PurchaseStatus.DISPUTED
        if self.amount_refunded >= self.amount:
            return PurchaseStatus.REFUNDED
        return PurchaseStatus.PARTIALLY_REFUNDED if self.amount_refunded else PurchaseStatus.PAID

"""The port to the payment provider, whose record says who has paid. Amounts are in minor units of their currency."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from imagegen.dataclass import dataclass


class PaymentsDown(Exception):
    """The provider did not answer, or could not say. The call may have had an effect.

    The message is a code, or the name of an error.
    """


class PaymentsRefused(Exception):
    """The provider refused the call as invalid. It had no effect. The message is the provider's code."""


class NotAnEvent(Exception):
    """The body or the signature is not one of the provider's events."""


@dataclass(frozen=True)
class Price:
    """The price of a package. An operator chooses ``lookup_key``, and the provider chooses ``id``."""

    id: str
    lookup_key: str
    amount: int
    currency: str


@dataclass(frozen=True)
class NewSession:
    """A checkout session to create. All fields derive from the purchase, so a repeated call has the same ones."""

    purchase_id: str
    user_id: str
    price_id: str
    currency: str
    success_url: str
    cancel_url: str
    expires_at: datetime


class SessionState(StrEnum):
    """The state of a session. In state processing, the buyer has ordered the payment, and it has not arrived."""

    OPEN = "open"
    EXPIRED = "expired"
    PROCESSING = "processing"
    FAILED = "failed"
    PAID = "paid"


@dataclass(frozen=True)
class Session:
    """A checkout session. ``url`` is the page on which the buyer pays, while the session is open."""

    id: str
    purchase_id: str | None
    state: SessionState
    amount: int
    currency: str
    livemode: bool
    url: str | None = None
    payment_intent_id: str | None = None


class AdjustmentKind(StrEnum):
    """The kind of an adjustment."""

    REFUND = "refund"
    DISPUTE = "dispute"


@dataclass(frozen=True)
class Adjustment:
    """A refund or a dispute of a payment.

    It is in effect while its money is not the seller's: a refund until it fails, and a dispute from the withdrawal of
    its money until it is won. An inquiry, which withdraws nothing, is not in effect.
    """

    id: str
    kind: AdjustmentKind
    amount: int
    in_effect: bool


@dataclass(frozen=True)
class Payment:
    """Everything that the provider's record says about a session."""

    session: Session
    adjustments: Sequence[Adjustment] = ()


@dataclass(frozen=True)
class PaymentEvent:
    """A genuine event: its type, and the ids that lead to the purchase. Nothing else of an event is used."""

    id: str
    type: str
    livemode: bool
    purchase_id: str | None = None
    session_id: str | None = None
    payment_intent_id: str | None = None


class Payments(Protocol):
    """The payment provider. ``StripePayments`` implements it.

    All methods but ``event`` raise PaymentsDown and PaymentsRefused.
    """

    @property
    def is_live(self) -> bool:
        """Return whether payments move money, and not only test money."""

    def prices(self, lookup_keys: Sequence[str]) -> list[Price]:
        """Return the active prices with these lookup keys, of which there are ten at most."""

    def create_session(self, new: NewSession) -> Session:
        """Create a session, or return the one that this purchase has. The provider remembers it for a day."""

    def expire_session(self, session_id: str) -> None:
        """End a session that is open, so that nobody can pay it any more. Any other session stays as it is."""

    def create_refund(self, payment_intent_id: str, amount: int, key: str) -> None:
        """Refund a part of a payment. For a day, a repetition with the same key changes nothing.

        Whether the refund is in effect is read afterwards.
        """

    def payment(self, session_id: str) -> Payment | None:
        """Return everything about a session, or None if there is no such session."""

    def find_session(self, purchase_id: str) -> str | None:
        """Return the id of the session in which someone tried to pay for a purchase, or None."""

    def paid_sessions(self) -> Iterator[Session]:
        """Yield all sessions of purchases that were paid, newest first."""

    def purchase_of(self, payment_intent_id: str) -> str | None:
        """Return the id of the purchase that a payment intent names, or None."""

    def event(self, body: bytes, signature: str | None) -> PaymentEvent:
        """Return the event of a webhook. Raises NotAnEvent."""

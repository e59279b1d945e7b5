"""A payment provider in memory, for the simulation and the tests. It keeps its record as Stripe does.

The world acts on it by ``pay``, ``refund``, ``dispute`` and so on. Each act adds an event, which somebody may deliver.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from imagegen.ports.payments import (
    Adjustment,
    AdjustmentKind,
    NewSession,
    NotAnEvent,
    Payment,
    PaymentEvent,
    PaymentsRefused,
    Price,
    Session,
    SessionState,
)

PRICES = {"credits-starter": 500, "credits-standard": 1_500, "credits-large": 6_000}
SIGNATURE = "signed"
KEY_REMEMBERED = timedelta(hours=24)


@dataclass
class FakePayments:
    """The provider. ``before`` runs at the start of each call, and may raise. ``calls`` counts them by name."""

    now: Callable[[], datetime]
    is_live: bool = False
    amounts: dict[str, int] = field(default_factory=lambda: dict(PRICES))
    currency: str = "usd"
    before: Callable[[str], object] = lambda _call: None
    sessions: dict[str, Session] = field(default_factory=dict)
    adjustments: dict[str, dict[str, Adjustment]] = field(default_factory=dict)
    """The refunds and disputes of each payment intent, by id."""
    events: list[PaymentEvent] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    made: dict[str, tuple[NewSession, Session, datetime]] = field(default_factory=dict)
    """The saved answer for each idempotency key."""
    refunded: dict[str, tuple[tuple[str, int], datetime]] = field(default_factory=dict)
    """The last refund that was made for each idempotency key: its payment intent, amount and time."""
    unspent_refunds: list[str] = field(default_factory=list)
    """The ids of the refunds that were made through the port."""
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    # The port

    def prices(self, lookup_keys: Sequence[str]) -> list[Price]:
        self._call("prices")
        return [Price(f"price_{key}", key, self.amounts[key], self.currency) for key in lookup_keys if key in PRICES]

    def create_session(self, new: NewSession) -> Session:
        self._call("create_session")
        saved = self.made.get(new.purchase_id)
        if saved is not None and self.now() < saved[2] + KEY_REMEMBERED:
            if saved[0] != new:
                raise PaymentsRefused("idempotency_error")
            return saved[1]
        if not timedelta(minutes=30) <= new.expires_at - self.now() <= timedelta(hours=24):
            raise PaymentsRefused("expires_at")
        number = next(self.numbers)
        session = Session(
            f"cs_{number}",
            new.purchase_id,
            SessionState.OPEN,
            self.amounts[new.price_id.removeprefix("price_")],
            new.currency,
            self.is_live,
            f"https://checkout.example.com/cs_{number}",
        )
        self.sessions[session.id] = session
        self.made[new.purchase_id] = new, session, self.now()
        return session

    def expire_session(self, session_id: str) -> None:
        self._call("expire_session")
        if session_id in self.sessions and self.sessions[session_id].state is SessionState.OPEN:
            self.expire(session_id)

    def create_refund(self, payment_intent_id: str, amount: int, key: str) -> None:
        self._call("create_refund")
        call, (saved, at) = (payment_intent_id, amount), self.refunded.get(key, (None, self.now()))
        if saved is not None and self.now() < at + KEY_REMEMBERED:
            if saved != call:
                raise PaymentsRefused("idempotency_error")
            return
        session = self._session_of(payment_intent_id)
        known = [one for one in self.adjustments.get(payment_intent_id, {}).values() if one.in_effect]
        if any(one.kind is AdjustmentKind.DISPUTE for one in known):
            raise PaymentsRefused("charge_disputed")
        if not 0 < amount <= session.amount - sum(one.amount for one in known):
            raise PaymentsRefused("amount")
        self.refunded[key] = call, self.now()
        self.unspent_refunds.append(self.refund(session.id, amount))

    def payment(self, session_id: str) -> Payment | None:
        self._call("payment")
        session = self.sessions.get(session_id)
        if session is None:
            return None
        return Payment(session, tuple(self.adjustments.get(session.payment_intent_id or "", {}).values()))

    def find_session(self, purchase_id: str) -> str | None:
        self._call("find_session")
        tried = (session for session in self.sessions.values() if session.payment_intent_id is not None)
        return next((session.id for session in tried if session.purchase_id == purchase_id), None)

    def paid_sessions(self) -> Iterator[Session]:
        self._call("paid_sessions")
        paid = (session for session in self.sessions.values() if session.state is SessionState.PAID)
        return reversed(list(paid))

    def purchase_of(self, payment_intent_id: str) -> str | None:
        self._call("purchase_of")
        return self._session_of(payment_intent_id).purchase_id

    def event(self, body: bytes, signature: str | None) -> PaymentEvent:
        if signature != SIGNATURE:
            raise NotAnEvent("signature")
        try:
            return PaymentEvent(**json.loads(body))
        except (TypeError, ValueError) as error:
            raise NotAnEvent("body") from error

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)

    # The world

    def pay(self, session_id: str) -> None:
        self._complete(session_id, SessionState.PAID)

    def pay_later(self, session_id: str) -> None:
        """Order the payment, for example by bank transfer. ``settle`` says later whether the money arrived."""
        self._complete(session_id, SessionState.PROCESSING)

    def settle(self, session_id: str, *, arrived: bool) -> None:
        state, type = (SessionState.PAID, "succeeded") if arrived else (SessionState.FAILED, "failed")
        self._change(self.sessions[session_id], f"checkout.session.async_payment_{type}", state=state)

    def expire(self, session_id: str) -> None:
        self._change(self.sessions[session_id], "checkout.session.expired", state=SessionState.EXPIRED, url=None)

    def refund(self, session_id: str, amount: int) -> str:
        return self._adjust(session_id, f"re_{next(self.numbers)}", AdjustmentKind.REFUND, amount, "refund.created")

    def fail_refund(self, refund_id: str) -> None:
        self._end(refund_id, "refund.failed", in_effect=False)

    def dispute(self, session_id: str, amount: int, *, inquiry: bool = False) -> str:
        """Open a dispute. An inquiry withdraws no money, until ``withdraw`` does."""
        id = f"dp_{next(self.numbers)}"
        return self._adjust(session_id, id, AdjustmentKind.DISPUTE, amount, "charge.dispute.created", not inquiry)

    def withdraw(self, dispute_id: str) -> None:
        self._end(dispute_id, "charge.dispute.funds_withdrawn", in_effect=True)

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        self._end(dispute_id, "charge.dispute.closed", in_effect=not won)

    def body(self, event: PaymentEvent) -> bytes:
        """Return the body of an event as the fake's webhook has it."""
        return json.dumps(vars(event)).encode()

    def _complete(self, session_id: str, state: SessionState) -> None:
        session = self.sessions[session_id]
        assert session.state is SessionState.OPEN, "only an open session can be paid"
        intent = f"pi_{next(self.numbers)}"
        self._change(session, "checkout.session.completed", state=state, url=None, payment_intent_id=intent)

    def _change(self, session: Session, type: str, **changes: object) -> None:
        self.sessions[session.id] = replace(session, **changes)  # type: ignore[arg-type]
        self._happened(type, purchase_id=session.purchase_id, session_id=session.id)

    def _adjust(
        self, session_id: str, id: str, kind: AdjustmentKind, amount: int, type: str, in_effect: bool = True
    ) -> str:
        intent = self.sessions[session_id].payment_intent_id
        assert intent is not None, "only a payment can be refunded or disputed"
        self.adjustments.setdefault(intent, {})[id] = Adjustment(id, kind, amount, in_effect)
        self._happened(type, payment_intent_id=intent)
        return id

    def _end(self, id: str, type: str, *, in_effect: bool) -> None:
        [(intent, adjustments)] = [(intent, found) for intent, found in self.adjustments.items() if id in found]
        adjustments[id] = replace(adjustments[id], in_effect=in_effect)
        self._happened(type, payment_intent_id=intent)

    def _happened(self, type: str, **about: str | None) -> None:
        self.events.append(PaymentEvent(f"evt_{next(self.numbers)}", type, self.is_live, **about))

    def _session_of(self, payment_intent_id: str) -> Session:
        [session] = [one for one in self.sessions.values() if one.payment_intent_id == payment_intent_id]
        return session

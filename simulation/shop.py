"""The sale of credits in a run: buyers, the payment provider behind a faulty network, and what happens to payments.

The provider's record never fails. Calls to it fail, and its events are doubled, late, out of order or lost.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from imagegen.bootstrap import Backend
from imagegen.documents.accounts import is_deleted, user_path
from imagegen.domain.purchases import Package, Purchase, PurchaseStatus
from imagegen.errors import AccountDeleted, ApiError, PaymentsUnavailable
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.ports.payments import AdjustmentKind, PaymentEvent, PaymentsDown, SessionState
from imagegen.services.purchases.create import Checkout, CreatedPurchase, Order
from imagegen.services.purchases.packages import Offer, Packages
from simulation import purchases
from simulation.calls import PERIOD_SECONDS
from simulation.checks import Violation
from simulation.faults import Faults
from simulation.payments import SIGNATURE, FakePayments
from simulation.provider import SimulatedPayments
from simulation.scheduler import Scheduler
from simulation.store import Store

CREDITS = {"credits-starter": 3, "credits-standard": 7}
"""The credits of each package. Parts of their amounts are seldom whole credits."""

EXPECTED = (CommitRefused, DatabaseUnavailable, OutcomeUnknown, PaymentsDown, ApiError)
DELIVERIES_MAX = 4
RETRY_SECONDS = 30.0


class FixedPackages(Packages):
    """Fixed packages, which are not read from the database."""

    def __init__(self, record: FakePayments) -> None:
        """Take the prices from the provider's record."""
        self._offers = [
            Offer(
                Package.model_validate({"id": key, "name": key, "credits": credits, "lookupKey": key}),
                record.prices([key])[0],
            )
            for key, credits in CREDITS.items()
        ]

    def current(self) -> Sequence[Offer]:
        return self._offers


@dataclass
class Buy:
    """A call of createPurchase, and its outcome. The outcome is None if the process crashed."""

    order: Order
    outcome: CreatedPurchase | Exception | None = None


@dataclass
class Shop:
    """The buyers of a run, and the payments of their purchases. Each planned purchase has its own return URL."""

    store: Store
    scheduler: Scheduler
    clock: Clock
    faults: Faults
    rng: random.Random
    violations: list[Violation]
    record: FakePayments = field(init=False)
    payments: SimulatedPayments = field(init=False)
    checkout: Checkout = field(init=False)
    backend: Backend = field(init=False)
    buys: list[Buy] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    """The number of times that each refund or dispute came into effect or ended."""
    spawned: int = 0

    def __post_init__(self) -> None:
        self.record = FakePayments(self.clock.now)
        self.payments = SimulatedPayments(self.record, self.faults, self.rng, self._act)

    def open(self, backend: Backend, users: Sequence[str]) -> None:
        """Plan the purchases of ``users``: simultaneous and repeated calls, and the fate of each payment."""
        self.backend = backend
        self.checkout = Checkout(
            backend.database,
            self.payments,
            FixedPackages(self.record),
            backend.reconciliation,
            self.clock,
            backend.retry,
            backend.new_id,
        )
        rng = self.rng
        for number in range(rng.randint(1, 4)):
            url = f"https://app.example.com/{number}"
            order = Order(rng.choice(users), rng.choice(list(CREDITS)), url, rng.choice((None, f"key-{number}")))
            start = rng.choice((0.0, rng.uniform(0, PERIOD_SECONDS)))
            for again in range(rng.choice((1, 1, 2, 4))):
                later = rng.choice((0.0, 0.05, rng.uniform(0, PERIOD_SECONDS))) if again else 0.0
                self.buys.append(Buy(order))
                self._spawn("buyer", partial(self._buy, self.buys[-1]), start + later)
            for _ in range(rng.choice((1, 1, 2))):
                self._spawn(
                    "payer", partial(self._pay_all, url), start + rng.choice((5.0, rng.uniform(0, PERIOD_SECONDS)))
                )

    def _spawn(self, name: str, run: Callable[[], object], after_seconds: float = 0.0) -> None:
        self.spawned += 1
        self.scheduler.spawn(f"{name}-{self.spawned}", run, after_seconds)

    # Buyers

    def _buy(self, buy: Buy) -> None:
        try:
            buy.outcome = self.checkout.create(buy.order)
        except Exception as error:  # noqa: BLE001 - anything unexpected is a finding
            buy.outcome = error
            if not isinstance(error, EXPECTED) or isinstance(error, PaymentsUnavailable):
                self.violations.append(Violation("LIVENESS", f"createPurchase raised {error!r}"))
        answer = buy.outcome
        self.scheduler.note(f"purchase: {getattr(answer, 'reason', type(answer).__name__)}")

    def _look(self, purchase_id: str) -> None:
        self._expecting("reconcilePurchase", lambda: self.backend.reconciliation.look(purchase_id, lambda _: True))

    def _expecting(self, what: str, call: Callable[[], object]) -> bool:
        """Return whether the call returned. An unexpected error is a violation."""
        try:
            answer = call()
        except EXPECTED as error:
            self.scheduler.note("gave up", repr(error))
            return False
        except Exception as error:  # noqa: BLE001 - anything else is a finding
            self.violations.append(Violation("LIVENESS", f"{what} raised {error!r}"))
            return True
        self.scheduler.note(f"{what}: {getattr(answer, 'value', 'done')}")
        return True

    # Payments

    def _pay_all(self, return_url: str) -> None:
        """Let a buyer open the checkout pages of a planned purchase, and then anything happen to the payments."""
        for purchase in purchases.stored(self.store):
            if purchase.return_url == return_url and purchase.checkout_url and purchase.session_id:
                self._pay(purchase.session_id, purchase.id)

    def _pay(self, session_id: str, purchase_id: str) -> None:
        if self.record.sessions[session_id].state is not SessionState.OPEN:
            return
        end = self.rng.choice(("pay", "pay", "pay", "pay later", "pay later", "decline", "expire"))
        if end == "pay":
            self._act(end, partial(self.record.pay, session_id))
        elif end == "pay later":
            self._act(end, partial(self.record.pay_later, session_id))
            self.scheduler.pause(self.rng.uniform(0, PERIOD_SECONDS))
            self._act("settle", partial(self.record.settle, session_id, arrived=self.rng.random() < 0.6))
        elif end == "expire":
            self._act(end, partial(self.record.expire, session_id))
        if self.rng.random() < 0.5:
            self._spawn("buyer", partial(self._look, purchase_id), self.rng.choice((0.0, 1.0)))
        if self.record.sessions[session_id].state is SessionState.PAID:
            for _ in range(self.rng.choice((0, 1, 2, 4, 6))):
                self.scheduler.pause(self.rng.choice((0.0, 0.01, self.rng.uniform(0, PERIOD_SECONDS))))
                self._adjust(session_id)

    def _adjust(self, session_id: str) -> None:
        """Refund or dispute a payment, or let a refund or dispute change."""
        session, rng = self.record.sessions[session_id], self.rng
        known = list(self.record.adjustments.get(session.payment_intent_id or "", {}).values())
        refunds = [one for one in known if one.kind is AdjustmentKind.REFUND and one.in_effect]
        left = session.amount - sum(one.amount for one in refunds)
        act = rng.choice(("refund", "change", "change", "change", "dispute", "inquiry"))
        if act == "refund" and left:
            self._act(act, partial(self.record.refund, session_id, rng.choice((left, rng.randint(1, left)))))
        elif act in ("dispute", "inquiry"):
            amount = rng.choice((session.amount, rng.randint(1, session.amount)))
            self._act(act, partial(self.record.dispute, session_id, amount, inquiry=act == "inquiry"))
        elif known:
            changed = rng.choice(known)
            if changed.kind is AdjustmentKind.REFUND:
                self._act("fail refund", partial(self.record.fail_refund, changed.id))
            elif changed.in_effect:
                self._act("close", partial(self.record.close_dispute, changed.id, won=rng.random() < 0.6))
            else:
                self._act("withdraw", partial(self.record.withdraw, changed.id))

    def _act(self, kind: str, act: Callable[[], object]) -> None:
        """Change the provider's record, and let the provider send the events of the change."""
        before, known = self._in_effect(), len(self.record.events)
        act()
        self.changes.update(before ^ self._in_effect())
        self.scheduler.note(kind)
        for event in self.record.events[known:]:
            self._send(event)

    def _in_effect(self) -> set[str]:
        return {one.id for found in self.record.adjustments.values() for one in found.values() if one.in_effect}

    def _send(self, event: PaymentEvent) -> None:
        """Deliver an event at any time, perhaps more than once, or never."""
        rates = self.faults.rates
        if self.faults.occurs(rates.task_lost):
            self.scheduler.note("event lost", event.type)
            return
        times = 1
        while self.faults.occurs(rates.task_twice):
            times += 1
        for _ in range(times):
            late = self.rng.uniform(0, self.rng.choice((1.0, PERIOD_SECONDS))) if self.faults.occurs(rates.late) else 0
            self._spawn("stripe", partial(self._deliver, event, DELIVERIES_MAX), late)

    def _deliver(self, event: PaymentEvent, tries: int) -> None:
        body = self.record.body(event)
        ended = self._expecting(event.type, lambda: self.backend.payment_events.receive(body, SIGNATURE))
        if not ended and tries > 1:
            self._spawn("stripe", partial(self._deliver, event, tries - 1), RETRY_SECONDS)

    # The end of the run

    def expire_old(self) -> None:
        """Expire the sessions that can no longer be paid. Their events are lost."""
        for purchase in purchases.stored(self.store):
            for session in list(self.record.sessions.values()):
                is_open = session.purchase_id == purchase.id and session.state is SessionState.OPEN
                if is_open and self.clock.now() >= purchase.expires_at:
                    self.record.expire(session.id)

    def next_sweep_seconds(self) -> float | None:
        """Return the time until the sweeper has checked every purchase once more, or None without one to check."""
        due = [purchase.check_at for purchase in purchases.stored(self.store) if purchase.check_at]
        return (max(due) - self.clock.now()).total_seconds() + 1 if due else None

    @property
    def has_open(self) -> bool:
        unfinished = (PurchaseStatus.OPEN, PurchaseStatus.PROCESSING)
        return any(purchase.status in unfinished for purchase in purchases.stored(self.store))

    def check_answers(self) -> None:
        """Repeat each call with a key, and read all purchases. Compare the answers with the stored purchases."""
        stored: dict[str, Purchase] = {purchase.id: purchase for purchase in purchases.stored(self.store)}
        version = self.store.version
        for buy in self.buys:
            found = [one for one in stored.values() if one.return_url == buy.order.return_url]
            if found and buy.order.idempotency_key:
                self._check_repeated(buy.order, found)
        if self.store.version != version:
            self.violations.append(Violation("IDEMPOTENCY", "a repeated createPurchase changed the database"))
        self.violations += purchases.misstated(self.store, self.backend.purchases)

    def _check_repeated(self, order: Order, found: Sequence[Purchase]) -> None:
        try:
            again = self.checkout.create(order)
        except AccountDeleted:
            [user] = self.store.read(user_path(order.user_id))
            if not is_deleted(user):
                self.violations.append(Violation("IDEMPOTENCY", "a repeated call was refused"))
        else:
            if [again.purchase] != found or not again.is_replay:
                self.violations.append(Violation("IDEMPOTENCY", f"a repeated call got {again}, not {found}"))

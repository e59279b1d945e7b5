"""The payment provider behind a faulty network."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from imagegen.ports.payments import NewSession, Payment, PaymentEvent, PaymentsDown, Price, Session
from simulation.faults import Faults
from simulation.payments import FakePayments

T = TypeVar("T")


@dataclass(frozen=True)
class SimulatedPayments:
    """The provider. A call that fails may have had an effect."""

    record: FakePayments
    faults: Faults
    rng: random.Random
    act: Callable[[str, Callable[[], None]], None]
    """Changes the record, and sends the events."""
    is_live: bool = False

    def prices(self, lookup_keys: Sequence[str]) -> list[Price]:
        return self._answer(lambda: self.record.prices(lookup_keys))

    def create_session(self, new: NewSession) -> Session:
        return self._answer(lambda: self.record.create_session(new))

    def create_refund(self, payment_intent_id: str, amount: int, key: str) -> None:
        create = partial(self.record.create_refund, payment_intent_id, amount, key)
        self._answer(lambda: self.act("refund unspent", create))

    def payment(self, session_id: str) -> Payment | None:
        return self._answer(lambda: self.record.payment(session_id))

    def expire_session(self, session_id: str) -> None:
        self._answer(lambda: self.record.expire_session(session_id))

    def find_session(self, purchase_id: str) -> str | None:
        return self._answer(lambda: self.record.find_session(purchase_id))

    def paid_sessions(self) -> Iterator[Session]:
        return self._answer(self.record.paid_sessions)

    def purchase_of(self, payment_intent_id: str) -> str | None:
        return self._answer(lambda: self.record.purchase_of(payment_intent_id))

    def event(self, body: bytes, signature: str | None) -> PaymentEvent:
        return self.record.event(body, signature)

    def _answer(self, call: Callable[[], T]) -> T:
        self._pass_latency()
        if self.faults.occurs(self.faults.rates.lost_before):
            self.faults.scheduler.note("provider: not reached")
            raise PaymentsDown("not done")
        answer = call()
        self._pass_latency()
        if self.faults.occurs(self.faults.rates.lost_after):
            self.faults.scheduler.note("provider: answer lost")
            raise PaymentsDown("perhaps done")
        return answer

    def _pass_latency(self) -> None:
        self.faults.step(self.rng.choice((0.0, 0.01, 0.3)))

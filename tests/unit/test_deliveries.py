"""Tests of a resend whose commit was applied although its answer was lost."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from imagegen.documents.webhooks import create_delivery, delivery_of, delivery_path, update_delivery
from imagegen.domain.webhooks import Attempt, Delivery, DeliveryStatus
from imagegen.ports.database import OutcomeUnknown
from imagegen.services.retry import Retry
from imagegen.services.webhooks.deliveries import Deliveries
from imagegen.services.webhooks.outbox import Outbox
from simulation.store import Store
from tests.support.faults import FaultyDatabase
from tools.fakes import NO_LIMITS, ManualClock, TaskList

ENDED = datetime(2026, 11, 9, tzinfo=UTC)
FAILED = Delivery(
    id="request-completed",
    user_id="user",
    generation_request_id="request",
    url="https://receiver.example.com",
    type="generation.completed",
    created_at=ENDED,
    next_attempt_at=ENDED,
    give_up_at=ENDED + timedelta(days=1),
    status=DeliveryStatus.FAILED,
)


def change(store: Store, changed: Callable[[Delivery], Delivery]) -> None:
    [document] = store.read(delivery_path(FAILED.id))
    store.commit(update_delivery(document, changed(delivery_of(document))))


def delivered(delivery: Delivery) -> Delivery:
    return delivery.attempted(Attempt(delivery.next_attempt_at, timedelta(), 200), timedelta(), is_last=False)


def resent_by_another_call(delivery: Delivery) -> Delivery:
    return delivered(delivery.resent(delivery.next_attempt_at + timedelta(seconds=1)))


@pytest.mark.parametrize("meanwhile", [delivered, resent_by_another_call])
def test_resend_whose_answer_was_lost_does_not_send_twice(meanwhile: Callable[[Delivery], Delivery]) -> None:
    store = Store()
    store.commit(create_delivery(FAILED))
    clock = ManualClock(ENDED + timedelta(days=2))

    def lose_the_answer() -> None:
        change(store, lambda delivery: meanwhile(delivery.resent(clock.now())))
        raise OutcomeUnknown

    database = FaultyDatabase(store, [lose_the_answer])
    retry = Retry(clock, random.Random(1), timeout_seconds=20)
    deliveries = Deliveries(database, Outbox(database, TaskList(), clock), clock, NO_LIMITS, retry)
    resent = deliveries.resend(FAILED.id, lambda _: True)
    [document] = store.read(delivery_path(FAILED.id))
    assert resent == delivery_of(document)
    assert (resent.status, resent.attempt_count) == (DeliveryStatus.DELIVERED, 1)

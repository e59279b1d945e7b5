"""Tests of purchases on the official emulator: atomic commits, races, and their cost. An audit follows each test."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from imagegen.ports.payments import PaymentEvent
from simulation.payments import SIGNATURE, FakePayments
from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.orders import ORDER
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 18, 12, tzinfo=UTC))


@pytest.fixture
def payments(clock: ManualClock) -> FakePayments:
    return FakePayments(clock.now)


def deliver(api: Api, payments: FakePayments, *events: PaymentEvent) -> int:
    [event] = events or payments.events[-1:]
    headers = {"Stripe-Signature": SIGNATURE}
    status: int = api.http.post("/stripeWebhook", data=payments.body(event), headers=headers).status_code
    return status


def paid(api: Api, client: ObservedClient, payments: FakePayments) -> tuple[str, str]:
    """Buy 50 credits. Return the ids of the purchase and of its session."""
    purchase_id = api.result("createPurchase", {"userId": "user", "package": "starter"})["purchaseId"]
    session_id = client.document(f"purchases/{purchase_id}").get().get("sessionId")
    payments.pay(session_id)
    assert deliver(api, payments) == 200
    return purchase_id, session_id


def test_purchase_survives_races_of_its_events(
    api: Api, client: ObservedClient, add_user: AddUser, payments: FakePayments
) -> None:
    add_user(paid=5)
    purchase_id = api.result("createPurchase", {"userId": "user", "package": "starter"})["purchaseId"]
    session_id = client.document(f"purchases/{purchase_id}").get().get("sessionId")
    payments.pay(session_id)
    for _ in range(3):
        payments.refund(session_id, 100)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda event: deliver(api, payments, event), [*payments.events, *payments.events]))
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    found = api.result("getPurchase", {"purchaseId": purchase_id})
    assert (found["status"], found["creditsReversed"]) == ("partially_refunded", 30)
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 25


def test_only_a_user_who_owes_pays_for_a_debt(
    api: Api, client: ObservedClient, add_user: AddUser, payments: FakePayments
) -> None:
    """The refund of a generation costs one write more, for the entry that settles the debt, and no read."""
    add_user()
    _, session_id = paid(api, client, payments)
    set_models(client, failureRate=0, latencySeconds=0)
    made = [
        api.result("createGenerationRequest", {**ORDER, "size": "512x512", "mode": "async"})["generationRequestId"]
        for _ in range(3)
    ]
    costs = []
    for number, request_id in enumerate(made):
        if number == 1:
            payments.refund(session_id, 500)
            assert deliver(api, payments) == 200
        client.wire.reset()
        api.result("cancelGenerationRequest", {"generationRequestId": request_id})
        costs.append((client.wire.round_trips, client.wire.documents_read, client.wire.writes))
    (calls, reads, writes), *owing = costs
    assert owing == [(calls, reads, writes + 1)] * 2
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 0


def test_event_costs_two_reads_and_one_commit(
    api: Api, client: ObservedClient, add_user: AddUser, payments: FakePayments
) -> None:
    add_user()
    purchase_id = api.result("createPurchase", {"userId": "user", "package": "starter"})["purchaseId"]
    payments.pay(client.document(f"purchases/{purchase_id}").get().get("sessionId"))
    for calls, reads, writes in ((3, 2, 3), (3, 2, 1)):  # a doubled event counts in the purchase only
        client.wire.reset()
        assert deliver(api, payments) == 200
        assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == (calls, reads, writes)

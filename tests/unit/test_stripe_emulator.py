"""Tests of the Stripe emulator, through Stripe's own client."""

import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe
from stripe import APIConnectionError, APIError, AuthenticationError, IdempotencyError, InvalidRequestError

from imagegen.services.purchases.payment_events import OF_PAYMENTS, OF_SESSIONS
from tests.support.progress import eventually
from tests.support.stripe import RETURN_URL, Shop, open_shop
from tools.stripe_emulator import account
from tools.stripe_emulator.account import Account, Price
from tools.stripe_emulator.app import BODY_BYTES_MAX
from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.deliveries import SUBSCRIBED
from tools.stripe_emulator.idempotency import SAVED_SECONDS
from tools.stripe_emulator.objects import Object
from tools.stripe_emulator.sessions import create_session

DAY = 86_400
SESSIONS = "/v1/checkout/sessions"


@pytest.fixture(scope="module")
def server() -> Iterator[Shop]:
    with open_shop() as shop:
        yield shop


@pytest.fixture
def shop(server: Shop) -> Iterator[Shop]:
    """Yield the module's emulator without events or faults of another test."""
    eventually(lambda: server.stripe.deliveries.wait_until_sent(1))
    server.receiver.received.clear()
    yield server
    server.stripe.faults.clear()
    server.stripe.deliveries.held = False


def refusal(call: typing.Callable[[], object]) -> tuple[str | None, str | None]:
    """Make a call that Stripe refuses as invalid. Return the code and the parameter of the error."""
    with pytest.raises(InvalidRequestError) as refused:
        call()
    return refused.value.code, refused.value.param


# The API


def test_objects_have_the_fields_of_stripes_types(shop: Shop) -> None:
    """Each field is one of the official client's type, and none of those that are never null is missing."""
    shop.press(shop.paid(), "dispute")
    paid = shop.paid()
    shop.press(paid, "refund", amount="100")
    types = {
        "checkout.session": stripe.checkout.Session,
        "price": stripe.Price,
        "product": stripe.Product,
        "payment_intent": stripe.PaymentIntent,
        "charge": stripe.Charge,
        "refund": stripe.Refund,
        "dispute": stripe.Dispute,
        "event": stripe.Event,
    }
    for kind, type in types.items():
        annotations: dict[str, Any] = type.__annotations__
        required = {name for name, hint in annotations.items() if not re.search("Optional|None|ClassVar", str(hint))}
        for object in shop.stripe.account.all(kind):
            assert object.keys() <= annotations.keys(), kind
            assert required <= object.keys(), kind


def test_official_client_parses_a_paid_session_with_all_it_refers_to(shop: Shop) -> None:
    session = shop.client.v1.checkout.sessions.retrieve(
        shop.paid().id, {"expand": ["line_items.data.price.product", "payment_intent.latest_charge.refunds"]}
    )
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert (session.amount_total, session.currency, session.livemode) == (500, "usd", False)
    assert session.line_items is not None
    [item] = session.line_items.data
    assert item.price is not None
    assert isinstance(item.price.product, stripe.Product)
    assert item.price.product.name == "50 credits"
    intent = session.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.amount_received) == ("succeeded", 500)
    assert intent.metadata["purchaseId"] == "purchase-1"
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.refunds is not None
    assert intent.latest_charge.refunds.data == []


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"surprise": "1"}, "parameter_unknown", "surprise"),
        ({"line_items": [{"prize": "price_starter"}]}, "parameter_unknown", "line_items[0][prize]"),
        ({"mode": "donation"}, None, "mode"),
        ({"mode": "subscription"}, None, "mode"),
        ({"expires_at": "tomorrow"}, None, "expires_at"),
        ({"expires_at": 4_000_000_000}, None, "expires_at"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"success_url": "javascript:alert(1)"}, "url_invalid", "success_url"),
        ({"line_items": []}, "parameter_missing", "line_items"),
        ({"line_items": [{"price": "price_none", "quantity": 1}]}, "resource_missing", "line_items[0][price]"),
        ({"line_items": [{"price": "price_starter", "quantity": 0}]}, None, "line_items[0][quantity]"),
        ({"currency": "eur"}, None, "currency"),
        ({"metadata": {"k" * 41: "v"}}, None, "metadata"),
        ({"payment_intent_data": {"metadata": {"k": "v" * 501}}}, None, "payment_intent_data[metadata]"),
        ({"client_reference_id": "r" * 201}, None, "client_reference_id"),
        ({"discounts": [{"coupon": "none"}]}, None, "discounts"),
        ({"expand": ["secret"]}, "property_not_expandable", "expand"),
    ],
)
def test_invalid_session_is_refused(shop: Shop, changes: Any, code: str | None, param: str) -> None:
    before = len(shop.stripe.account.all("checkout.session"))
    assert refusal(lambda: shop.open(**changes)) == (code, param)
    if "expand" not in changes:
        assert len(shop.stripe.account.all("checkout.session")) == before


def test_wrong_key_wrong_version_and_unknown_paths_are_refused(shop: Shop) -> None:
    addresses: Any = {"api": shop.stripe.url}
    with pytest.raises(AuthenticationError):
        stripe.StripeClient("sk_test_other", base_addresses=addresses).v1.prices.list()
    old = stripe.StripeClient("sk_test_demo", base_addresses=addresses, stripe_version="2020-08-27")
    with pytest.raises(InvalidRequestError, match="version"):
        old.v1.prices.list()
    with pytest.raises(InvalidRequestError, match="Unrecognized request URL"):
        shop.client.v1.customers.list()


def test_prices_are_found_by_their_lookup_keys(shop: Shop) -> None:
    found = shop.client.v1.prices.list({"lookup_keys": ["credits-large", "credits-none"], "active": True})
    assert [(price.id, price.unit_amount, price.currency, price.type) for price in found.data] == [
        ("price_large", 6000, "usd", "one_time")
    ]
    assert refusal(lambda: shop.client.v1.prices.list({"lookup_keys": ["key"] * 11})) == (None, "lookup_keys")


def test_lists_are_paged_and_filtered(shop: Shop) -> None:
    charge = shop.client.v1.payment_intents.retrieve(str(shop.paid().payment_intent)).latest_charge
    refunds = [shop.client.v1.refunds.create({"charge": str(charge), "amount": 10}).id for _ in range(5)]
    listed = shop.client.v1.refunds
    first = listed.list({"charge": str(charge), "limit": 2})
    assert ([refund.id for refund in first.data], first.has_more) == (refunds[:2:-1], True)
    assert [refund.id for refund in first.auto_paging_iter()] == refunds[::-1]
    last = listed.list({"charge": str(charge), "limit": 2, "starting_after": refunds[1]})
    assert ([refund.id for refund in last.data], last.has_more) == ([refunds[0]], False)
    before = listed.list({"charge": str(charge), "limit": 2, "ending_before": refunds[0]})
    assert ([refund.id for refund in before.data], before.has_more) == ([refunds[2], refunds[1]], True)
    assert listed.list({"charge": str(charge), "created": {"lt": 1}}).data == []
    assert refusal(lambda: listed.list({"limit": 101})) == (None, "limit")
    assert refusal(lambda: listed.list({"starting_after": "re_none"})) == ("resource_missing", "starting_after")


def test_search_finds_intents_by_metadata_after_a_minute(shop: Shop) -> None:
    shop.press(shop.open(payment_intent_data={"metadata": {"purchaseId": "sought"}}), "decline")
    query = {"query": "metadata['purchaseId']:'sought'"}
    assert shop.client.v1.payment_intents.search(typing.cast(Any, query)).data == []
    shop.stripe.clock.advance(61)
    [intent] = shop.client.v1.payment_intents.search(typing.cast(Any, query)).data
    sessions = shop.client.v1.checkout.sessions.list({"payment_intent": intent.id})
    assert [session.payment_intent for session in sessions.data] == [intent.id]
    assert refusal(lambda: shop.client.v1.payment_intents.search({"query": "amount>5"})) == (None, "query")


# Idempotency


def test_repeated_key_gets_the_saved_response_for_a_day(shop: Shop) -> None:
    first = shop.open("day")
    repeated = shop.open("day")
    assert repeated.id == first.id
    assert repeated.last_response is not None
    assert typing.cast(Any, repeated.last_response).headers["Idempotent-Replayed"] == "true"
    shop.press(first, "pay")
    assert shop.open("day").status == "open", "the response is saved, not the session"
    shop.stripe.clock.advance(SAVED_SECONDS)
    assert shop.open("day").id != first.id


def test_repeated_key_with_other_parameters_is_refused(shop: Shop) -> None:
    shop.open("other")
    with pytest.raises(IdempotencyError):
        shop.open("other", client_reference_id="purchase-2")
    with pytest.raises(IdempotencyError):
        shop.client.v1.refunds.create({"payment_intent": "pi_none"}, {"idempotency_key": "other"})


def test_key_of_an_invalid_call_can_be_used_again(shop: Shop) -> None:
    refusal(lambda: shop.open("invalid", mode="donation"))
    assert shop.open("invalid").status == "open"


@pytest.mark.parametrize("applied", [False, True])
def test_error_is_saved_for_its_key(shop: Shop, applied: bool) -> None:
    before = len(shop.stripe.account.all("checkout.session"))
    shop.control("faults", path=SESSIONS, applied=applied)
    for _ in range(2):
        with pytest.raises(APIError) as failed:
            shop.open(f"error {applied}")
        assert failed.value.http_status == 500
    assert len(shop.stripe.account.all("checkout.session")) - before == applied
    assert shop.open().status == "open"


@pytest.mark.parametrize("applied", [False, True])
def test_lost_answer_is_repeated_without_a_second_effect(shop: Shop, applied: bool) -> None:
    before = len(shop.stripe.account.all("checkout.session"))
    shop.control("faults", path=SESSIONS, kind="drop", applied=applied)
    with pytest.raises(APIConnectionError):
        shop.open(f"drop {applied}")
    assert len(shop.stripe.account.all("checkout.session")) - before == applied
    assert shop.open(f"drop {applied}").status == "open"
    assert len(shop.stripe.account.all("checkout.session")) - before == 1


def test_hanging_call_ends_with_the_clients_timeout(shop: Shop) -> None:
    shop.control("faults", path="/v1/prices", method="GET", kind="hang")
    assert [fault["kind"] for fault in shop.control("faults")] == ["hang"]
    http_client = stripe.RequestsClient(timeout=0.1)
    addresses: Any = {"api": shop.stripe.url}
    client = stripe.StripeClient("sk_test_demo", base_addresses=addresses, http_client=http_client)
    with pytest.raises(APIConnectionError):
        client.v1.prices.list()
    assert shop.control("faults") == []
    assert len(client.v1.prices.list().data) == 3


# The checkout page


def test_buyer_pays_and_returns_to_the_shop(shop: Shop) -> None:
    session = shop.open()
    page = requests.get(str(session.url), timeout=30)
    assert "Pay 5.00 USD" in page.text
    assert f"form-action 'self' {RETURN_URL.rstrip('/')};" in page.headers["Content-Security-Policy"]
    answer = shop.press(session, "pay")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{RETURN_URL}?session={session.id}")
    assert shop.client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert shop.press(session, "pay").status_code == 400, "it is paid once"
    assert session.id in requests.get(shop.stripe.url, timeout=30).text


def test_declined_buyer_tries_again_with_the_same_intent(shop: Shop) -> None:
    session = shop.open()
    assert session.payment_intent is None
    declined = shop.press(session, "decline")
    assert "was declined" in declined.text
    again = shop.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert isinstance(again.payment_intent, stripe.PaymentIntent)
    assert (again.status, again.payment_intent.status) == ("open", "requires_payment_method")
    shop.press(session, "pay")
    paid = shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.payment_status, paid.payment_intent) == ("paid", again.payment_intent.id)


@pytest.mark.parametrize(("button", "event", "status"), [("settle", "succeeded", "paid"), ("fail", "failed", "unpaid")])
def test_debit_arrives_or_fails_later(shop: Shop, button: str, event: str, status: str) -> None:
    session = shop.open()
    shop.press(session, "pay_later")
    later = shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (later.status, later.payment_status) == ("complete", "unpaid")
    shop.press(session, button)
    assert shop.client.v1.checkout.sessions.retrieve(session.id).payment_status == status
    eventually(lambda: len(shop.receiver.received) == 2)
    types = {event.type for event in shop.events()}
    assert types == {"checkout.session.completed", f"checkout.session.async_payment_{event}"}


def test_session_expires_at_its_time_or_by_a_call(shop: Shop) -> None:
    session, canceled, paid = shop.open(), shop.open(), shop.paid()
    assert shop.client.v1.checkout.sessions.expire(canceled.id).status == "expired"
    with pytest.raises(InvalidRequestError):
        shop.client.v1.checkout.sessions.expire(paid.id)
    shop.control("clock", seconds=DAY)
    assert shop.client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert shop.press(session, "pay").status_code == 400
    assert "has expired" in requests.get(str(session.url), timeout=30).text
    eventually(lambda: {session.id, canceled.id} <= {event.data.object["id"] for event in shop.events()})


def test_refunds_are_bounded_by_the_charge_and_can_fail(shop: Shop) -> None:
    session = shop.paid()
    intent = str(session.payment_intent)
    shop.press(session, "refund", amount="200")
    assert shop.press(session, "refund", amount="301").status_code == 400
    later = shop.press(session, "refund_later")
    assert later.status_code == 303
    listed = shop.client.v1.refunds.list({"payment_intent": intent}).data
    assert [(refund.amount, refund.status) for refund in listed] == [(300, "pending"), (200, "succeeded")]
    assert refusal(lambda: shop.client.v1.refunds.create({"payment_intent": intent}))[0] == "charge_already_refunded"
    shop.press(session, "fail_refund")
    assert shop.client.v1.refunds.list({"payment_intent": intent}).data[0].status == "failed"
    [charge] = shop.client.v1.charges.list({"payment_intent": intent}).data
    assert (charge.amount_refunded, charge.refunded) == (200, False)


@pytest.mark.parametrize(
    ("buttons", "status", "funds"),
    [
        (["inquiry"], "warning_needs_response", []),
        (["inquiry", "close"], "warning_closed", []),
        (["inquiry", "escalate"], "needs_response", [-500]),
        (["dispute"], "needs_response", [-500]),
        (["dispute", "win"], "won", [-500, 500]),
        (["dispute", "close"], "lost", [-500]),
    ],
)
def test_dispute_moves_funds_unless_it_is_an_inquiry(
    shop: Shop, buttons: list[str], status: str, funds: list[int]
) -> None:
    session = shop.paid()
    for button in buttons:
        assert shop.press(session, button).status_code == 303
    [dispute] = shop.client.v1.disputes.list({"payment_intent": str(session.payment_intent)}).data
    assert (dispute.status, [each.amount for each in dispute.balance_transactions]) == (status, funds)
    types = [event.type for event in shop.client.v1.events.list({"limit": 20}).data]
    assert ("charge.dispute.funds_withdrawn" in types[: types.index("charge.dispute.created")]) == bool(funds)


def test_page_shows_foreign_text_as_text_and_takes_no_foreign_form(shop: Shop) -> None:
    session = shop.open(success_url='http://127.0.0.1:5000/?"><script>')
    shop.press(session, "pay")
    assert "<script>" not in requests.get(f"{shop.stripe.url}/checkout/{session.id}", timeout=30).text
    url = f"{shop.stripe.url}/checkout/{session.id}/refund"
    assert requests.post(url, headers={"Origin": "http://evil.example"}, timeout=30).status_code == 403
    assert requests.get(shop.stripe.url, headers={"Host": "evil.example"}, timeout=30).status_code == 403


# Deliveries


def test_event_is_signed_with_each_secret_and_sent_again_until_accepted(shop: Shop) -> None:
    shop.receiver.answers[:] = [500, 503, 200]
    session = shop.paid()
    eventually(lambda: len(shop.receiver.received) == 1)
    for expected in (2, 3):
        shop.control("clock", seconds=DAY)
        eventually(lambda expected=expected: len(shop.receiver.received) == expected)  # type: ignore[misc]
    first, *repeats = [event for event in shop.events() if event.data.object["id"] == session.id]
    assert {event.id for event in repeats} == {first.id}
    eventually(lambda: shop.control("deliveries")[-1]["statuses"] == [500, 503, 200])


def test_held_events_are_doubled_reordered_and_lost(shop: Shop) -> None:
    shop.control("deliveries/hold", held=True)
    session = shop.paid()
    shop.press(session, "refund")
    completed, refunded = [delivery["event"] for delivery in shop.control("deliveries")[-2:]]
    assert shop.control("deliveries/wait", seconds=1) == {"done": True}
    assert shop.receiver.received == []
    for event in (refunded, refunded):
        assert shop.control("deliveries/send", event=event) == {"status": 200}
    assert [event.id for event in shop.events()] == [refunded, refunded]
    assert shop.client.v1.events.retrieve(completed).type == "checkout.session.completed"


def test_webhook_handles_the_events_that_are_sent() -> None:
    assert SUBSCRIBED == OF_SESSIONS | OF_PAYMENTS


def test_controls_need_the_secret_key(shop: Shop) -> None:
    for headers in ({}, {"Authorization": "Bearer sk_test_other"}):
        url = f"{shop.stripe.url}/_control/clock"
        assert requests.post(url, json={"seconds": DAY}, headers=headers, timeout=30).status_code == 401


# Bounds


def test_oldest_objects_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "KEPT_MAX", 3)
    events: list[Object] = []
    kept = Account([Price("price_1", "key", "Credits", 100)], MovableClock(), events.append)
    params = {"mode": "payment", "line_items": [{"price": "price_1", "quantity": 1}], "success_url": RETURN_URL}
    created = [create_session(kept, params)["id"] for _ in range(5)]
    assert [session["id"] for session in kept.all("checkout.session")] == created[:1:-1]


def test_long_body_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.StripeError) as refused:
        shop.open(success_url="https://example.com/" + "x" * BODY_BYTES_MAX)
    assert refused.value.http_status == 413

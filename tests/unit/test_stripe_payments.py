"""Tests of the adapter for Stripe: signed events, how objects are read, errors and deadlines."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from stripe import WebhookSignature

from imagegen.adapters import stripe_payments
from imagegen.adapters.stripe_payments import StripePayments
from imagegen.ports.payments import (
    Adjustment,
    AdjustmentKind,
    NewSession,
    NotAnEvent,
    PaymentEvent,
    PaymentsDown,
    PaymentsRefused,
    Price,
    SessionState,
)
from tests.support.servers import hanging_server
from tests.support.times import NOON

OLD, NEW = "whsec_old", "whsec_new"
PAYMENTS = StripePayments("sk_test_1", [OLD, NEW])
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "checkout.session.completed",
    "livemode": False,
    "data": {
        "object": {"id": "cs_1", "object": "checkout.session", "client_reference_id": "p1", "payment_intent": "pi"}
    },
}
SESSION = {
    "id": "cs_1",
    "object": "checkout.session",
    "client_reference_id": "p1",
    "status": "complete",
    "payment_status": "paid",
    "amount_total": 500,
    "currency": "usd",
    "livemode": False,
    "url": None,
    "payment_intent": {"id": "pi_1", "object": "payment_intent", "status": "succeeded"},
}


def signed(body: str, secret: str = NEW, at: float | None = None) -> str:
    header: str = WebhookSignature.generate_signature_header(body, secret, int(at or time.time()))
    return header


class Stripe:
    """Answers each path with its JSON, and any other with 404. ``requests`` are the method, path and fields."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, list[str]]]] = []
        self.keys: list[str | None] = []
        self.url = ""

    def lists(self, path: str, *items: Any, has_more: bool = False) -> None:
        self.answers[path] = 200, {"object": "list", "data": [*items], "has_more": has_more, "url": path}


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    stripe = Stripe()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            stripe.requests.append((self.command, url.path, parse_qs(sent or url.query)))
            stripe.keys.append(self.headers.get("Idempotency-Key"))
            missing = 404, {"error": {"type": "invalid_request_error", "code": "resource_missing"}}
            status, content = stripe.answers.get(url.path, missing)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stripe.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield stripe
    server.shutdown()
    server.server_close()


@pytest.fixture
def payments(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> StripePayments:
    monkeypatch.setattr(stripe_payments, "RETRIES", 0)
    return StripePayments("sk_test_1", [NEW], stripe.url)


# Events


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_event_is_accepted_with_each_secret_while_one_is_rolled(secret: str) -> None:
    body = json.dumps(EVENT)
    expected = PaymentEvent("evt_1", "checkout.session.completed", False, "p1", "cs_1", "pi")
    assert PAYMENTS.event(body.encode(), signed(body, secret)) == expected


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "v1=abc",
        "t=1,v1=",
        "t=x,v1=y",
        "t=1,v1=é",
        signed(json.dumps(EVENT), "whsec_other"),
        signed(json.dumps(EVENT) + " "),
        signed(json.dumps(EVENT)).replace("v1=", "v0="),
    ],
    ids=["none", "empty", "no time", "empty hash", "no number", "not ASCII", "another secret", "another body", "v0"],
)
def test_forged_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(NotAnEvent):
        PAYMENTS.event(json.dumps(EVENT).encode(), signature)


def test_old_signature_is_refused() -> None:
    body = json.dumps(EVENT)
    PAYMENTS.event(body.encode(), signed(body, at=time.time() - 290))
    with pytest.raises(NotAnEvent):
        PAYMENTS.event(body.encode(), signed(body, at=time.time() - 310))


@pytest.mark.parametrize("secrets", [[], [""]])
def test_nothing_is_accepted_without_a_secret(secrets: list[str]) -> None:
    body = json.dumps(EVENT)
    with pytest.raises(NotAnEvent):
        StripePayments("sk_test_1", secrets).event(body.encode(), signed(body, ""))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "{}",
        "[" * 100_000,
        json.dumps({**EVENT, "object": "v2.core.event"}),
        json.dumps({**EVENT, "data": {}}),
        json.dumps({**EVENT, "data": {"object": "cs_1"}}),
        json.dumps({**EVENT, "livemode": "false"}),
        json.dumps({**EVENT, "livemode": None}),
    ],
    ids=lambda body: body[:20],
)
def test_genuine_signature_over_something_else_is_refused(body: str) -> None:
    with pytest.raises(NotAnEvent):
        PAYMENTS.event(body.encode(), signed(body))


def test_event_needs_only_its_type_and_its_object() -> None:
    """Another emulator of Stripe, npm's emulate, sends nothing more."""
    about = {"id": "cs_1", "object": "checkout.session", "livemode": False, "metadata": {"purchaseId": "p1"}}
    body = json.dumps({"type": "checkout.session.completed", "data": {"object": about}})
    event = PAYMENTS.event(body.encode(), signed(body))
    assert (event.purchase_id, event.session_id, event.livemode) == ("p1", "cs_1", False)


def test_body_that_is_not_text_is_refused() -> None:
    with pytest.raises(NotAnEvent):
        PAYMENTS.event(b"\xff\xfe", signed("x"))


def test_refund_leads_to_its_payment_intent_and_not_to_its_charge() -> None:
    about = {"id": "re_1", "object": "refund", "charge": "ch_1", "payment_intent": "pi_1"}
    body = json.dumps({**EVENT, "type": "refund.created", "data": {"object": about}})
    assert PAYMENTS.event(body.encode(), signed(body)) == PaymentEvent(
        "evt_1", "refund.created", False, payment_intent_id="pi_1"
    )


@pytest.mark.parametrize(
    ("key", "is_live"), [("sk_test_1", False), ("rk_test_1", False), ("sk_live_1", True), ("rk_live_1", True)]
)
def test_mode_is_that_of_the_key(key: str, is_live: bool) -> None:
    assert StripePayments(key, []).is_live is is_live


# The API


def test_session_is_made_of_the_purchase(stripe: Stripe, payments: StripePayments) -> None:
    stripe.answers["/v1/checkout/sessions"] = (
        200,
        {**SESSION, "status": "open", "url": "https://pay", "payment_intent": None},
    )
    at = NOON
    new = NewSession("p1", "user", "price_1", "usd", "https://a/?s", "https://a/?c", at + timedelta(hours=23))
    session = payments.create_session(new)
    assert (session.id, session.state, session.url) == ("cs_1", SessionState.OPEN, "https://pay")
    [(method, _, sent)] = stripe.requests
    assert method == "POST"
    assert stripe.keys == ["purchase-p1"]
    assert {name: value for name, [value] in sent.items()} == {
        "mode": "payment",
        "line_items[0][price]": "price_1",
        "line_items[0][quantity]": "1",
        "currency": "usd",
        "adaptive_pricing[enabled]": "false",
        "client_reference_id": "p1",
        "metadata[purchaseId]": "p1",
        "metadata[userId]": "user",
        "payment_intent_data[metadata][purchaseId]": "p1",
        "payment_intent_data[metadata][userId]": "user",
        "success_url": "https://a/?s",
        "cancel_url": "https://a/?c",
        "expires_at": str(int(new.expires_at.timestamp())),
    }


@pytest.mark.parametrize(
    ("status", "payment_status", "intent", "state"),
    [
        ("open", "unpaid", None, SessionState.OPEN),
        ("expired", "unpaid", None, SessionState.EXPIRED),
        ("complete", "paid", "succeeded", SessionState.PAID),
        ("complete", "no_payment_required", None, SessionState.PAID),
        ("complete", "unpaid", "processing", SessionState.PROCESSING),
        ("complete", "unpaid", "requires_action", SessionState.PROCESSING),
        ("complete", "unpaid", "requires_payment_method", SessionState.FAILED),
        ("complete", "unpaid", "canceled", SessionState.FAILED),
    ],
)
def test_state_of_a_session(
    stripe: Stripe, payments: StripePayments, status: str, payment_status: str, intent: str | None, state: SessionState
) -> None:
    expanded = intent and {"id": "pi_1", "object": "payment_intent", "status": intent}
    session = {**SESSION, "status": status, "payment_status": payment_status, "payment_intent": expanded}
    stripe.answers["/v1/checkout/sessions/cs_1"] = 200, session
    stripe.lists("/v1/refunds")
    stripe.lists("/v1/disputes")
    payment = payments.payment("cs_1")
    assert payment is not None
    assert (payment.session.state, payment.session.amount, payment.session.currency) == (state, 500, "usd")


def test_refunds_and_disputes_are_listed_by_payment_intent(stripe: Stripe, payments: StripePayments) -> None:
    stripe.answers["/v1/checkout/sessions/cs_1"] = 200, SESSION

    def refund(id: str, status: str) -> dict[str, Any]:
        return {"id": id, "object": "refund", "amount": 10, "status": status}

    def dispute(id: str, status: str, *withdrawals: str) -> dict[str, Any]:
        return {"id": id, "object": "dispute", "amount": 20, "status": status, "balance_transactions": [*withdrawals]}

    refunds = {"succeeded": True, "pending": True, "requires_action": True, "failed": False, "canceled": False}
    stripe.lists("/v1/refunds", *(refund(f"re_{status}", status) for status in refunds))
    stripe.lists(
        "/v1/disputes",
        dispute("dp_1", "needs_response", "txn"),
        dispute("dp_2", "needs_response"),
        dispute("dp_3", "under_review", "txn"),
        dispute("dp_4", "won", "txn", "txn"),
        dispute("dp_5", "lost"),
        dispute("dp_6", "warning_needs_response"),
        dispute("dp_7", "warning_closed"),
        dispute("dp_8", "prevented"),
    )
    payment = payments.payment("cs_1")
    assert payment is not None
    in_effect = {"dp_1", "dp_3", "dp_5"}
    assert payment.adjustments == (
        *(Adjustment(f"re_{status}", AdjustmentKind.REFUND, 10, counts) for status, counts in refunds.items()),
        *(Adjustment(f"dp_{n}", AdjustmentKind.DISPUTE, 20, f"dp_{n}" in in_effect) for n in range(1, 9)),
    )
    assert [(path, sent) for _, path, sent in stripe.requests] == [
        ("/v1/checkout/sessions/cs_1", {"expand[0]": ["payment_intent"]}),
        ("/v1/refunds", {"payment_intent": ["pi_1"], "limit": ["100"]}),
        ("/v1/disputes", {"payment_intent": ["pi_1"], "limit": ["100"]}),
    ]


def test_inquiry_that_has_withdrawn_money_before_is_not_in_effect(stripe: Stripe, payments: StripePayments) -> None:
    stripe.answers["/v1/checkout/sessions/cs_1"] = 200, SESSION
    stripe.lists("/v1/refunds")
    inquiry = {
        "id": "dp_1",
        "object": "dispute",
        "amount": 20,
        "status": "warning_closed",
        "balance_transactions": ["t"],
    }
    stripe.lists("/v1/disputes", inquiry)
    payment = payments.payment("cs_1")
    assert payment is not None
    assert [adjustment.in_effect for adjustment in payment.adjustments] == [False]


def test_payment_with_too_many_refunds_is_not_read(stripe: Stripe, payments: StripePayments) -> None:
    stripe.answers["/v1/checkout/sessions/cs_1"] = 200, SESSION
    refund = {"id": "re_1", "object": "refund", "amount": 10, "status": "succeeded"}
    stripe.lists("/v1/refunds", *[refund] * 60, has_more=True)  # each page has the same 60
    with pytest.raises(PaymentsDown):
        payments.payment("cs_1")
    assert len([path for _, path, _ in stripe.requests if path == "/v1/refunds"]) == 2


def test_session_is_expired(stripe: Stripe, payments: StripePayments) -> None:
    stripe.answers["/v1/checkout/sessions/cs_1/expire"] = 200, {**SESSION, "status": "expired"}
    payments.expire_session("cs_1")
    assert stripe.requests == [("POST", "/v1/checkout/sessions/cs_1/expire", {})]


@pytest.mark.parametrize(("status", "error"), [(400, None), (404, None), (403, PaymentsDown), (409, PaymentsDown)])
def test_session_that_is_not_open_is_left(
    stripe: Stripe, payments: StripePayments, status: int, error: type[Exception] | None
) -> None:
    stripe.answers["/v1/checkout/sessions/cs_1/expire"] = status, {"error": {"type": "invalid_request_error"}}
    with nullcontext() if error is None else pytest.raises(error):
        payments.expire_session("cs_1")


def test_refund_is_a_part_of_the_payment_with_the_given_key(stripe: Stripe, payments: StripePayments) -> None:
    stripe.answers["/v1/refunds"] = 200, {"id": "re_1", "object": "refund", "amount": 20, "status": "pending"}
    payments.create_refund("pi_1", 20, "unspent-p1-20")
    assert stripe.requests == [("POST", "/v1/refunds", {"payment_intent": ["pi_1"], "amount": ["20"]})]
    assert stripe.keys == ["unspent-p1-20"]


def test_session_that_does_not_exist_is_none(payments: StripePayments) -> None:
    assert payments.payment("cs_unknown") is None


def test_session_is_found_by_the_metadata_of_its_payment(stripe: Stripe, payments: StripePayments) -> None:
    stripe.lists("/v1/payment_intents/search", {"id": "pi_1", "object": "payment_intent"})
    stripe.lists("/v1/checkout/sessions", {**SESSION, "client_reference_id": "other"}, SESSION)
    assert payments.find_session("p1") == "cs_1"
    assert payments.find_session("p2") is None
    assert stripe.requests[0][2]["query"] == ["metadata['purchaseId']:'p1'"]


def test_purchase_of_a_payment_intent(stripe: Stripe, payments: StripePayments) -> None:
    path = "/v1/payment_intents/pi_1"
    for metadata, purchase_id in (({"purchaseId": "p1"}, "p1"), ({}, None), ({"order": "7"}, None)):
        stripe.answers[path] = 200, {"id": "pi_1", "object": "payment_intent", "metadata": metadata}
        assert payments.purchase_of("pi_1") == purchase_id


def test_prices_without_an_amount_or_of_subscriptions_are_left_out(stripe: Stripe, payments: StripePayments) -> None:
    price = {"object": "price", "type": "one_time", "unit_amount": 500, "currency": "usd"}
    stripe.lists(
        "/v1/prices",
        {**price, "id": "price_1", "lookup_key": "a"},
        {**price, "id": "price_2", "lookup_key": "b", "type": "recurring"},
        {**price, "id": "price_3", "lookup_key": "c", "unit_amount": None},
    )
    assert payments.prices(["a", "b", "c"]) == [Price("price_1", "a", 500, "usd")]


@pytest.mark.parametrize(
    ("status", "type", "error"),
    [
        (400, "invalid_request_error", PaymentsRefused),
        (400, "idempotency_error", PaymentsRefused),
        (409, "idempotency_error", PaymentsDown),
        (401, "invalid_request_error", PaymentsDown),
        (403, "invalid_request_error", PaymentsDown),
        (429, "invalid_request_error", PaymentsDown),
        (500, "api_error", PaymentsDown),
    ],
)
def test_errors(stripe: Stripe, payments: StripePayments, status: int, type: str, error: type[Exception]) -> None:
    stripe.answers["/v1/prices"] = status, {"error": {"type": type, "message": "no"}}
    with pytest.raises(error):
        payments.prices(["a"])


@pytest.mark.parametrize("answer", [[], {}, "text", None, {"object": "list", "data": [{"object": "price"}]}])
def test_odd_answer_counts_as_no_answer(stripe: Stripe, payments: StripePayments, answer: Any) -> None:
    stripe.answers["/v1/prices"] = 200, answer
    with pytest.raises(PaymentsDown):
        payments.prices(["a"])


@pytest.mark.parametrize("drips", [False, True])
def test_hanging_server_ends_at_the_deadline(drips: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_payments, "CALL_SECONDS", 0.2)
    with hanging_server(drips=drips) as server:
        payments = StripePayments("sk_test_1", [], f"http://{server.host}")
        for _ in range(2):
            with pytest.raises(PaymentsDown):
                payments.prices(["a"])
        reached = server.reached
        payments._deadlines._late_calls_max = 2
        with pytest.raises(PaymentsDown, match=r"^too_many_late_calls$"):  # the log withholds sentences
            payments.prices(["a"])
        assert server.reached == reached, "further calls are refused at once while these have not ended"

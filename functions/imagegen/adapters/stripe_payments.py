"""Implements the ``Payments`` port with Stripe, https://docs.stripe.com/api"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from imagegen.deadlines import Deadlines
from imagegen.ports.payments import (
    Adjustment,
    AdjustmentKind,
    NewSession,
    NotAnEvent,
    Payment,
    PaymentEvent,
    PaymentsDown,
    PaymentsRefused,
    Price,
    Session,
    SessionState,
)

if TYPE_CHECKING:  # imported on first use, because few functions need it
    from stripe import Dispute, Refund, StripeClient
    from stripe.checkout import Session as CheckoutSession

TIMEOUT_SECONDS = 6.0
RETRIES = 1
CALL_SECONDS = 15.0
"""The deadline of a call with its retry. Stripe's timeout is for each step of a request."""

ADJUSTMENTS_MAX = 100
"""The number of refunds, and of disputes, that are read of a payment."""

PAGE_SIZE = 100
FOUND_MAX = 10
"""The number of payment intents and sessions that are looked at to find the session of a purchase."""

LIVE_KEYS = ("sk_live_", "rk_live_")
TOLERANCE_SECONDS = 300
"""The age at which a signature is refused. Stripe signs each attempt anew."""

REFUND_NOT_IN_EFFECT = ("failed", "canceled")
PAYMENT_FAILED = ("requires_payment_method", "canceled")

T = TypeVar("T")


class StripePayments:
    """Stripe's API, with the library imported on first use. Thread-safe.

    ``webhook_secrets`` are several while one is rolled. ``url`` is the address of a server that speaks Stripe's API.
    """

    def __init__(self, key: str, webhook_secrets: Sequence[str], url: str | None = None) -> None:
        self._key = key
        self._secrets = webhook_secrets
        self._url = url
        self._lock = threading.Lock()
        self._client: StripeClient | None = None
        self._deadlines = Deadlines()

    @property
    def is_live(self) -> bool:
        return self._key.startswith(LIVE_KEYS)

    def prices(self, lookup_keys: Sequence[str]) -> list[Price]:
        def listed(client: "StripeClient") -> list[Price]:
            found = client.v1.prices.list({"lookup_keys": list(lookup_keys), "active": True, "limit": len(lookup_keys)})
            return [
                Price(price.id, price.lookup_key, price.unit_amount, price.currency)
                for price in found.data
                if price.type == "one_time" and price.unit_amount and price.lookup_key
            ]

        return self._call(listed)

    def create_session(self, new: NewSession) -> Session:
        metadata = {"purchaseId": new.purchase_id, "userId": new.user_id}

        def created(client: "StripeClient") -> Session:
            session = client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "line_items": [{"price": new.price_id, "quantity": 1}],
                    "currency": new.currency,
                    "adaptive_pricing": {"enabled": False},  # it would sell in a currency of the buyer's
                    "client_reference_id": new.purchase_id,
                    "metadata": metadata,
                    "payment_intent_data": {"metadata": metadata},
                    "success_url": new.success_url,
                    "cancel_url": new.cancel_url,
                    "expires_at": int(new.expires_at.timestamp()),
                },
                {"idempotency_key": f"purchase-{new.purchase_id}"},
            )
            return _session(session)

        return self._call(created)

    def expire_session(self, session_id: str) -> None:
        def expired(client: "StripeClient") -> None:
            from stripe import InvalidRequestError

            try:
                client.v1.checkout.sessions.expire(session_id)
            except InvalidRequestError as error:
                # Stripe has no code for a session that is not open. Its state is read afterwards.
                if error.http_status not in (400, 404):
                    raise

        self._call(expired)

    def create_refund(self, payment_intent_id: str, amount: int, key: str) -> None:
        def created(client: "StripeClient") -> None:
            client.v1.refunds.create({"payment_intent": payment_intent_id, "amount": amount}, {"idempotency_key": key})

        self._call(created)

    def payment(self, session_id: str) -> Payment | None:
        def read(client: "StripeClient") -> Session | None:
            from stripe import InvalidRequestError

            try:
                return _session(client.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]}))
            except InvalidRequestError as error:
                if error.http_status == 404:
                    return None
                raise

        session = self._call(read)
        if session is None:
            return None
        if session.payment_intent_id is None:
            return Payment(session)
        intent_id = session.payment_intent_id
        refunds = self._call(lambda client: _refunds(client, intent_id))
        disputes = self._call(lambda client: _disputes(client, intent_id))
        return Payment(session, (*refunds, *disputes))

    def find_session(self, purchase_id: str) -> str | None:
        def found(client: "StripeClient") -> str | None:
            query = f"metadata['purchaseId']:'{purchase_id}'"
            for intent in client.v1.payment_intents.search({"query": query, "limit": FOUND_MAX}).data:
                sessions = client.v1.checkout.sessions.list({"payment_intent": intent.id, "limit": FOUND_MAX}).data
                for session in sessions:
                    if session.client_reference_id == purchase_id:
                        return session.id
            return None

        return self._call(found)

    def paid_sessions(self) -> Iterator[Session]:
        after = None
        while sessions := self._complete_sessions(after):
            for session in sessions:
                # The account can also sell other things. A purchase is in the metadata too.
                metadata = session.metadata.to_dict() if session.metadata else {}
                found = _session(session)
                if found.state is SessionState.PAID and metadata.get("purchaseId") == found.purchase_id:
                    yield found
            after = sessions[-1].id

    def _complete_sessions(self, after: str | None) -> Sequence["CheckoutSession"]:
        """Return the next page of complete sessions, newest first."""

        def listed(client: "StripeClient") -> Sequence["CheckoutSession"]:
            if after is None:
                return client.v1.checkout.sessions.list({"status": "complete", "limit": PAGE_SIZE}).data
            return client.v1.checkout.sessions.list(
                {"status": "complete", "limit": PAGE_SIZE, "starting_after": after}
            ).data

        return self._call(listed)

    def purchase_of(self, payment_intent_id: str) -> str | None:
        def named(client: "StripeClient") -> str | None:
            metadata = client.v1.payment_intents.retrieve(payment_intent_id).metadata
            return (metadata.to_dict() if metadata else {}).get("purchaseId")

        return self._call(named)

    def event(self, body: bytes, signature: str | None) -> PaymentEvent:
        from stripe import SignatureVerificationError, WebhookSignature

        def is_signed_with(secret: str) -> bool:
            try:
                return bool(WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS))
            except (SignatureVerificationError, TypeError, ValueError):  # also for text that is not ASCII or UTF-8
                return False

        if not any(map(is_signed_with, self._secrets)):
            raise NotAnEvent("the signature does not fit")
        try:
            return _event(json.loads(body))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise NotAnEvent("no event in the form that Stripe sends to this API version") from error

    def _call(self, call: Callable[["StripeClient"], T]) -> T:
        """Return what ``call`` returns by its deadline. Raises PaymentsDown and PaymentsRefused."""
        if self._deadlines.is_full:
            raise PaymentsDown("too_many_late_calls")
        try:
            return self._deadlines.run(lambda: call(self._opened()), CALL_SECONDS)
        except Exception as error:
            from stripe import IdempotencyError, InvalidRequestError

            # With status 409, another call with the same key has not ended.
            if isinstance(error, InvalidRequestError | IdempotencyError) and error.http_status != 409:
                raise PaymentsRefused(error.code or "refused") from error
            raise PaymentsDown(type(error).__name__) from error

    def _opened(self) -> "StripeClient":
        from stripe import RequestsClient, StripeClient

        with self._lock:
            if self._client is None:
                self._client = StripeClient(
                    self._key,
                    base_addresses={"api": self._url} if self._url else {},
                    max_network_retries=RETRIES,
                    http_client=RequestsClient(timeout=TIMEOUT_SECONDS),
                )
            return self._client


def _session(session: Any) -> Session:
    intent = session.payment_intent  # an id, or the object where it is expanded
    return Session(
        id=session.id,
        purchase_id=session.client_reference_id,
        state=_state(session, intent),
        amount=session.amount_total or 0,
        currency=session.currency or "",
        livemode=session.livemode,
        url=session.url,
        payment_intent_id=intent if intent is None or isinstance(intent, str) else intent.id,
    )


def _state(session: Any, intent: Any) -> SessionState:
    """Return the state of a session. Some buyers pay days after it is complete, for example by bank transfer."""
    if session.status != "complete":
        return SessionState(session.status)
    if session.payment_status != "unpaid":
        return SessionState.PAID
    status = None if intent is None or isinstance(intent, str) else intent.status
    return SessionState.FAILED if status in PAYMENT_FAILED else SessionState.PROCESSING


def _refunds(client: "StripeClient", intent_id: str) -> list[Adjustment]:
    refunds: Iterable[Refund] = client.v1.refunds.list(
        {"payment_intent": intent_id, "limit": PAGE_SIZE}
    ).auto_paging_iter()
    return [
        Adjustment(refund.id, AdjustmentKind.REFUND, refund.amount, refund.status not in REFUND_NOT_IN_EFFECT)
        for refund in _bounded(refunds)
    ]


def _disputes(client: "StripeClient", intent_id: str) -> list[Adjustment]:
    disputes: Iterable[Dispute] = client.v1.disputes.list(
        {"payment_intent": intent_id, "limit": PAGE_SIZE}
    ).auto_paging_iter()
    return [
        Adjustment(dispute.id, AdjustmentKind.DISPUTE, dispute.amount, _withdraws(dispute))
        for dispute in _bounded(disputes)
    ]


def _withdraws(dispute: Any) -> bool:
    """Return whether the money of a dispute is withdrawn. That of an inquiry, or of one that was won, is not."""
    if dispute.status == "won" or dispute.status.startswith("warning_"):
        return False
    return dispute.status == "lost" or bool(dispute.balance_transactions)


def _bounded(items: Iterable[T]) -> list[T]:
    """Return all items. Raises ValueError if there are more than ADJUSTMENTS_MAX."""
    found = list(islice(items, ADJUSTMENTS_MAX + 1))
    if len(found) > ADJUSTMENTS_MAX:
        raise ValueError(f"more than {ADJUSTMENTS_MAX} refunds or disputes of one payment")
    return found


def _event(content: object) -> PaymentEvent:
    """Return the event of a JSON value. Raises KeyError, TypeError and ValueError."""
    # A thin event, which has no object in it, says so.
    if not isinstance(content, Mapping) or content.get("object", "event") != "event":
        raise ValueError("not an event")
    about = content["data"]["object"]
    if not isinstance(about, Mapping):
        raise TypeError("not an event")
    livemode = content.get("livemode", about.get("livemode"))
    if not isinstance(livemode, bool):
        raise TypeError("not an event")
    is_session = about.get("object") == "checkout.session"
    return PaymentEvent(
        id=_text(content.get("id")) or "",
        type=_text(content["type"]) or "",
        livemode=livemode,
        purchase_id=_purchase_named(about) if is_session else None,
        session_id=_text(about.get("id")) if is_session else None,
        payment_intent_id=_text(about.get("payment_intent")),
    )


def _purchase_named(session: Mapping[str, Any]) -> str | None:
    metadata = session.get("metadata")
    named = metadata.get("purchaseId") if isinstance(metadata, Mapping) else None
    return _text(session.get("client_reference_id")) or _text(named)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

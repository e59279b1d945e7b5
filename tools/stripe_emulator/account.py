"""The state of a Stripe account: its objects, and how payments, refunds and disputes change them."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import stripe

from tools.stripe_emulator import objects
from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.errors import InvalidRequest, NotFound, Refused
from tools.stripe_emulator.objects import Object

KEPT_MAX = 10_000
"""The number of objects of each kind that are kept. The oldest ones are forgotten."""
SEARCH_DELAY_SECONDS = 60
SESSION_SECONDS_MIN, SESSION_SECONDS_MAX = 1800, 86_400
API_VERSION = stripe.api_version or "2026-10-28.endive"


@dataclass(frozen=True)
class Price:
    """A price of the account, with the name of its product."""

    id: str
    lookup_key: str
    name: str
    unit_amount: int
    currency: str = "usd"


class Account:
    """An account in memory. ``notify`` gets each event, while the state is locked.

    The methods are called by many threads. ``url`` is the address of the checkout page.
    """

    def __init__(
        self, prices: Iterable[Price], clock: MovableClock, notify: Callable[[Object], None], *, live: bool = False
    ) -> None:
        self.lock = threading.RLock()
        self.url = ""
        self.live = live
        self._clock = clock
        self._notify = notify
        self._kinds: dict[str, OrderedDict[str, Object]] = {}
        self._intent_metadata: dict[str, dict[str, str]] = {}
        self._line_items: dict[str, list[Object]] = {}
        for price in prices:
            product = self._keep(objects.product(price.name, self._now(), live=live))
            self._keep(objects.price(product, price.id, price.lookup_key, price.unit_amount, price.currency))

    # Read

    def find(self, kind: str, id: str, param: str = "id") -> Object:
        """Return the object with this id, such as a ``payment_intent``. Raises NotFound."""
        try:
            return self._kinds.get(kind, OrderedDict())[id]
        except KeyError:
            raise NotFound(kind, id, param) from None

    def all(self, kind: str) -> list[Object]:
        """Return the objects of a kind, newest first."""
        return list(reversed(self._kinds.get(kind, OrderedDict()).values()))

    def line_items(self, session_id: str) -> list[Object]:
        return self._line_items[session_id]

    def disputes_of(self, charge_id: str) -> list[Object]:
        return [dispute for dispute in self.all("dispute") if dispute["charge"] == charge_id]

    def search_intents(self, key: str, value: str) -> list[Object]:
        """Return the payment intents with this metadata, newest first. Those of the last minute are not found yet."""
        return [
            intent
            for intent in self.all("payment_intent")
            if intent["metadata"].get(key) == value and intent["created"] <= self._now() - SEARCH_DELAY_SECONDS
        ]

    # The API

    def create_session(self, params: Object) -> Object:
        now = self._now()
        if params.get("mode") != "payment" or params.get("ui_mode", "hosted_page") != "hosted_page":
            raise InvalidRequest("The emulator has only hosted pages for payments: pass mode=payment.", "mode")
        for name in ("success_url", "cancel_url"):
            if name in params and not params[name].startswith(("https://", "http://")):
                raise InvalidRequest("Not a valid URL", name, "url_invalid")
        if "success_url" not in params:
            raise InvalidRequest("Missing required param: success_url.", "success_url", "parameter_missing")
        if len(params.get("client_reference_id", "")) > 200:
            raise InvalidRequest("Invalid string: must be at most 200 characters", "client_reference_id")
        if (
            not now + SESSION_SECONDS_MIN
            <= params.get("expires_at", now + SESSION_SECONDS_MAX)
            <= (now + SESSION_SECONDS_MAX)
        ):
            raise InvalidRequest(
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
                "expires_at",
            )
        intent_data = params.get("payment_intent_data", {})
        for name, metadata in (
            ("metadata", params.get("metadata", {})),
            ("payment_intent_data[metadata]", intent_data.get("metadata", {})),
        ):
            _check_metadata(name, metadata)
        items = [self._line_item(number, item) for number, item in enumerate(params.get("line_items", []))]
        if not items or len(items) > 100:
            raise InvalidRequest("Pass between 1 and 100 line items.", "line_items", "parameter_missing")
        total, currency = sum(item["amount_total"] for item in items), items[0]["currency"]
        if params.get("currency", currency) != currency:
            raise InvalidRequest(f"The price is only available in {currency}.", "currency")
        session = objects.session(params, total, currency, self.url, now, live=self.live)
        self._line_items[session["id"]] = items
        self._intent_metadata[session["id"]] = intent_data.get("metadata", {})
        return self._keep(session)

    def expire_session(self, session: Object) -> Object:
        if session["status"] != "open":
            raise Refused(
                f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
            )
        session.update(status="expired", url=None)
        self._emit("checkout.session.expired", session)
        return session

    def expire_due_sessions(self) -> None:
        """Expire the open sessions whose time is over."""
        for session in self.all("checkout.session"):
            if session["status"] == "open" and session["expires_at"] <= self._now():
                self.expire_session(session)

    def create_refund(self, params: Object) -> Object:
        if "charge" in params:
            charge = self.find("charge", params["charge"], "charge")
        elif "payment_intent" in params:
            intent = self.find("payment_intent", params["payment_intent"], "payment_intent")
            if not intent["latest_charge"]:
                raise Refused("This PaymentIntent does not have a successful charge to refund.", "payment_intent")
            charge = self.find("charge", intent["latest_charge"])
        else:
            raise InvalidRequest("One of `charge` and `payment_intent` must be set.", "payment_intent")
        _check_metadata("metadata", params.get("metadata") or {})
        return self.refund(charge, params.get("amount"), params=params)

    # The buyer

    def pay(self, session: Object) -> None:
        self._open(session)
        intent = self._attempt(session, "succeeded")
        self._succeed(intent)
        session.update(status="complete", payment_status="paid", url=None)
        self._emit("checkout.session.completed", session)

    def pay_later(self, session: Object) -> None:
        """Complete the session with a payment method that takes days, such as a debit."""
        self._open(session)
        intent = self._attempt(session, "pending")
        intent["status"] = "processing"
        session.update(status="complete", url=None)
        self._emit("payment_intent.processing", intent)
        self._emit("checkout.session.completed", session)

    def settle(self, session: Object, *, succeeds: bool) -> None:
        """Let a payment that takes days arrive, or fail."""
        intent = self.find("payment_intent", session["payment_intent"])
        if intent["status"] != "processing":
            raise Refused("No payment is being processed.")
        charge = self.find("charge", intent["latest_charge"])
        if succeeds:
            charge.update(status="succeeded", paid=True, amount_captured=charge["amount"])
            self._succeed(intent)
            session["payment_status"] = "paid"
            self._emit("checkout.session.async_payment_succeeded", session)
        else:
            charge.update(status="failed", captured=False)
            self._fail(intent, charge)
            self._emit("checkout.session.async_payment_failed", session)

    def decline(self, session: Object) -> None:
        """Decline the card. The session stays open, so the buyer can try again."""
        self._open(session)
        intent = self._attempt(session, "failed")
        self._fail(intent, self.find("charge", intent["latest_charge"]))

    # The merchant and the banks

    def refund(
        self, charge: Object, amount: int | None = None, *, pending: bool = False, params: Mapping[str, Any] = {}
    ) -> Object:
        """Refund an amount of a charge, or all that is left of it."""
        left = charge["amount"] - charge["amount_refunded"]
        if charge["status"] != "succeeded":
            raise Refused(f"Charge {charge['id']} was not paid.")
        if any(not dispute["is_charge_refundable"] for dispute in self.disputes_of(charge["id"])):
            raise Refused(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
            )
        if not left:
            raise Refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        amount = left if amount is None else amount
        if not 0 < amount <= left:
            raise Refused(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", "amount")
        status = "pending" if pending else "succeeded"
        refund = self._keep(objects.refund(charge, amount, status, dict(params), self._now()))
        self._set_refunded(charge, charge["amount_refunded"] + amount)
        self._emit("refund.created", refund)
        self._emit("charge.refunded", charge)
        return refund

    def settle_refund(self, refund: Object, *, succeeds: bool) -> None:
        """Let a refund arrive, or fail. A refund that arrived can fail later."""
        if refund["status"] not in ("pending", "succeeded"):
            raise Refused(f"The refund is {refund['status']}.")
        if succeeds:
            refund["status"] = "succeeded"
            self._emit("refund.updated", refund)
            return
        refund.update(status="failed", failure_reason="lost_or_stolen_card")
        charge = self.find("charge", refund["charge"])
        self._set_refunded(charge, charge["amount_refunded"] - refund["amount"])
        self._emit("refund.updated", refund)
        self._emit("refund.failed", refund)

    def dispute(self, charge: Object, amount: int | None = None, *, inquiry: bool = False) -> Object:
        """Open a dispute, which withdraws an amount of the charge (else all), or an inquiry, which moves nothing."""
        amount = charge["amount"] if amount is None else amount
        if charge["status"] != "succeeded" or any(d["status"] not in _CLOSED for d in self.disputes_of(charge["id"])):
            raise Refused("The charge cannot be disputed.")
        if not 0 < amount <= charge["amount"]:
            raise Refused("The amount of the dispute must be at most that of the charge.")
        status = "warning_needs_response" if inquiry else "needs_response"
        dispute = self._keep(objects.dispute(charge, amount, status, self._now()))
        charge["disputed"] = True
        self._emit("charge.dispute.created", dispute)
        if not inquiry:
            self._withdraw(dispute)
        return dispute

    def escalate(self, dispute: Object) -> None:
        """Turn an inquiry into a dispute."""
        if not dispute["status"].startswith("warning") or dispute["status"] in _CLOSED:
            raise Refused(f"The dispute is {dispute['status']}.")
        dispute.update(status="needs_response", is_charge_refundable=False)
        self._emit("charge.dispute.updated", dispute)
        self._withdraw(dispute)

    def close_dispute(self, dispute: Object, *, won: bool = False) -> None:
        """Close a dispute as won or lost, or close an inquiry."""
        if dispute["status"] in _CLOSED:
            raise Refused(f"The dispute is {dispute['status']}.")
        inquiry = dispute["status"].startswith("warning")
        dispute["status"] = "warning_closed" if inquiry else "won" if won else "lost"
        if won and not inquiry:
            transaction = objects.balance_transaction(dispute, dispute["amount"], self._now())
            dispute["balance_transactions"].append(transaction)
            self._emit("charge.dispute.funds_reinstated", dispute)
        self._emit("charge.dispute.closed", dispute)

    # Inside

    def _now(self) -> int:
        return int(self._clock.now())

    def _keep(self, object: Object) -> Object:
        kept = self._kinds.setdefault(object["object"], OrderedDict())
        kept[object["id"]] = object
        if len(kept) > KEPT_MAX:
            oldest, _ = kept.popitem(last=False)
            self._line_items.pop(oldest, None)
            self._intent_metadata.pop(oldest, None)
        return object

    def _emit(self, type: str, object: Object) -> None:
        self._notify(self._keep(objects.event(type, copy.deepcopy(object), API_VERSION, self._now())))

    def _line_item(self, number: int, item: Object) -> Object:
        param = f"line_items[{number}]"
        if "price" not in item:
            raise InvalidRequest("The emulator knows only line items with the id of a price.", f"{param}[price]")
        price = self.find("price", item["price"], f"{param}[price]")
        if not price["active"]:
            raise InvalidRequest("The price specified is inactive.", f"{param}[price]")
        if item.get("quantity", 0) < 1:
            raise InvalidRequest("Quantity is required, and must be at least 1.", f"{param}[quantity]")
        return objects.line_item(price, self.find("product", price["product"]), item["quantity"])

    def _open(self, session: Object) -> None:
        if session["status"] != "open":
            raise Refused(f"The session is {session['status']}.")

    def _attempt(self, session: Object, status: str) -> Object:
        """Return the session's payment intent, with a new charge."""
        if session["payment_intent"] is None:
            metadata = self._intent_metadata[session["id"]]
            intent = self._keep(objects.payment_intent(session, metadata, self._now()))
            session["payment_intent"] = intent["id"]
        intent = self.find("payment_intent", session["payment_intent"])
        charge = self._keep(objects.charge(intent, status, self._now()))
        intent.update(latest_charge=charge["id"], last_payment_error=None)
        return intent

    def _succeed(self, intent: Object) -> None:
        intent.update(status="succeeded", amount_received=intent["amount"])
        self._emit("charge.succeeded", self.find("charge", intent["latest_charge"]))
        self._emit("payment_intent.succeeded", intent)

    def _fail(self, intent: Object, charge: Object) -> None:
        reason = {"code": "card_declined", "message": "Your card was declined."}
        charge.update(failure_code=reason["code"], failure_message=reason["message"])
        intent.update(status="requires_payment_method", last_payment_error={"type": "card_error", **reason})
        self._emit("charge.failed", charge)
        self._emit("payment_intent.payment_failed", intent)

    def _set_refunded(self, charge: Object, amount: int) -> None:
        charge.update(amount_refunded=amount, refunded=amount == charge["amount"])

    def _withdraw(self, dispute: Object) -> None:
        transaction = objects.balance_transaction(dispute, -dispute["amount"], self._now())
        dispute["balance_transactions"].append(transaction)
        self._emit("charge.dispute.funds_withdrawn", dispute)


_CLOSED = ("won", "lost", "warning_closed")


def _check_metadata(name: str, metadata: Mapping[str, str]) -> None:
    if len(metadata) > 50 or any(len(key) > 40 or len(value) > 500 for key, value in metadata.items()):
        raise InvalidRequest(
            "Metadata can have up to 50 keys, of up to 40 characters, with values of up to 500 characters.", name
        )

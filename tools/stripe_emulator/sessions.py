"""Checkout sessions: how they are created, paid, declined and expired."""

from tools.stripe_emulator import objects
from tools.stripe_emulator.account import Account
from tools.stripe_emulator.errors import InvalidRequest, Refused
from tools.stripe_emulator.objects import Object
from tools.stripe_emulator.parameters import check_metadata

SESSION_SECONDS_MIN, SESSION_SECONDS_MAX = 1800, 86_400


def create_session(account: Account, params: Object) -> Object:
    now = account.now()
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
        check_metadata(name, metadata)
    items = [_line_item(account, number, item) for number, item in enumerate(params.get("line_items", []))]
    if not items or len(items) > 100:
        raise InvalidRequest("Pass between 1 and 100 line items.", "line_items", "parameter_missing")
    total, currency = sum(item["amount_total"] for item in items), items[0]["currency"]
    if params.get("currency", currency) != currency:
        raise InvalidRequest(f"The price is only available in {currency}.", "currency")
    session = objects.session(params, total, currency, account.url, now, live=account.live)
    account.line_items[session["id"]] = items
    account.intent_metadata[session["id"]] = intent_data.get("metadata", {})
    return account.keep(session)


def expire_session(account: Account, session: Object) -> Object:
    if session["status"] != "open":
        raise Refused(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
        )
    session.update(status="expired", url=None)
    account.emit("checkout.session.expired", session)
    return session


def expire_due_sessions(account: Account) -> None:
    """Expire the open sessions whose time is over."""
    for session in account.all("checkout.session"):
        if session["status"] == "open" and session["expires_at"] <= account.now():
            expire_session(account, session)


def pay(account: Account, session: Object) -> None:
    _check_open(session)
    intent = _attempt(account, session, "succeeded")
    _succeed(account, intent)
    session.update(status="complete", payment_status="paid", url=None)
    account.emit("checkout.session.completed", session)


def pay_later(account: Account, session: Object) -> None:
    """Complete the session with a payment method that takes days, such as a debit."""
    _check_open(session)
    intent = _attempt(account, session, "pending")
    intent["status"] = "processing"
    session.update(status="complete", url=None)
    account.emit("payment_intent.processing", intent)
    account.emit("checkout.session.completed", session)


def settle(account: Account, session: Object, *, succeeds: bool) -> None:
    """Let a payment that takes days arrive, or fail."""
    intent = account.find("payment_intent", session["payment_intent"])
    if intent["status"] != "processing":
        raise Refused("No payment is being processed.")
    charge = account.find("charge", intent["latest_charge"])
    if succeeds:
        charge.update(status="succeeded", paid=True, amount_captured=charge["amount"])
        _succeed(account, intent)
        session["payment_status"] = "paid"
        account.emit("checkout.session.async_payment_succeeded", session)
    else:
        charge.update(status="failed", captured=False)
        _fail(account, intent, charge)
        account.emit("checkout.session.async_payment_failed", session)


def decline(account: Account, session: Object) -> None:
    """Decline the card. The session stays open, so the buyer can try again."""
    _check_open(session)
    intent = _attempt(account, session, "failed")
    _fail(account, intent, account.find("charge", intent["latest_charge"]))


def _line_item(account: Account, number: int, item: Object) -> Object:
    param = f"line_items[{number}]"
    if "price" not in item:
        raise InvalidRequest("The emulator knows only line items with the id of a price.", f"{param}[price]")
    price = account.find("price", item["price"], f"{param}[price]")
    if not price["active"]:
        raise InvalidRequest("The price specified is inactive.", f"{param}[price]")
    if item.get("quantity", 0) < 1:
        raise InvalidRequest("Quantity is required, and must be at least 1.", f"{param}[quantity]")
    return objects.line_item(price, account.find("product", price["product"]), item["quantity"])


def _check_open(session: Object) -> None:
    if session["status"] != "open":
        raise Refused(f"The session is {session['status']}.")


def _attempt(account: Account, session: Object, status: str) -> Object:
    """Return the session's payment intent, with a new charge."""
    if session["payment_intent"] is None:
        metadata = account.intent_metadata[session["id"]]
        intent = account.keep(objects.payment_intent(session, metadata, account.now()))
        session["payment_intent"] = intent["id"]
    intent = account.find("payment_intent", session["payment_intent"])
    charge = account.keep(objects.charge(intent, status, account.now()))
    intent.update(latest_charge=charge["id"], last_payment_error=None)
    return intent


def _succeed(account: Account, intent: Object) -> None:
    intent.update(status="succeeded", amount_received=intent["amount"])
    account.emit("charge.succeeded", account.find("charge", intent["latest_charge"]))
    account.emit("payment_intent.succeeded", intent)


def _fail(account: Account, intent: Object, charge: Object) -> None:
    reason = {"code": "card_declined", "message": "Your card was declined."}
    charge.update(failure_code=reason["code"], failure_message=reason["message"])
    intent.update(status="requires_payment_method", last_payment_error={"type": "card_error", **reason})
    account.emit("charge.failed", charge)
    account.emit("payment_intent.payment_failed", intent)

"""The hosted checkout page, with the buttons of the buyer, the merchant and the banks."""

from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from tools.stripe_emulator import adjustments, sessions
from tools.stripe_emulator.account import Account
from tools.stripe_emulator.errors import ApiError, InvalidRequest, NotFound
from tools.stripe_emulator.objects import Object

_LISTED_MAX = 50
_ZERO_DECIMAL = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"


def pages(account: Account) -> Blueprint:
    """Return the list of sessions, and the checkout page of each session."""
    blueprint = Blueprint("checkout", __name__, template_folder="templates", static_folder="static")

    @blueprint.get("/")
    def index() -> Response:
        with account.lock:
            return _page("index.html", sessions=account.all("checkout.session")[:_LISTED_MAX], money=money)

    @blueprint.get("/checkout/<id>")
    def show(id: str) -> Response:
        with account.lock:
            sessions.expire_due_sessions(account)
            return _show(account, id)

    @blueprint.post("/checkout/<id>/<action>")
    def act(id: str, action: str) -> AnyResponse:
        if request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
            return make_response("The form is not from this page.", 403)
        with account.lock:
            sessions.expire_due_sessions(account)
            try:
                session = account.find("checkout.session", id)
                _act(account, session, action)
            except NotFound as error:
                return make_response(str(error), 404)
            except ApiError as error:
                return _show(account, id, error=str(error), status=400)
            if action in ("pay", "pay_later"):
                return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", id), 303)
            if action == "decline":
                return _show(account, id, error="Your card was declined. Try again.")
            return redirect(f"/checkout/{id}", 303)

    return blueprint


def _act(account: Account, session: Object, action: str) -> None:
    """Do what a button of the page says. Raises ApiError if the session does not allow it."""
    buyer: dict[str, Callable[[], object]] = {
        "pay": lambda: sessions.pay(account, session),
        "pay_later": lambda: sessions.pay_later(account, session),
        "decline": lambda: sessions.decline(account, session),
        "settle": lambda: sessions.settle(account, session, succeeds=True),
        "fail": lambda: sessions.settle(account, session, succeeds=False),
    }
    if action in buyer:
        buyer[action]()
        return
    charge = charge_of(account, session)
    if charge is None:
        raise InvalidRequest("The session is not paid.")
    disputes, refunds = account.disputes_of(charge["id"]), _refunds_of(account, charge)
    merchant: dict[str, Callable[[], object]] = {
        "refund": lambda: adjustments.refund(account, charge, _amount()),
        "refund_later": lambda: adjustments.refund(account, charge, _amount(), pending=True),
        "dispute": lambda: adjustments.dispute(account, charge, _amount()),
        "inquiry": lambda: adjustments.dispute(account, charge, _amount(), inquiry=True),
        "fail_refund": lambda: adjustments.settle_refund(account, refunds[0], succeeds=False),
        "settle_refund": lambda: adjustments.settle_refund(account, refunds[0], succeeds=True),
        "escalate": lambda: adjustments.escalate(account, disputes[0]),
        "close": lambda: adjustments.close_dispute(account, disputes[0]),
        "win": lambda: adjustments.close_dispute(account, disputes[0], won=True),
    }
    try:
        merchant[action]()
    except LookupError:  # another action, or no refund or dispute
        raise InvalidRequest("The session does not allow that.") from None


def _amount() -> int | None:
    text = request.form.get("amount", "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise InvalidRequest("The amount must be a whole number.")
    return int(text) if text else None


def charge_of(account: Account, session: Object) -> Object | None:
    """Return the charge of a session, or None if there is none or it did not succeed."""
    if not session["payment_intent"]:
        return None
    charge = account.find("charge", account.find("payment_intent", session["payment_intent"])["latest_charge"])
    return charge if charge["status"] == "succeeded" else None


def _refunds_of(account: Account, charge: Object) -> list[Object]:
    return [refund for refund in account.all("refund") if refund["charge"] == charge["id"]]


def _show(account: Account, id: str, *, error: str = "", status: int = 200) -> Response:
    try:
        session = account.find("checkout.session", id)
    except NotFound as not_found:
        return make_response(str(not_found), 404)
    charge = charge_of(account, session)
    intent = account.find("payment_intent", session["payment_intent"]) if session["payment_intent"] else None
    response = _page(
        "checkout.html",
        session=session,
        items=account.line_items[id],
        processing=bool(intent and intent["status"] == "processing"),
        charge=charge,
        refunds=_refunds_of(account, charge) if charge else [],
        disputes=account.disputes_of(charge["id"]) if charge else [],
        error=error,
        money=money,
    )
    response.status_code = status
    # A browser also applies form-action to the redirect after a form.
    returns = sorted({_origin(session[name]) for name in ("success_url", "cancel_url") if session[name]})
    _protect(response, " ".join(["'self'", *returns]))
    return response


def _page(template: str, **values: object) -> Response:
    response = make_response(render_template(template, **values))
    _protect(response, "'none'")
    return response


def _protect(response: Response, form_action: str) -> None:
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def money(amount: int, currency: str) -> str:
    """Return an amount of minor units as people write it, such as ``15.00 USD``."""
    text = str(amount) if currency in _ZERO_DECIMAL else f"{amount / 100:.2f}"
    return f"{text} {currency.upper()}"

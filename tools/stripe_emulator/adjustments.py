"""Refunds and disputes: how the merchant and the buyer's bank open and close them."""

from collections.abc import Mapping
from typing import Any

from tools.stripe_emulator import objects
from tools.stripe_emulator.account import Account
from tools.stripe_emulator.errors import InvalidRequest, Refused
from tools.stripe_emulator.objects import Object
from tools.stripe_emulator.parameters import check_metadata

_CLOSED = ("won", "lost", "warning_closed")


def create_refund(account: Account, params: Object) -> Object:
    if "charge" in params:
        charge = account.find("charge", params["charge"], "charge")
    elif "payment_intent" in params:
        intent = account.find("payment_intent", params["payment_intent"], "payment_intent")
        if not intent["latest_charge"]:
            raise Refused("This PaymentIntent does not have a successful charge to refund.", "payment_intent")
        charge = account.find("charge", intent["latest_charge"])
    else:
        raise InvalidRequest("One of `charge` and `payment_intent` must be set.", "payment_intent")
    check_metadata("metadata", params.get("metadata") or {})
    return refund(account, charge, params.get("amount"), params=params)


def refund(
    account: Account,
    charge: Object,
    amount: int | None = None,
    *,
    pending: bool = False,
    params: Mapping[str, Any] = {},
) -> Object:
    """Refund an amount of a charge, or all that is left of it."""
    left = charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded":
        raise Refused(f"Charge {charge['id']} was not paid.")
    if any(not dispute["is_charge_refundable"] for dispute in account.disputes_of(charge["id"])):
        raise Refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if not left:
        raise Refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        raise Refused(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", "amount")
    status = "pending" if pending else "succeeded"
    made = account.keep(objects.refund(charge, amount, status, dict(params), account.now()))
    _set_refunded(charge, charge["amount_refunded"] + amount)
    account.emit("refund.created", made)
    account.emit("charge.refunded", charge)
    return made


def settle_refund(account: Account, refund: Object, *, succeeds: bool) -> None:
    """Let a refund arrive, or fail. A refund that arrived can fail later."""
    if refund["status"] not in ("pending", "succeeded"):
        raise Refused(f"The refund is {refund['status']}.")
    if succeeds:
        refund["status"] = "succeeded"
        account.emit("refund.updated", refund)
        return
    refund.update(status="failed", failure_reason="lost_or_stolen_card")
    charge = account.find("charge", refund["charge"])
    _set_refunded(charge, charge["amount_refunded"] - refund["amount"])
    account.emit("refund.updated", refund)
    account.emit("refund.failed", refund)


def dispute(account: Account, charge: Object, amount: int | None = None, *, inquiry: bool = False) -> Object:
    """Open a dispute, which withdraws an amount of the charge (else all), or an inquiry, which moves nothing."""
    amount = charge["amount"] if amount is None else amount
    if charge["status"] != "succeeded" or any(d["status"] not in _CLOSED for d in account.disputes_of(charge["id"])):
        raise Refused("The charge cannot be disputed.")
    if not 0 < amount <= charge["amount"]:
        raise Refused("The amount of the dispute must be at most that of the charge.")
    status = "warning_needs_response" if inquiry else "needs_response"
    dispute = account.keep(objects.dispute(charge, amount, status, account.now()))
    charge["disputed"] = True
    account.emit("charge.dispute.created", dispute)
    if not inquiry:
        _withdraw(account, dispute)
    return dispute


def escalate(account: Account, dispute: Object) -> None:
    """Turn an inquiry into a dispute."""
    if not dispute["status"].startswith("warning") or dispute["status"] in _CLOSED:
        raise Refused(f"The dispute is {dispute['status']}.")
    dispute.update(status="needs_response", is_charge_refundable=False)
    account.emit("charge.dispute.updated", dispute)
    _withdraw(account, dispute)


def close_dispute(account: Account, dispute: Object, *, won: bool = False) -> None:
    """Close a dispute as won or lost, or close an inquiry."""
    if dispute["status"] in _CLOSED:
        raise Refused(f"The dispute is {dispute['status']}.")
    inquiry = dispute["status"].startswith("warning")
    dispute["status"] = "warning_closed" if inquiry else "won" if won else "lost"
    if won and not inquiry:
        transaction = objects.balance_transaction(dispute, dispute["amount"], account.now())
        dispute["balance_transactions"].append(transaction)
        account.emit("charge.dispute.funds_reinstated", dispute)
    account.emit("charge.dispute.closed", dispute)


def _set_refunded(charge: Object, amount: int) -> None:
    charge.update(amount_refunded=amount, refunded=amount == charge["amount"])


def _withdraw(account: Account, dispute: Object) -> None:
    transaction = objects.balance_transaction(dispute, -dispute["amount"], account.now())
    dispute["balance_transactions"].append(transaction)
    account.emit("charge.dispute.funds_withdrawn", dispute)

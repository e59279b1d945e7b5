"""Conversion of users, ledger entries, grants and trial claims to and from Firestore documents.

Updates name each field that they replace, so unknown fields are preserved, also inside maps.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from imagegen.documents.endpoints import endpoint_fields, endpoints_of
from imagegen.documents.fields import Fields
from imagegen.domain.account import Account, Usage
from imagegen.domain.endpoints import Endpoint
from imagegen.domain.grants import Bucket, Grant
from imagegen.domain.ledger import GENESIS, OF_PURCHASES, Credits, Debt, EntryType, LedgerEntry, Wallet
from imagegen.domain.limits import Activity
from imagegen.domain.weeks import Week
from imagegen.ports.database import Create, Query, Replace, Snapshot, Update, Where

SCHEMA_VERSION = 1

GRANTS = "grants"
LEDGER = "creditTransactions"
TRIAL_CLAIMS = "trialClaims"
USERS = "users"

OF_A_REQUEST = (EntryType.DEDUCTION, EntryType.REFUND)
"""The types of entries that always name a generation request."""


DELETED_AT = "deletedAt"
"""The field of a user whose account is being deleted, or was deleted. No other user has it."""

FORFEIT = "forfeit"
"""The id of the entry that ends the balance. The fixed id makes a second one impossible."""

BALANCE_ENDED_AT = "balanceEndedAt"
"""The field of a deleted user whose balance has ended. What a purchase grants later is forfeited at once."""

_NAMES = [(type, type.value) for type in EntryType]  # once, because each call goes through them

KEPT_OF_DELETED = (
    "schemaVersion",
    "createdAt",
    "credits",
    "ledger",
    "lifetime",
    "usage",
    "debts",
    DELETED_AT,
    BALANCE_ENDED_AT,
)
"""The fields that a user's document keeps when the account is deleted. All others are removed, also unknown ones."""


def grant_path(grant_id: str) -> str:
    return f"{GRANTS}/{grant_id}"


def user_path(user_id: str) -> str:
    return f"{USERS}/{user_id}"


def ledger_path(user_id: str) -> str:
    return f"{USERS}/{user_id}/{LEDGER}"


def entry_path(user_id: str, entry_id: str) -> str:
    return f"{ledger_path(user_id)}/{entry_id}"


def trial_claim_path(claim_id: str) -> str:
    return f"{TRIAL_CLAIMS}/{claim_id}"


def usage_field(week: Week, counter: str) -> str:
    """Return the field path of a weekly counter of a user. The week is in backticks, as it is not an identifier."""
    return f"usage.`{week}`.{counter}"


# Accounts


def wallet_of(user: Snapshot) -> Wallet:
    """Return the wallet of a user. Raises Unreadable, also for an amount that is not an integer of 0 or more."""
    fields = Fields.of(user)
    ledger, lifetime = fields.optional_map("ledger"), fields.optional_map("lifetime")
    balance = credits_of(fields.optional_map("credits"))
    if min(balance.trial, balance.paid) < 0:
        fields.refuse("credits")
    return Wallet(
        user_id=user.id,
        credits=balance,
        seq=ledger.amount("seq", default=0),
        head=ledger.defaulted("head", GENESIS),
        lifetime={type: credits for type, name in _NAMES if (credits := lifetime.optional(name, int))},
        debts=tuple(map(_debt_of, fields.maps("debts"))) if user.data.get("debts") else (),
    )


def _debt_of(debt: Fields) -> Debt:
    return Debt(debt.id("purchaseId"), debt.amount("credits"))


def account_of(user: Snapshot) -> Account:
    """Return the account of a user. Raises Unreadable."""
    activity = Fields.of(user).optional_map("activity")
    return Account(
        wallet=wallet_of(user),
        activity=Activity(
            activity.optional("earnedAt", datetime),
            activity.ids("running"),
            activity.optional("cancellationsEarnedAt", datetime),
        ),
        usage=usage_by_week(user),
    )


def endpoints_of_user(user: Snapshot) -> tuple[Endpoint, ...]:
    """Return the endpoints of a user. Raises Unreadable.

    They are not a part of the account, so that no credits depend on them.
    """
    return endpoints_of(Fields.of(user))


def usage_by_week(user: Snapshot) -> dict[Week, Usage]:
    """Return the weekly counters of a user. Raises Unreadable."""
    weeks = Fields.of(user).optional_map("usage")
    return {_week(weeks, name): usage_of(weeks.map(name)) for name in weeks.data}


def _week(weeks: Fields, name: str) -> Week:
    try:
        return Week.parse(name)
    except ValueError:
        weeks.refuse(name)


def wallet_fields(wallet: Wallet) -> dict[str, Any]:
    return {
        "credits": bucket_fields(wallet.credits),
        "ledger": {"seq": wallet.seq, "head": wallet.head},
        "lifetime": {
            name: credits
            for type, name in _NAMES
            if (credits := wallet.lifetime.get(type, 0)) or type not in OF_PURCHASES
        },
    }


def create_user(
    wallet: Wallet, profile: Mapping[str, str], at: datetime, usage: Mapping[Week, Usage] | None = None
) -> Create:
    data = {"schemaVersion": SCHEMA_VERSION, **profile, "createdAt": at, **wallet_fields(wallet)}
    if name := profile.get("displayName"):
        data["searchName"] = name.casefold()  # capitals make no difference in a search
    if wallet.debts:
        data["debts"] = _debts_data(wallet)
    if usage:
        data["usage"] = {str(week): usage_data(used) for week, used in usage.items()}
    return Create(user_path(wallet.user_id), data)


def update_account(user: Snapshot, account: Account, week: Week) -> Update:
    """Return the update of the wallet, the activity, and the usage of ``week``, the week that changed."""
    wallet = update_wallet(user, account.wallet)
    used = usage_data(account.usage[week])
    counters = {usage_field(week, counter): number for counter, number in used.items()}
    return Update(user.path, {**wallet.fields, **counters, **activity_fields(account.activity)}, wallet.version)


def activity_fields(activity: Activity) -> dict[str, Any]:
    fields = {"activity.earnedAt": activity.earned_at, "activity.running": list(activity.running)}
    if activity.cancellations_earned_at is not None:
        fields["activity.cancellationsEarnedAt"] = activity.cancellations_earned_at
    return fields


def update_wallet(user: Snapshot, wallet: Wallet) -> Update:
    assert user.version is not None, "only a user who was read can be updated"
    fields = {
        f"{field}.{name}": value for field, values in wallet_fields(wallet).items() for name, value in values.items()
    }
    if wallet.debts or user.data.get("debts"):
        fields["debts"] = _debts_data(wallet)
    return Update(user.path, fields, user.version)


def _debts_data(wallet: Wallet) -> list[dict[str, Any]]:
    return [{"purchaseId": debt.purchase_id, "credits": debt.credits} for debt in wallet.debts]


def update_endpoints(user: Snapshot, endpoints: Sequence[Endpoint]) -> Update:
    assert user.version is not None, "only a user who was read can be updated"
    return Update(user.path, endpoint_fields(endpoints), user.version)


def update_purchases_earned_at(user: Snapshot, at: datetime) -> Update:
    """Return the update of the time at which the user has earned all purchases made so far."""
    assert user.version is not None, "only a user who was read can be updated"
    return Update(user.path, {"purchasesEarnedAt": at}, user.version)


def is_deleted(user: Snapshot) -> bool:
    """Return whether the account is being deleted, or was deleted. Whatever the field holds, nobody may use it."""
    return user.data.get(DELETED_AT) is not None


def mark_deleted(user: Snapshot, at: datetime) -> Update:
    assert user.version is not None, "only a user who was read can be updated"
    return Update(user.path, {DELETED_AT: at}, user.version)


def has_ended(user: Snapshot) -> bool:
    """Return whether the deletion of the account has ended the balance. Deletions of earlier versions left no mark."""
    return user.data.get(BALANCE_ENDED_AT) is not None


def end_balance(user: Snapshot, wallet: Wallet, at: datetime) -> Update:
    """Return the update of the wallet, with the mark that the balance has ended."""
    changed = update_wallet(user, wallet)
    return Update(changed.path, {**changed.fields, BALANCE_ENDED_AT: at}, changed.version)


def without_profile(user: Snapshot) -> Replace:
    """Return the write that removes all fields of a user but those that the ledger, audit and report need."""
    assert user.version is not None, "only a user who was read can be updated"
    kept = {name: value for name, value in user.data.items() if name in KEPT_OF_DELETED}
    return Replace(user.path, kept, user.version)


def usage_data(usage: Usage) -> dict[str, int]:
    return {
        "requests": usage.requests,
        "failed": usage.failed,
        "creditsDeducted": usage.credits_deducted,
        "creditsRefunded": usage.credits_refunded,
    }


def usage_of(counters: Fields) -> Usage:
    return Usage(
        requests=counters.amount("requests", default=0),
        failed=counters.amount("failed", default=0),
        credits_deducted=counters.amount("creditsDeducted", default=0),
        credits_refunded=counters.amount("creditsRefunded", default=0),
    )


def bucket_fields(amount: Credits) -> dict[str, int]:
    return {"trial": amount.trial, "paid": amount.paid}


def credits_of(buckets: Fields) -> Credits:
    return Credits(trial=buckets.defaulted("trial", 0), paid=buckets.defaulted("paid", 0))


# Ledger entries


def create_entry(entry: LedgerEntry) -> Create:
    """Return the write of a new ledger entry. It has no free text, because an entry can never be erased."""
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "type": entry.type.value,
        "credits": entry.amount.total,
        "buckets": bucket_fields(entry.amount),
        "balanceAfter": entry.balance_after,
        "seq": entry.seq,
        "hash": entry.hash,
        "generationRequestId": entry.generation_request_id,
        **({} if entry.purchase_id is None else {"purchaseId": entry.purchase_id}),
        "timestamp": entry.timestamp,
    }
    return Create(entry_path(entry.user_id, entry.id), data)


def entry_of(user_id: str, document: Snapshot) -> LedgerEntry:
    """Return the ledger entry. Raises Unreadable."""
    fields = Fields.of(document)
    type = fields.read("type", EntryType)
    amount = credits_of(fields.map("buckets"))
    if type is not EntryType.CORRECTION and min(amount.trial, amount.paid) < 0:
        fields.refuse("buckets")
    has_request = type in OF_A_REQUEST or fields.nullable("generationRequestId", str) is not None
    return LedgerEntry(
        id=document.id,
        user_id=user_id,
        type=type,
        amount=amount,
        balance_after=fields.read("balanceAfter", int),
        seq=fields.read("seq", int),
        generation_request_id=fields.id("generationRequestId") if has_request else None,
        timestamp=fields.read("timestamp", datetime),
        hash=fields.read("hash", str),
        purchase_id=fields.id("purchaseId") if type in OF_PURCHASES else None,
    )


def remarks(user_id: str, limit: int) -> Query:
    """Return the query for ledger entries of earlier versions that hold a free text, which no hash covers."""
    return Query(ledger_path(user_id), (Where("reason", ">=", ""),), "reason", ascending=True, limit=limit)


def reasons(user_id: str, limit: int) -> Query:
    """Return the query for grants and corrections of a user that have a reason."""
    where = (Where("userId", "==", user_id), Where("reason", ">=", ""))
    return Query(GRANTS, where, "reason", ascending=True, limit=limit)


def erase_reason(document: Snapshot) -> Update:
    """Return the write that removes the free text of a ledger entry, a grant or a correction."""
    assert document.version is not None, "ledger entries and grants are never deleted"
    return Update(document.path, {"reason": None}, document.version)


# Grants


def create_grant(grant: Grant) -> Create:
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": grant.user_id,
        "bucket": grant.bucket.value,
        "credits": grant.credits,
        "reason": grant.reason,
        "grantedBy": grant.granted_by,
        **({} if grant.api_key_id is None else {"apiKeyId": grant.api_key_id}),
        "entryId": grant.entry_id,
        "balanceAfter": grant.balance_after,
        "grantedAt": grant.granted_at,
    }
    return Create(grant_path(grant.id), data)


def grant_of(document: Snapshot) -> Grant:
    """Return the grant. Raises Unreadable."""
    fields = Fields.of(document)
    return Grant(
        id=document.id,
        user_id=fields.id("userId"),
        bucket=fields.read("bucket", Bucket),
        credits=fields.amount("credits"),
        reason=fields.optional("reason", str),
        granted_by=fields.read("grantedBy", str),
        api_key_id=fields.optional("apiKeyId", str),
        entry_id=fields.id("entryId"),
        balance_after=fields.amount("balanceAfter"),
        granted_at=fields.read("grantedAt", datetime),
    )


def create_correction_reason(correction: LedgerEntry, reason: str) -> Create:
    """Return the write of a correction's reason, among the grants. The document has the id of the ledger entry."""
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": correction.user_id,
        "reason": reason,
        "entryId": correction.id,
    }
    return Create(grant_path(correction.id), data)


# Trial claims


def create_trial_claim(claim_id: str, user_id: str, at: datetime) -> Create:
    """Return the write of a person's claim, which exists once the person has had trial credits."""
    return Create(trial_claim_path(claim_id), {"schemaVersion": SCHEMA_VERSION, "userId": user_id, "claimedAt": at})


def claimant_of(claim: Snapshot) -> str:
    """Return the id of the user who claimed the trial credits. Raises Unreadable."""
    return Fields.of(claim).id("userId")

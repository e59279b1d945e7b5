"""Conversion of users, ledger entries, grants and trial claims to and from Firestore documents.

Updates name each field that they replace, so unknown fields are preserved, also inside maps.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from imagegen.domain.account import Account, Usage
from imagegen.domain.grants import Bucket, Grant
from imagegen.domain.ledger import GENESIS, Credits, EntryType, LedgerEntry, Wallet
from imagegen.domain.limits import Activity
from imagegen.domain.weeks import Week
from imagegen.ports.database import Create, Snapshot, Update

SCHEMA_VERSION = 1

GRANTS = "grants"
LEDGER = "creditTransactions"
TRIAL_CLAIMS = "trialClaims"
USERS = "users"


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
    """Return the wallet of a user. Raises ValueError if the balance is not valid."""
    ledger: Mapping[str, Any] = user.data.get("ledger", {})
    return Wallet(
        user_id=user.id,
        credits=_balance_of(user),
        seq=ledger.get("seq", 0),
        head=ledger.get("head", GENESIS),
        lifetime={type: credits for type in EntryType if (credits := user.data.get("lifetime", {}).get(type.value))},
    )


def account_of(user: Snapshot) -> Account:
    """Return the account of a user. Raises ValueError if the balance is not valid."""
    activity: Mapping[str, Any] = user.data.get("activity", {})
    return Account(
        wallet=wallet_of(user),
        activity=Activity(
            activity.get("earnedAt"), tuple(activity.get("running", ())), activity.get("cancellationsEarnedAt")
        ),
        usage={Week.parse(name): usage_of(counters) for name, counters in user.data.get("usage", {}).items()},
    )


def wallet_fields(wallet: Wallet) -> dict[str, Any]:
    return {
        "credits": bucket_fields(wallet.credits),
        "ledger": {"seq": wallet.seq, "head": wallet.head},
        "lifetime": {type.value: wallet.lifetime.get(type, 0) for type in EntryType},
    }


def create_user(wallet: Wallet, profile: Mapping[str, str], at: datetime) -> Create:
    data = {"schemaVersion": SCHEMA_VERSION, **profile, "createdAt": at, **wallet_fields(wallet)}
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
    return Update(user.path, fields, user.version)


def usage_data(usage: Usage) -> dict[str, int]:
    return {
        "requests": usage.requests,
        "failed": usage.failed,
        "creditsDeducted": usage.credits_deducted,
        "creditsRefunded": usage.credits_refunded,
    }


def usage_of(counters: Mapping[str, int]) -> Usage:
    return Usage(
        requests=counters.get("requests", 0),
        failed=counters.get("failed", 0),
        credits_deducted=counters.get("creditsDeducted", 0),
        credits_refunded=counters.get("creditsRefunded", 0),
    )


def bucket_fields(amount: Credits) -> dict[str, int]:
    return {"trial": amount.trial, "paid": amount.paid}


def _balance_of(user: Snapshot) -> Credits:
    """Return the balance of a user. Raises ValueError unless each amount is an integer of 0 or more.

    The check is needed because an operator can edit the document.
    """
    balance = credits_of(user.data.get("credits", {}))
    for credits in (balance.trial, balance.paid):
        if type(credits) is not int or credits < 0:
            raise ValueError(f"{user.path}: {credits!r} is not an amount of credits (an integer of 0 or more)")
    return balance


def credits_of(buckets: Mapping[str, int]) -> Credits:
    return Credits(trial=buckets.get("trial", 0), paid=buckets.get("paid", 0))


# Ledger entries


def create_entry(entry: LedgerEntry, **remarks: str) -> Create:
    """Return the write of a new ledger entry. ``remarks`` are for people, and not covered by the hash."""
    data = {
        **remarks,
        "schemaVersion": SCHEMA_VERSION,
        "type": entry.type.value,
        "credits": entry.amount.total,
        "buckets": bucket_fields(entry.amount),
        "balanceAfter": entry.balance_after,
        "seq": entry.seq,
        "hash": entry.hash,
        "generationRequestId": entry.generation_request_id,
        "timestamp": entry.timestamp,
    }
    return Create(entry_path(entry.user_id, entry.id), data)


def entry_of(user_id: str, document: Snapshot) -> LedgerEntry:
    data = document.data
    return LedgerEntry(
        id=document.id,
        user_id=user_id,
        type=EntryType(data["type"]),
        amount=credits_of(data["buckets"]),
        balance_after=data["balanceAfter"],
        seq=data["seq"],
        generation_request_id=data["generationRequestId"],
        timestamp=data["timestamp"],
        hash=data["hash"],
    )


# Grants


def create_grant(grant: Grant) -> Create:
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": grant.user_id,
        "bucket": grant.bucket.value,
        "credits": grant.credits,
        "reason": grant.reason,
        "grantedBy": grant.granted_by,
        "entryId": grant.entry_id,
        "balanceAfter": grant.balance_after,
        "grantedAt": grant.granted_at,
    }
    return Create(grant_path(grant.id), data)


def grant_of(document: Snapshot) -> Grant:
    data = document.data
    return Grant(
        id=document.id,
        user_id=data["userId"],
        bucket=Bucket(data["bucket"]),
        credits=data["credits"],
        reason=data["reason"],
        granted_by=data["grantedBy"],
        entry_id=data["entryId"],
        balance_after=data["balanceAfter"],
        granted_at=data["grantedAt"],
    )


# Trial claims


def create_trial_claim(claim_id: str, user_id: str, at: datetime) -> Create:
    """Return the write of a person's claim, which exists once the person has had trial credits."""
    return Create(trial_claim_path(claim_id), {"schemaVersion": SCHEMA_VERSION, "userId": user_id, "claimedAt": at})

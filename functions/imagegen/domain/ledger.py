"""A user's credits, and the append-only ledger of every change to them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

GENESIS = "0" * 64
"""The head of an empty ledger."""


class EntryType(StrEnum):
    GRANT = "grant"
    DEDUCTION = "deduction"
    REFUND = "refund"
    CORRECTION = "correction"
    FORFEIT = "forfeit"
    """The end of the balance of an account that is deleted."""

    @property
    def sign(self) -> int:
        """The sign of this type's amounts in the balance: +1 or -1."""
        return -1 if self in (EntryType.DEDUCTION, EntryType.FORFEIT) else 1


class NotEnoughCredits(Exception):
    """A deduction is larger than the balance."""


@dataclass(frozen=True)
class Credits:
    """An amount of credits by bucket."""

    trial: int = 0
    paid: int = 0

    @property
    def total(self) -> int:
        return self.trial + self.paid

    def __add__(self, other: Self) -> "Credits":
        return Credits(self.trial + other.trial, self.paid + other.paid)

    def __sub__(self, other: Self) -> "Credits":
        return Credits(self.trial - other.trial, self.paid - other.paid)

    def part(self, credits: int) -> "Credits":
        """Return the part of this amount that pays ``credits``, trial credits first. Raises NotEnoughCredits."""
        if credits > self.total:
            raise NotEnoughCredits
        trial = min(self.trial, credits)
        return Credits(trial, credits - trial)


@dataclass(frozen=True)
class LedgerEntry:
    """An entry of a user's ledger. ``type`` sets the sign of ``amount``. Only a correction can be negative."""

    id: str
    user_id: str
    type: EntryType
    amount: Credits
    balance_after: int
    seq: int
    generation_request_id: str | None
    timestamp: datetime
    hash: str = ""

    def sealed(self, previous_hash: str) -> Self:
        """Return the entry with its hash: a SHA-256 in hex over the previous entry's hash and this entry's fields."""
        content = [
            previous_hash,
            self.id,
            self.user_id,
            self.type.value,
            self.amount.trial,
            self.amount.paid,
            self.balance_after,
            self.seq,
            self.generation_request_id,
            self.timestamp.isoformat(timespec="microseconds"),
        ]
        canonical = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
        return replace(self, hash=hashlib.sha256(canonical.encode()).hexdigest())


@dataclass(frozen=True)
class Wallet:
    """A user's balance and the head of the user's ledger.

    ``seq`` is the number of entries. ``head`` is the hash of the last entry. ``lifetime`` has the sum of all entries
    of each type, in credits.
    """

    user_id: str
    credits: Credits = Credits()
    seq: int = 0
    head: str = GENESIS
    lifetime: Mapping[EntryType, int] = field(default_factory=dict)

    def post(
        self,
        type: EntryType,
        amount: Credits,
        *,
        entry_id: str,
        generation_request_id: str | None,
        timestamp: datetime,
    ) -> tuple["Wallet", LedgerEntry]:
        """Return the wallet after a new ledger entry, and the entry."""
        balance = self.credits + amount if type.sign > 0 else self.credits - amount
        assert min(balance.trial, balance.paid) >= 0, "a balance never goes below zero"
        entry = LedgerEntry(
            id=entry_id,
            user_id=self.user_id,
            type=type,
            amount=amount,
            balance_after=balance.total,
            seq=self.seq + 1,
            generation_request_id=generation_request_id,
            timestamp=timestamp,
        ).sealed(self.head)
        lifetime = {**self.lifetime, type: self.lifetime.get(type, 0) + amount.total}
        return replace(self, credits=balance, seq=entry.seq, head=entry.hash, lifetime=lifetime), entry

"""A user's credits, and the append-only ledger of every change to them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from imagegen.dataclass import dataclass

GENESIS = "0" * 64
"""The head of an empty ledger."""


class EntryType(StrEnum):
    GRANT = "grant"
    DEDUCTION = "deduction"
    REFUND = "refund"
    CORRECTION = "correction"
    PURCHASE = "purchase"
    REVERSAL = "reversal"
    REINSTATEMENT = "reinstatement"
    FORFEIT = "forfeit"
    """The end of the balance of an account that is deleted."""

    @property
    def sign(self) -> int:
        """The sign of this type's amounts in the balance: +1 or -1."""
        return -1 if self in TAKING else 1


TAKING = (EntryType.DEDUCTION, EntryType.REVERSAL, EntryType.FORFEIT)
"""The types of entries that take credits."""

OF_PURCHASES = (EntryType.PURCHASE, EntryType.REVERSAL, EntryType.REINSTATEMENT)
"""The types of entries that belong to a purchase."""

DEBTS_MAX = 1_000
"""The number of purchases that a user can owe credits for. They are stored in the user's document."""


class NotEnoughCredits(Exception):
    """A deduction is larger than the balance."""


class TooManyDebts(Exception):
    """The user owes credits for DEBTS_MAX other purchases. A further reversal waits until one is settled."""

    def __init__(self) -> None:
        super().__init__(
            f"The user owes credits for {DEBTS_MAX:,} other purchases. A purchase of the user settles them."
        )


@dataclass(frozen=True)
class Credits:
    """An amount of credits by bucket."""

    trial: int = 0
    paid: int = 0

    def __str__(self) -> str:
        return f"{self.trial} trial and {self.paid} paid credits"

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
class Debt:
    """The credits of a purchase that were paid back or disputed, and could not be taken, as they were spent."""

    purchase_id: str
    credits: int


@dataclass(frozen=True)
class LedgerEntry:
    """An entry of a user's ledger. ``type`` sets the sign of ``amount``. Only a correction can be negative.

    ``purchase_id`` is the purchase that an entry of OF_PURCHASES belongs to.
    """

    id: str
    user_id: str
    type: EntryType
    amount: Credits
    balance_after: int
    seq: int
    generation_request_id: str | None
    timestamp: datetime
    hash: str = ""
    purchase_id: str | None = None

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
        if self.purchase_id is not None:  # other entries have the hashes that they had before there were purchases
            content.append(self.purchase_id)
        canonical = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
        return replace(self, hash=hashlib.sha256(canonical.encode()).hexdigest())


@dataclass(frozen=True)
class Wallet:
    """A user's balance and the head of the user's ledger.

    ``seq`` is the number of entries. ``head`` is the hash of the last entry. ``lifetime`` has the sum of all entries
    of each type, in credits. ``debts`` are settled from what next enters the paid bucket, oldest first.
    """

    user_id: str
    credits: Credits = Credits()
    seq: int = 0
    head: str = GENESIS
    lifetime: Mapping[EntryType, int] = field(default_factory=dict)
    debts: tuple[Debt, ...] = ()

    def post(
        self,
        type: EntryType,
        amount: Credits,
        *,
        entry_id: str,
        timestamp: datetime,
        generation_request_id: str | None = None,
        purchase_id: str | None = None,
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
            purchase_id=purchase_id,
        ).sealed(self.head)
        lifetime = {**self.lifetime, type: self.lifetime.get(type, 0) + amount.total}
        return replace(self, credits=balance, seq=entry.seq, head=entry.hash, lifetime=lifetime), entry

    def debt_of(self, purchase_id: str) -> int:
        """Return the credits that the user owes for a purchase."""
        return sum(debt.credits for debt in self.debts if debt.purchase_id == purchase_id)

    def settle_debts(self, entry: LedgerEntry) -> tuple["Wallet", list[LedgerEntry]]:
        """Return the wallet after the debts have taken their part of ``entry``, and the reversals that take it.

        ``entry`` is the last one, and its paid credits entered the paid bucket. The debts take no other credits.
        """
        wallet, left, reversals = self, entry.amount.paid, []
        for debt in self.debts:
            taken = min(debt.credits, left)
            if not taken:
                break
            left -= taken
            wallet, reversal = wallet.post(
                EntryType.REVERSAL,
                Credits(paid=taken),
                entry_id=f"{entry.id}-{debt.purchase_id}",
                purchase_id=debt.purchase_id,
                timestamp=entry.timestamp,
            )
            wallet = wallet._owing(debt.purchase_id, debt.credits - taken)
            reversals.append(reversal)
        return wallet, reversals

    def take_back(
        self, credits: int, *, purchase_id: str, entry_id: str, timestamp: datetime
    ) -> tuple["Wallet", list[LedgerEntry]]:
        """Return the wallet after a reversal of a purchase's ``credits``, and its entry if it takes any.

        It takes at most what is left in the paid bucket. The rest becomes a debt. Raises TooManyDebts.
        """
        taken = min(credits, self.credits.paid)
        wallet = self._owing(purchase_id, self.debt_of(purchase_id) + credits - taken)
        if not taken:
            return wallet, []
        wallet, reversal = wallet.post(
            EntryType.REVERSAL,
            Credits(paid=taken),
            entry_id=entry_id,
            purchase_id=purchase_id,
            timestamp=timestamp,
        )
        return wallet, [reversal]

    def give_back(
        self, credits: int, *, purchase_id: str, entry_id: str, timestamp: datetime
    ) -> tuple["Wallet", list[LedgerEntry]]:
        """Return the wallet after a purchase's reversed ``credits`` are due again, and the entries.

        They cancel what the user owes for this purchase. The rest is reinstated, and settles other debts.
        """
        owed = self.debt_of(purchase_id)
        canceled = min(owed, credits)
        wallet = self._owing(purchase_id, owed - canceled)
        if credits == canceled:
            return wallet, []
        wallet, entry = wallet.post(
            EntryType.REINSTATEMENT,
            Credits(paid=credits - canceled),
            entry_id=entry_id,
            purchase_id=purchase_id,
            timestamp=timestamp,
        )
        wallet, reversals = wallet.settle_debts(entry)
        return wallet, [entry, *reversals]

    def _owing(self, purchase_id: str, credits: int) -> "Wallet":
        """Return the wallet with another debt for a purchase. Raises TooManyDebts."""
        debts = {debt.purchase_id: debt.credits for debt in self.debts}
        debts[purchase_id] = credits
        left = tuple(Debt(id, owed) for id, owed in debts.items() if owed)
        if len(left) > max(DEBTS_MAX, len(self.debts)):
            raise TooManyDebts
        return replace(self, debts=left)

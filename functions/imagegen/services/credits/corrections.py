"""How an operator puts books right: by a new entry, or by making the wallet what its ledger says.

Entries are never changed or deleted. One that was tampered with has to come back from a backup.
"""

import hashlib
from dataclasses import dataclass

from imagegen.documents.accounts import create_entry, entry_of, ledger_path, update_wallet, user_path, wallet_of
from imagegen.domain.ledger import Credits, EntryType, LedgerEntry, Wallet
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database
from imagegen.services.credits.accounts import registered
from imagegen.services.retry import Retry


@dataclass(frozen=True)
class Corrections:
    database: Database
    clock: Clock
    retry: Retry

    def correct(
        self, user_id: str, amount: Credits, *, reason: str, key: str, request_id: str | None = None
    ) -> LedgerEntry:
        """Book ``amount``, which may be negative, once under this ``key``; with ``request_id``, for that request.

        Raises UserNotFound, ValueError where a bucket would go below zero or the key was used for another correction,
        and what outlasts the retries.
        """
        entry_id = f"correction-{hashlib.sha256(key.encode()).hexdigest()[:32]}"

        def attempt(_tries: int) -> LedgerEntry:
            user, booked = self.database.read(user_path(user_id), f"{ledger_path(user_id)}/{entry_id}")
            if booked.exists:
                return _same(entry_of(user_id, booked), amount, request_id)
            wallet = wallet_of(registered(user))
            if min(wallet.credits.trial + amount.trial, wallet.credits.paid + amount.paid) < 0:
                raise ValueError(f"The balance of {user_id} is {wallet.credits}: {amount} would take it below zero.")
            wallet, entry = wallet.post(
                EntryType.CORRECTION,
                amount,
                entry_id=entry_id,
                generation_request_id=request_id,
                timestamp=self.clock.now(),
            )
            self.database.commit(update_wallet(user, wallet), create_entry(entry, reason=reason))
            return entry

        return self.retry(attempt)

    def rebuild(self, user_id: str) -> Wallet:
        """Make the wallet what its ledger says: balance, number of entries and head.

        Raises UserNotFound, ValueError where the ledger itself is broken, and what outlasts the retries.
        """

        def attempt(_tries: int) -> Wallet:
            user = registered(*self.database.read(user_path(user_id)))
            documents = self.database.scan(ledger_path(user_id))
            wallet = Wallet(user_id)
            for entry in sorted((entry_of(user_id, document) for document in documents), key=lambda entry: entry.seq):
                wallet = _following(wallet, entry)
            self.database.commit(update_wallet(user, wallet))
            return wallet

        return self.retry(attempt)


def _same(entry: LedgerEntry, amount: Credits, request_id: str | None) -> LedgerEntry:
    """The entry that a repeated correction led to before."""
    if (entry.amount, entry.generation_request_id) != (amount, request_id):
        raise ValueError(f"This key was used for another correction: {entry.amount}.")
    return entry


def _following(wallet: Wallet, entry: LedgerEntry) -> Wallet:
    """The wallet after an entry that is what the next one has to be."""
    after, expected = wallet.post(
        entry.type,
        entry.amount,
        entry_id=entry.id,
        generation_request_id=entry.generation_request_id,
        timestamp=entry.timestamp,
    )
    if expected != entry:
        raise ValueError(f"Entry {entry.id} is not what was sealed. Restore the ledger of {wallet.user_id} first.")
    return after

"""Repairs balances for an operator: adds a correction to the ledger, or recalculates the wallet from its ledger.

Entries are never changed or deleted. If an entry was tampered with, restore it from a backup.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import (
    create_correction_reason,
    create_entry,
    create_user,
    entry_of,
    ledger_path,
    update_wallet,
    user_path,
    wallet_of,
)
from imagegen.documents.generations import request_of, request_path
from imagegen.documents.purchases import purchase_of, purchase_path
from imagegen.domain.account import usage_of_requests
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.ledger import Credits, Debt, EntryType, LedgerEntry, Wallet
from imagegen.domain.purchases import totals_by_purchase
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database
from imagegen.services.credits.accounts import existing_user, require_user
from imagegen.services.retry import Retry


@dataclass(frozen=True)
class Corrections:
    database: Database
    clock: Clock
    retry: Retry

    def correct(
        self, user_id: str, amount: Credits, *, reason: str, key: str, request_id: str | None = None
    ) -> LedgerEntry:
        """Add a correction of ``amount`` to the ledger, and return its entry. ``amount`` may be negative.

        A ``key`` is used once: a repeated call returns the first entry. ``request_id`` names the corrected request.
        Raises UserNotFound, AccountDeleted, and ValueError if there is no amount or reason, if the request is not the
        user's, if a bucket would go below zero, or if the key was used for another correction. If the retries fail,
        raises CommitRefused, OutcomeUnknown or DatabaseUnavailable.
        """
        if amount == Credits() or not reason.strip():
            raise ValueError("A correction needs an amount other than 0, and a reason.")
        entry_id = f"correction-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        request_paths = [] if request_id is None else [request_path(request_id)]

        def attempt(_tries: int) -> LedgerEntry:
            user, booked, *requests = self.database.read(
                user_path(user_id), f"{ledger_path(user_id)}/{entry_id}", *request_paths
            )
            if booked.exists:
                return _same(entry_of(user_id, booked), amount, request_id)
            wallet = wallet_of(require_user(user))
            if any(request.data.get("userId") != user_id for request in requests):
                raise ValueError(f"{user_id} has no request {request_id}. Leave it out if its document is lost.")
            if min(wallet.credits.trial + amount.trial, wallet.credits.paid + amount.paid) < 0:
                raise ValueError(f"The balance of {user_id} is {wallet.credits}. {amount} would take it below zero.")
            wallet, entry = wallet.post(
                EntryType.CORRECTION,
                amount,
                entry_id=entry_id,
                generation_request_id=request_id,
                timestamp=self.clock.now(),
            )
            self.database.commit(
                update_wallet(user, wallet), create_entry(entry), create_correction_reason(entry, reason)
            )
            return entry

        return self.retry(attempt)

    def rebuild(self, user_id: str) -> Wallet:
        """Recalculate the wallet (balance, number of entries, head) from its ledger. Return the new wallet.

        If the user's document was deleted, create it, with the weekly counters of the requests that the ledger names.
        Raises UserNotFound if there is no ledger either, and ValueError if the ledger itself is broken. If the retries
        fail, raises CommitRefused, OutcomeUnknown or DatabaseUnavailable.
        """

        def attempt(_tries: int) -> Wallet:
            [user] = self.database.read(user_path(user_id))
            documents = self.database.scan(ledger_path(user_id))
            entries = sorted((entry_of(user_id, document) for document in documents), key=lambda entry: entry.seq)
            wallet = Wallet(user_id)
            for entry in entries:
                wallet = _following(wallet, entry)
            wallet = replace(wallet, debts=self._debts(entries))
            if user.exists or not entries:
                self.database.commit(update_wallet(existing_user(user), wallet))
            else:
                usage = usage_of_requests(self._requests_of(entries))
                self.database.commit(create_user(wallet, {}, entries[0].timestamp, usage))
            return wallet

        return self.retry(attempt)

    def _debts(self, entries: Sequence[LedgerEntry]) -> tuple[Debt, ...]:
        """Return what the user owes for purchases: what is due by their documents, and was not taken by the entries."""
        debts = []
        for purchase_id, totals in totals_by_purchase(entries).items():
            [document] = self.database.read(purchase_path(purchase_id))
            if document.exists and (owed := purchase_of(document).credits_due - totals.taken) > 0:
                debts.append(Debt(purchase_id, owed))
        return tuple(debts)

    def _requests_of(self, entries: Sequence[LedgerEntry]) -> Iterator[GenerationRequest]:
        """Yield the requests that the ledger entries name."""
        for request_id in sorted({entry.generation_request_id for entry in entries if entry.generation_request_id}):
            [document] = self.database.read(request_path(request_id))
            if document.exists:
                yield request_of(document)


def _same(entry: LedgerEntry, amount: Credits, request_id: str | None) -> LedgerEntry:
    """Return ``entry`` if it has the same values as the repeated call. Raises ValueError."""
    if (entry.amount, entry.generation_request_id) != (amount, request_id):
        raise ValueError(f"This key was used for another correction: {entry.amount}.")
    return entry


def _following(wallet: Wallet, entry: LedgerEntry) -> Wallet:
    """Return the wallet after ``entry``. Raises ValueError if ``entry`` does not follow from the wallet."""
    after, expected = wallet.post(
        entry.type,
        entry.amount,
        entry_id=entry.id,
        generation_request_id=entry.generation_request_id,
        purchase_id=entry.purchase_id,
        timestamp=entry.timestamp,
    )
    if expected != entry:
        raise ValueError(
            f"Entry {entry.id} or one before it was changed. Restore the ledger of {wallet.user_id} first."
        )
    return after

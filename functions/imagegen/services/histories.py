"""A user's balance and the history behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagegen.database import Database, Query, Where
from imagegen.domain.ledger import EntryType, LedgerEntry, Wallet
from imagegen.records import entry_of, ledger_path, user_path, wallet_of
from imagegen.services.accounts import registered

LISTED = (EntryType.DEDUCTION, EntryType.REFUND)


@dataclass(frozen=True)
class Page:
    """The balance, a page of the history (newest first), and whether older entries follow it."""

    wallet: Wallet
    entries: Sequence[LedgerEntry]
    has_more: bool


@dataclass(frozen=True)
class Histories:
    database: Database

    def page(self, user_id: str, size: int, before_seq: int | None = None) -> Page:
        """At most ``size`` deductions and refunds, newest first, from before the entry number ``before_seq``.

        Raises UserNotFound and DatabaseUnavailable.
        """
        wallet = wallet_of(registered(*self.database.read(user_path(user_id))))
        history = Query(
            ledger_path(user_id),
            where=(Where("type", "in", tuple(type.value for type in LISTED)),),
            order_by="seq",
            # An entry written since the balance was read is left for the next call: balance and history agree.
            start_after=(wallet.seq + 1 if before_seq is None else before_seq,),
            limit=size + 1,  # one more than shown tells whether there are any
        )
        entries = [entry_of(user_id, document) for document in self.database.find(history)]
        return Page(wallet, entries[:size], has_more=len(entries) > size)

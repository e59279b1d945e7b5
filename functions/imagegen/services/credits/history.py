"""Reads a user's balance and credit history."""

from collections.abc import Collection
from functools import partial

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import entry_of, ledger_path, user_path, wallet_of
from imagegen.domain.ledger import EntryType, LedgerEntry, Wallet
from imagegen.ports.database import Database, Query, Where
from imagegen.services.credits.accounts import require_user
from imagegen.services.pagination import Page, page

OF_REQUESTS = (EntryType.DEDUCTION, EntryType.REFUND)


@dataclass(frozen=True)
class History:
    """A user's wallet, and one page of its ledger, newest first."""

    wallet: Wallet
    entries: Page[LedgerEntry]


@dataclass(frozen=True)
class Histories:
    database: Database

    def page(
        self, user_id: str, size: int, before_seq: float | None = None, types: Collection[EntryType] | None = None
    ) -> History:
        """Return up to ``size`` entries of these ``types``, newest first, with numbers below ``before_seq``.

        Without ``types``, return entries of all types. Raises UserNotFound and DatabaseUnavailable.
        """
        wallet = wallet_of(require_user(*self.database.read(user_path(user_id))))
        of_types = () if types is None else (Where("type", "in", tuple(type.value for type in types)),)
        history = Query(
            ledger_path(user_id),
            where=(*of_types, Where("seq", ">=", 1)),
            order_by="seq",
            # Leave out entries written after the balance was read, so that balance and history agree.
            start_after=(wallet.seq + 1 if before_seq is None else before_seq,),
        )
        return History(wallet, page(self.database, history, size, partial(entry_of, user_id)))

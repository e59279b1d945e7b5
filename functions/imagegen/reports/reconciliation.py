"""Reconciles the balances with the ledgers, with sums that the server calculates as of one moment."""

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import USERS
from imagegen.documents.ledger_sums import ADDING, BEGINNING, TAKING, credits_of_entries
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.ports.database import Database, Query, Sum, Where
from imagegen.reports.model import Reconciliation

BY_TYPE = {type: (type,) for type in EntryType}

WITHOUT_PURCHASES = {
    EntryType.GRANT: (EntryType.GRANT, EntryType.PURCHASE, EntryType.REINSTATEMENT),
    EntryType.DEDUCTION: (EntryType.DEDUCTION, EntryType.REVERSAL),
    EntryType.REFUND: (EntryType.REFUND,),
    EntryType.CORRECTION: (EntryType.CORRECTION,),
    EntryType.FORFEIT: (EntryType.FORFEIT,),
}
"""The types that are summed together where payments are off. There are few of the others, from before, if any."""


@dataclass(frozen=True)
class Reconciler:
    """Compares the change of all balances in a week with the change of all ledgers.

    One commit writes a wallet and its ledger entry, so at any moment the sum of the balances equals the sum of the
    ledgers. The closing balance of a week is the sum of the balances now, minus the entries after the week. The first
    report of a week keeps it: a balance or an entry that changes later shows in the week in which it changes. Without
    ``has_payments``, no type costs a query that only purchases have.
    """

    database: Database
    has_payments: bool = False

    def reconciliation(self, week: Week, before: Reconciliation | None) -> Reconciliation:
        """Return the week's reconciliation. Raises DatabaseUnavailable.

        ``before`` is that of the week before. Without it, the week opens with the sum of the entries before the week.
        An unexplained change is reported only in the week it happened. Repairing it with ``make repair ARGS="rebuild
        ..."`` produces the opposite difference in the week of the repair.
        """
        groups = BY_TYPE if self.has_payments else WITHOUT_PURCHASES
        start, end = week.start, week.end
        in_week = (Where("timestamp", ">=", start), Where("timestamp", "<", end))
        earlier_on = (Where("timestamp", ">=", BEGINNING), Where("timestamp", "<", start))
        later_on = (Where("timestamp", ">=", end),)
        found = self.database.totals(
            *(Sum(Query(USERS), (f"credits.{bucket}",)) for bucket in ("trial", "paid")),
            *(credits_of_entries(types, *in_week) for types in groups.values()),
            *(credits_of_entries(types, *period) for period in (earlier_on, later_on) for types in (ADDING, TAKING)),
        )
        trial, paid, *by_type, added_earlier, taken_earlier, added_later, taken_later = (
            credits for totals in found for credits in totals.sums
        )
        booked = {type: type.sign * credits for type, credits in zip(groups, by_type, strict=True)}
        earlier = added_earlier - taken_earlier
        return Reconciliation(
            opening=earlier if before is None else before.closing,
            booked=booked,
            closing=trial + paid - (added_later - taken_later),
            changed_earlier=0 if before is None or before.ledger is None else earlier - before.ledger,
            ledger=earlier + sum(booked.values()),
        )

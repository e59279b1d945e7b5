"""Reconciles the balances with the ledgers, with sums that the server calculates as of one moment."""

from dataclasses import dataclass
from itertools import chain

from imagegen.documents.accounts import LEDGER, USERS
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.ports.database import Database, Query, Sum, Where
from imagegen.reports.model import Reconciliation


@dataclass(frozen=True)
class Reconciler:
    """Compares the change of all balances in a week with the sum of all ledger entries.

    One commit writes a wallet and its ledger entry, so at any moment the sum of the balances equals the sum of the
    ledgers. The closing balance of a week is the sum of the balances now, minus the entries after the week.
    """

    database: Database

    def reconciliation(self, week: Week, opening: int | None) -> Reconciliation:
        """Return the week's reconciliation. Raises DatabaseUnavailable.

        ``opening`` is the closing balance of the week before. If it is None, the sum of the entries before the week is
        used. An unexplained balance change is reported only in the week it happened. Repairing it with ``make repair
        ARGS="rebuild ..."`` produces the opposite difference in the week of the repair.
        """
        until, since = Where("timestamp", "<", week.start), Where("timestamp", ">=", week.end)
        periods = [_entries(Where("timestamp", ">=", week.start), Where("timestamp", "<", week.end)), _entries(since)]
        if opening is None:
            periods.append(_entries(until))
        balances = [Sum(Query(USERS), f"credits.{bucket}") for bucket in ("trial", "paid")]
        trial, paid, *sums = self.database.totals(*balances, *chain(*periods))
        signed = [type.sign * found.sum for type, found in zip([*EntryType] * len(periods), sums, strict=True)]
        types = len(EntryType)
        booked, later, earlier = signed[:types], signed[types : 2 * types], signed[2 * types :]
        return Reconciliation(
            opening=sum(earlier) if opening is None else opening,
            booked=dict(zip(EntryType, booked, strict=True)),
            closing=trial.sum + paid.sum - sum(later),
        )


def _entries(*period: Where) -> list[Sum]:
    """Return one sum for each entry type: the credits of all users' entries in a period."""
    return [
        Sum(Query(LEDGER, (Where("type", "==", type.value), *period), collection_group=True), "credits")
        for type in EntryType
    ]

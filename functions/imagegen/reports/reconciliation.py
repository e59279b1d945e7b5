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
    """Compares the change of all balances in a week with the change of all ledgers.

    One commit writes a wallet and its ledger entry, so at any moment the sum of the balances equals the sum of the
    ledgers. The closing balance of a week is the sum of the balances now, minus the entries after the week. The first
    report of a week keeps it: a balance or an entry that changes later shows in the week in which it changes.
    """

    database: Database

    def reconciliation(self, week: Week, before: Reconciliation | None) -> Reconciliation:
        """Return the week's reconciliation. Raises DatabaseUnavailable.

        ``before`` is that of the week before. Without it, the week opens with the sum of the entries before the week.
        An unexplained change is reported only in the week it happened. Repairing it with ``make repair ARGS="rebuild
        ..."`` produces the opposite difference in the week of the repair.
        """
        start, end = week.start, week.end
        periods = (
            [Where("timestamp", ">=", start), Where("timestamp", "<", end)],
            [Where("timestamp", ">=", end)],
            [Where("timestamp", "<", start)],
        )
        balances = [Sum(Query(USERS), f"credits.{bucket}") for bucket in ("trial", "paid")]
        trial, paid, *sums = self.database.totals(*balances, *chain(*(_entries(*period) for period in periods)))
        signed = [type.sign * found.sum for type, found in zip([*EntryType] * len(periods), sums, strict=True)]
        types = len(EntryType)
        booked, later, earlier = signed[:types], sum(signed[types : 2 * types]), sum(signed[2 * types :])
        return Reconciliation(
            opening=earlier if before is None else before.closing,
            booked=dict(zip(EntryType, booked, strict=True)),
            closing=trial.sum + paid.sum - later,
            changed_earlier=0 if before is None or before.ledger is None else earlier - before.ledger,
            ledger=earlier + sum(booked),
        )


def _entries(*period: Where) -> list[Sum]:
    """Return one sum for each entry type: the credits of all users' entries in a period."""
    return [
        Sum(Query(LEDGER, (Where("type", "==", type.value), *period), collection_group=True), "credits")
        for type in EntryType
    ]

"""A week's reconciliation, summed by the server as of one moment."""

from dataclasses import dataclass
from itertools import chain

from imagegen.documents.accounts import LEDGER, USERS
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.ports.database import Database, Query, Sum, Where
from imagegen.reports.model import Reconciliation


@dataclass(frozen=True)
class Reconciler:
    """Holds what all balances have changed by in a week against what all ledgers say.

    A wallet and its ledger entry are written by one commit, so at any one moment the balances are the sum of the
    ledgers. The closing balance of a week is what the balances are now without what was booked since.
    """

    database: Database

    def reconciliation(self, week: Week, opening: int | None) -> Reconciliation:
        """``opening``: the closing balance of the week before; None: what the ledgers say was booked until then.

        So a balance that changes without an entry shows in the week in which it changed, and in no other; putting it
        right with ``make repair ARGS="rebuild ..."`` shows in its own week as the opposite. Raises DatabaseUnavailable.
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
    """The credits of all users' entries of a period, a sum for each type."""
    return [
        Sum(Query(LEDGER, (Where("type", "==", type.value), *period), everywhere=True), "credits") for type in EntryType
    ]

"""Counts the purchases that were paid in a week, with aggregation queries."""

from collections.abc import Iterator, Sequence

from imagegen.dataclass import dataclass
from imagegen.documents.purchases import PURCHASES
from imagegen.domain.weeks import Week
from imagegen.ports.database import Database, Query, Sum, Where
from imagegen.reports.model import Sales

CURRENCIES_MAX = 10
"""The number of currencies in a report. Each one costs two queries."""


@dataclass(frozen=True)
class SalesCounting:
    database: Database

    def sales(self, week: Week) -> Sequence[Sales]:
        """Return the sales of each currency, with what was refunded and disputed until now.

        A week without purchases costs one query. Raises DatabaseUnavailable.
        """
        in_week = Where("paidWeek", "==", str(week))
        return [self._in_currency(in_week, currency) for currency in self._currencies(in_week)]

    def _currencies(self, in_week: Where) -> Iterator[str]:
        """Yield each currency of the week's purchases: the first one, then the first one after it, and so on."""
        found: str | None = None
        for _ in range(CURRENCIES_MAX):
            after = None if found is None else (found,)
            documents = self.database.find(
                Query(PURCHASES, (in_week,), order_by="currency", ascending=True, start_after=after, limit=1)
            )
            if not documents:
                return
            found = str(documents[0].data["currency"])
            yield found

    def _in_currency(self, in_week: Where, currency: str) -> Sales:
        of_currency = Query(PURCHASES, (in_week, Where("currency", "==", currency)))
        [totals] = self.database.totals(Sum(of_currency, ("amount", "credits", "amountRefunded", "amountDisputed")))
        return Sales(currency, totals.count, *totals.sums)

"""A week's books: what the ledgers say was booked, against what the balances have changed by."""

from collections.abc import Mapping
from dataclasses import dataclass

from imagegen.domain.ledger import EntryType


@dataclass(frozen=True)
class Reconciliation:
    """The sum of all balances at the week's start (``opening``) and end (``closing``), and what was booked between.

    ``booked`` has the signed sum of the week's ledger entries by type. All are credits.
    """

    opening: int
    booked: Mapping[EntryType, int]
    closing: int

    @property
    def expected(self) -> int:
        """The closing balance that the ledgers explain."""
        return self.opening + sum(self.booked.values())

    @property
    def difference(self) -> int:
        """Credits that were invented (above 0) or lost (below 0); 0 is the only right answer."""
        return self.closing - self.expected

    @property
    def message(self) -> str:
        """The difference in one sentence."""
        what = "more" if self.difference > 0 else "less"
        return (
            f"All balances together hold {abs(self.difference):,} credits {what} than the ledgers explain: "
            f"{self.closing:,} instead of {self.expected:,}. Run make audit."
        )

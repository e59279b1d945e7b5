"""What a weekly report says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from imagegen.domain.anomalies import Anomaly, Metric, Scope, Series
from imagegen.domain.catalog import Kind
from imagegen.domain.generation import Usage
from imagegen.domain.weeks import Week

OTHER = "(no longer in the catalog)"
"""Where requests are counted whose option has been deleted or renamed since."""

TOP_USERS = 10


@dataclass(frozen=True)
class Tally:
    """Requests of some group, and their credits. What is neither completed nor failed is still processing."""

    requests: int = 0
    completed: int = 0
    failed: int = 0
    credits_deducted: int = 0
    credits_refunded: int = 0

    @property
    def success_rate(self) -> float | None:
        """Completed ones among those that ended, 0 to 1; None where none ended."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None

    @property
    def credits_net(self) -> int:
        return self.credits_deducted - self.credits_refunded

    def __add__(self, other: "Tally") -> "Tally":
        return self._combined(other, 1)

    def __sub__(self, other: "Tally") -> "Tally":
        return self._combined(other, -1)

    def _combined(self, other: "Tally", sign: int) -> "Tally":
        return Tally(
            self.requests + sign * other.requests,
            self.completed + sign * other.completed,
            self.failed + sign * other.failed,
            self.credits_deducted + sign * other.credits_deducted,
            self.credits_refunded + sign * other.credits_refunded,
        )


@dataclass(frozen=True)
class Reconciliation:
    """What all balances add up to, and what all ledgers do: the same, or credits were lost or invented."""

    balances: int
    ledgers: int

    @property
    def difference(self) -> int:
        return self.balances - self.ledgers


@dataclass(frozen=True)
class Report:
    """One week. ``days`` and ``options`` each add up to ``total``."""

    week: Week
    generated_at: datetime
    days: Mapping[str, Tally]
    options: Mapping[Kind, Mapping[str, Tally]]
    top_users: Sequence[tuple[str, Usage]] = ()
    anomalies: Sequence[Anomaly] = ()
    reconciliation: Reconciliation | None = None

    @property
    def total(self) -> Tally:
        return sum(self.days.values(), Tally())

    @property
    def series(self) -> dict[Series, int]:
        """Its numbers, named so that the same thing has the same name in every week: a day is its weekday."""
        counts: dict[Series, int] = {}
        groups = [
            (Scope.DAY, [(_weekday(number), tally) for number, tally in enumerate(self.days.values())]),
            *((Scope(kind.value), list(by_name.items())) for kind, by_name in self.options.items()),
        ]
        for scope, tallies in groups:
            for name, tally in tallies:
                counts[Series(scope, name, Metric.REQUESTS)] = tally.requests
                counts[Series(scope, name, Metric.FAILED)] = tally.failed
        return counts


def _weekday(number: int) -> str:
    return ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[number]

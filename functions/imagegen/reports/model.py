"""The values of a weekly report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

from imagegen.dataclass import dataclass
from imagegen.domain.account import Usage
from imagegen.domain.catalog import Kind
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.reports.anomalies import ALL_REQUESTS, Anomaly, Counts, Findings, Scope, Severity, Subject
from imagegen.reports.forecast import Forecast

OTHER = "(no longer in the catalog)"
"""The name that replaces options that were deleted or renamed after they were used."""

COUNTER_MAX = 10**12
"""The largest counter that is read. Sums of a report's counters up to it are exact, also as floats.

The tests of the anomaly detector give results for all counters up to it.
"""

TOP_USERS = 10
POPULARITY_WEEKS = 4

NOTHING_TESTED = Findings(anomalies=(), bands=(), series_tested=0, not_enough_history=())


@dataclass(frozen=True)
class Reconciliation:
    """The sum of all balances at the week's start (``opening``) and end (``closing``), in credits.

    ``booked`` has the signed sum of the week's ledger entries by type. ``ledger`` is the signed sum of all entries up
    to the week's end. It is None in a report of an older version. ``changed_earlier`` is by how much the entries of
    earlier weeks changed since the report of the week before: 0, unless entries were added late, changed or deleted.
    """

    opening: int
    booked: Mapping[EntryType, int]
    closing: int
    changed_earlier: int = 0
    ledger: int | None = None

    @property
    def expected(self) -> int:
        """The closing balance that the ledgers explain."""
        return self.opening + self.changed_earlier + sum(self.booked.values())

    @property
    def difference(self) -> int:
        """Credits that appeared (above 0) or disappeared (below 0) without a ledger entry. It must be 0."""
        return self.closing - self.expected

    @property
    def message(self) -> str:
        """The difference in one sentence."""
        what = "more" if self.difference > 0 else "less"
        return (
            f"The sum of all balances is {abs(self.difference):,} credits {what} than the ledgers explain: "
            f"{self.closing:,} instead of {self.expected:,}. Run make audit."
        )


@dataclass(frozen=True)
class Tally:
    """The number of requests of a group by status, and their credits. The remaining requests are still open.

    ``refused`` is the part of ``failed`` that a content policy refused.
    """

    requests: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    credits_deducted: int = 0
    credits_refunded: int = 0
    refused: int = 0

    @property
    def processing(self) -> int:
        """The number of requests that have not ended."""
        return self.requests - self.completed - self.failed - self.canceled

    @property
    def is_possible(self) -> bool:
        """Return whether requests can have these counters."""
        counters = (
            self.requests,
            self.completed,
            self.failed,
            self.canceled,
            self.credits_deducted,
            self.credits_refunded,
            self.refused,
        )
        return min(counters) >= 0 and max(counters) <= COUNTER_MAX and self.processing >= 0

    @property
    def success_rate(self) -> float | None:
        """The share of completed requests among completed and failed ones, 0 to 1. None without any."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None

    @property
    def refund_share(self) -> float | None:
        """The share of the deducted credits that was refunded, 0 to 1. None if no credits were deducted."""
        return self.credits_refunded / self.credits_deducted if self.credits_deducted else None

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
            self.canceled + sign * other.canceled,
            self.credits_deducted + sign * other.credits_deducted,
            self.credits_refunded + sign * other.credits_refunded,
            self.refused + sign * other.refused,
        )


Daily = Sequence[Tally]
"""The seven days of a week, Monday first."""


def total(daily: Daily) -> Tally:
    return sum(daily, Tally())


@dataclass(frozen=True)
class DayCounts:
    """The counts of one day. The tallies of each kind add up to ``total`` unless options left the catalog."""

    total: Tally
    options: Mapping[Kind, Mapping[str, Tally]]

    @property
    def is_possible(self) -> bool:
        """Return whether a day can have these counts. One request with wrong values can make them impossible."""
        return self.total.is_possible and all(
            all(tally.is_possible for tally in tallies.values()) and self.rest(kind).is_possible
            for kind, tallies in self.options.items()
        )

    def rest(self, kind: Kind) -> Tally:
        """Return the tally of the requests whose option of this kind is not in the catalog."""
        return self.total - total(list(self.options[kind].values()))


@dataclass(frozen=True)
class Processing:
    """The processing times of the week's completed ``requests``, in milliseconds. None without requests."""

    requests: int = 0
    median_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True)
class Sales:
    """The purchases that were paid in the week in one currency. Amounts are in its minor units, such as cents.

    ``refunded`` and ``disputed`` are the parts of ``amount`` that were refunded and disputed until the report.
    """

    currency: str
    purchases: int
    amount: int
    credits: int
    refunded: int = 0
    disputed: int = 0


@dataclass(frozen=True)
class Users:
    """The number of users who registered in the week, and of users who made requests in it."""

    new: int = 0
    active: int = 0


@dataclass(frozen=True)
class Popularity:
    """An option's ``share`` of the requests, 0 to 1, and its shares in the week before and the four weeks before.

    The earlier shares are None if their reports are missing.
    """

    name: str
    requests: int
    share: float
    before: float | None
    four_weeks: float | None


@dataclass(frozen=True)
class Revision:
    """The changes by a later run of the same week: figures before and after, and the names of other ``parts``."""

    at: datetime
    figures: Mapping[str, tuple[float | None, float | None]]
    parts: Sequence[str]


@dataclass(frozen=True)
class Alert:
    """A message that needs attention. Its ``id`` is the same in every run that finds it."""

    id: str
    message: str
    credits: int


@dataclass(frozen=True)
class Report:
    """A weekly report.

    ``days`` and the options of each kind add up to ``total``. ``trial_credits`` are the deducted credits from trial
    buckets. ``sales`` is None where payments are off. ``revisions`` are the changes by reruns, newest first.
    """

    week: Week
    generated_at: datetime
    days: Daily
    options: Mapping[Kind, Mapping[str, Daily]]
    trial_credits: int = 0
    processing: Processing = Processing()
    users: Users = Users()
    sales: Sequence[Sales] | None = None
    top_users: Sequence[tuple[str, Usage]] = ()
    popular_styles: Sequence[Popularity] = ()
    forecast: Forecast | None = None
    reconciliation: Reconciliation | None = None
    findings: Findings = NOTHING_TESTED
    revisions: Sequence[Revision] = ()

    @cached_property
    def total(self) -> Tally:
        return total(self.days)

    @property
    def paid_credits(self) -> int:
        """The deducted credits from paid buckets."""
        return self.total.credits_deducted - self.trial_credits

    def totals(self, kind: Kind) -> dict[str, Tally]:
        """Return the week's total of each option."""
        return {name: total(daily) for name, daily in self.options[kind].items()}

    @property
    def series(self) -> dict[Subject, list[Counts]]:
        """The daily counts of each subject, in the form of ``anomalies.find``."""
        daily = {ALL_REQUESTS: self.days}
        for kind, by_name in self.options.items():
            daily |= {Subject(Scope(kind.value), name): days for name, days in by_name.items()}
        return {
            subject: [Counts(day.requests, day.failed, day.credits_deducted) for day in days]
            for subject, days in daily.items()
        }

    @property
    def alerts(self) -> list[Alert]:
        """The reconciliation difference, if there is one, then the anomalies of high severity."""
        found = self.reconciliation
        mismatch = [Alert("mismatch", found.message, abs(found.difference))] if found and found.difference else []
        severe = [anomaly for anomaly in self.findings.anomalies if anomaly.severity is Severity.HIGH]
        return mismatch + [Alert(_id(anomaly), anomaly.message, anomaly.credits) for anomaly in severe]


def popularity(week: Mapping[str, Tally], before: Sequence[Mapping[str, Tally]]) -> list[Popularity]:
    """Return the options that were used, most popular first.

    ``before`` has the weeks to compare with, oldest first: the four weeks before, as far as they have reports.
    """
    return [
        Popularity(
            name,
            tally.requests,
            _share(name, [week]) or 0.0,
            _share(name, before[-1:]),
            _share(name, before) if len(before) == POPULARITY_WEEKS else None,
        )
        for name, tally in sorted(week.items(), key=lambda item: -item[1].requests)
        if tally.requests
    ]


def _share(name: str, weeks: Sequence[Mapping[str, Tally]]) -> float | None:
    """Return the option's share of the requests of all ``weeks``. None if there were no requests."""
    requests = sum(total(list(week.values())).requests for week in weeks)
    return sum(week.get(name, Tally()).requests for week in weeks) / requests if requests else None


def _id(anomaly: Anomaly) -> str:
    return f"{anomaly.kind}/{anomaly.subject.scope}/{anomaly.subject.name}/{anomaly.day or 'week'}"

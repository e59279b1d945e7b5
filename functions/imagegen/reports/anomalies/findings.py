"""The values of anomaly detection: counts, subjects, anomalies and expected ranges."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from imagegen.dataclass import dataclass


class Scope(StrEnum):
    TOTAL = "total"
    MODEL = "model"
    STYLE = "style"
    COLOR = "color"
    SIZE = "size"
    USER = "user"


class AnomalyKind(StrEnum):
    """The kind of an anomaly. A DRIFT is a level that has risen or fallen for weeks."""

    SPIKE = "spike"
    DROP = "drop"
    FAILURES = "failures"
    DRIFT = "drift"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True)
class Counts:
    """Counts of one day or, for a user, of one week. ``credits`` are the deducted credits, including refunded ones."""

    requests: int = 0
    failed: int = 0
    credits: int = 0


@dataclass(frozen=True)
class Subject:
    """A series: the requests of an option, of a user, or all requests."""

    scope: Scope
    name: str

    def __str__(self) -> str:
        return self.name if self.scope is Scope.TOTAL else f"{self.name} ({self.scope.value})"


ALL_REQUESTS = Subject(Scope.TOTAL, "all requests")


@dataclass(frozen=True)
class Anomaly:
    """An anomaly of one subject.

    ``observed``, ``expected`` and the expected range from ``low`` to ``high`` are requests, or failure rates from 0 to
    1. ``day`` is None for an anomaly of the whole week, and ``also`` are further days with the same anomaly.
    ``p_value`` is the probability of a deviation at least this large if nothing has changed, before the correction for
    multiple tests. ``credits`` is the price of the excess or missing requests, or of the excess failures.
    """

    subject: Subject
    kind: AnomalyKind
    day: str | None
    observed: float
    expected: float
    low: float
    high: float
    p_value: float
    severity: Severity
    credits: int
    also: Sequence[str] = ()

    @property
    def message(self) -> str:
        """The anomaly in words."""
        chance = f"By chance, this happens {_chance(self.p_value)}."
        return f"{self.subject}: {self._what} {self._when}. {chance} About {self._credits}."

    @property
    def _what(self) -> str:
        if self.kind is AnomalyKind.FAILURES:
            expected = f"{_percent(self.low)} to {_percent(self.high)}"
            return f"{_percent(self.observed)} of the requests failed instead of {expected}"
        numbers = f"{self.observed:,.0f} requests instead of {self.low:,.0f} to {self.high:,.0f}"
        if self.kind is AnomalyKind.DRIFT:
            return f"a slow {'rise' if self.observed > self.expected else 'fall'} over the last weeks to {numbers}"
        return numbers

    @property
    def _when(self) -> str:
        if self.day is None:
            return "this week"
        also = " and ".join(f"{date.fromisoformat(day):%A}" for day in self.also)
        return f"on {_day(self.day)}" + (f" (also on {also})" if also else "")

    @property
    def _credits(self) -> str:
        if self.kind is AnomalyKind.FAILURES:
            return f"{self.credits:,} credits more than usual were refunded"
        return f"{self.credits:,} credits {'more' if self.observed > self.expected else 'fewer'} than expected"


@dataclass(frozen=True)
class Band:
    """The expected range of all requests of a day. By chance, one day in 200 is above it, and one below."""

    day: str
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Findings:
    """The result of a week's tests.

    ``anomalies`` are sorted by severity, highest first. ``bands`` has seven, or none if there is not enough history.
    ``not_enough_history`` lists the subjects with fewer than ``WEEKS_NEEDED`` earlier weeks, which were not tested.
    """

    anomalies: Sequence[Anomaly]
    bands: Sequence[Band]
    series_tested: int
    not_enough_history: Sequence[Subject]


def _day(day: str) -> str:
    parsed = date.fromisoformat(day)
    return f"{parsed:%A} {parsed.day} {parsed:%B}"


def _chance(p_value: float) -> str:
    """Format the probability with two digits."""
    if p_value < 1e-9:
        return "less than once in a billion times"
    return f"once in {round(float(f'{1 / p_value:.1e}')):,} times"


def _percent(rate: float) -> str:
    percent = 100 * rate
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.1f}%"

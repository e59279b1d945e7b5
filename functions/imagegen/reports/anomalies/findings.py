"""What is counted, and what is said about it when it stands out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Scope(StrEnum):
    TOTAL = "total"
    MODEL = "model"
    STYLE = "style"
    COLOR = "color"
    SIZE = "size"
    USER = "user"


class AnomalyKind(StrEnum):
    """A SPIKE or a DROP in requests, a raised failure rate, or a level that has moved for weeks, up or down."""

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
    """Of one day or, for a user, of one week. ``credits`` are those deducted, refunded ones included."""

    requests: int = 0
    failed: int = 0
    credits: int = 0


@dataclass(frozen=True)
class Subject:
    """What is counted: an option's or a user's requests. The name of TOTAL is ``all requests``."""

    scope: Scope
    name: str

    def __str__(self) -> str:
        return self.name if self.scope is Scope.TOTAL else f"{self.name} ({self.scope.value})"


ALL_REQUESTS = Subject(Scope.TOTAL, "all requests")


@dataclass(frozen=True)
class Anomaly:
    """``observed``, ``expected`` and its range ``low`` to ``high`` are requests, or failure rates from 0 to 1.

    ``day`` is None where it is about the whole week; ``also`` are further days with the same. ``p_value`` is the
    chance of a deviation at least that large where nothing has changed, before the correction for multiple tests.
    ``credits`` is what it is about: the price of the requests that are too many or too few, or failed in excess.
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
        """All of it in one sentence."""
        return f"{self.subject}: {self._what} {self._when}; by chance {_chance(self.p_value)}; {self._credits}."

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
        return f"on {_day(self.day)}" + (f" (likewise on {also})" if also else "")

    @property
    def _credits(self) -> str:
        if self.kind is AnomalyKind.FAILURES:
            return f"about {self.credits:,} credits more to refund than usual"
        return f"about {self.credits:,} credits {'more' if self.observed > self.expected else 'fewer'} than expected"


@dataclass(frozen=True)
class Band:
    """The expected range of all requests of a day, for a chart: ``high`` or ``low`` is passed once in 200 days each."""

    day: str
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Findings:
    """``anomalies``: the most severe first. ``bands``: seven, or none where there is not enough history.

    ``not_enough_history``: what has fewer than ``WEEKS_NEEDED`` earlier weeks and was not tested.
    """

    anomalies: Sequence[Anomaly]
    bands: Sequence[Band]
    series_tested: int
    not_enough_history: Sequence[Subject]


def _day(day: str) -> str:
    parsed = date.fromisoformat(day)
    return f"{parsed:%A} {parsed.day} {parsed:%B}"


def _chance(p_value: float) -> str:
    """With two digits, as nobody reads more of a chance."""
    if p_value < 1e-9:
        return "less than once in a billion times"
    return f"once in {round(float(f'{1 / p_value:.1e}')):,} times"


def _percent(rate: float) -> str:
    percent = 100 * rate
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.1f}%"

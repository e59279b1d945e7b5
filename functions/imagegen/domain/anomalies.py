"""What is far above its own recent weeks.

A count is flagged when it exceeds the mean of the earlier weeks by three standard deviations, and by a number of
requests that is worth a look. The deviation is never taken smaller than a Poisson count's, the square root of the mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import fmean, pvariance

WEEKS_COMPARED = 8
WEEKS_NEEDED = 3
DEVIATIONS = 3.0
SMALLEST_EXCESS = 10


class Scope(StrEnum):
    DAY = "day"
    MODEL = "model"
    STYLE = "style"
    COLOR = "color"
    SIZE = "size"
    USER = "user"


class Metric(StrEnum):
    REQUESTS = "requests"
    FAILED = "failed"


@dataclass(frozen=True)
class Series:
    """Something that is counted every week."""

    scope: Scope
    name: str
    metric: Metric


@dataclass(frozen=True)
class Anomaly:
    """``observed`` is above ``threshold``; ``expected`` is the mean of the ``weeks_compared`` before."""

    series: Series
    observed: int
    expected: float
    threshold: float
    weeks_compared: int

    @property
    def message(self) -> str:
        """The same in one sentence."""
        what = "failed requests" if self.series.metric is Metric.FAILED else "requests"
        return (
            f"{self.series.name} ({self.series.scope.value}): {self.observed} {what}, expected about "
            f"{self.expected:.0f} and at most {int(self.threshold)} from the {self.weeks_compared} weeks before."
        )


def find(observed: Mapping[Series, int], history: Mapping[Series, Sequence[int]]) -> list[Anomaly]:
    """The observed counts that stand out from their own ``history`` (any order), the most surprising first.

    A series with fewer than ``WEEKS_NEEDED`` earlier weeks is never flagged.
    """
    found = []
    for series, count in observed.items():
        earlier = history.get(series, ())
        if len(earlier) < WEEKS_NEEDED:
            continue
        expected = fmean(earlier)
        deviation = sqrt(max(pvariance(earlier), expected, 1.0))
        threshold = expected + DEVIATIONS * deviation
        if count > threshold and count - expected >= SMALLEST_EXCESS:
            found.append(((count - expected) / deviation, Anomaly(series, count, expected, threshold, len(earlier))))
    return [anomaly for _, anomaly in sorted(found, key=lambda scored: -scored[0])]

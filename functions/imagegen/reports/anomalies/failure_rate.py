"""Whether more requests failed than the earlier rate of failures explains: an exact binomial test, made predictive.

The plain binomial test takes the earlier rate for known. After three quiet weeks without a failure it would call the
first one impossible, and at a million requests a day any two days would differ. So the rate is Beta-distributed: around
the pooled earlier rate with Jeffreys' half failure (which keeps it from 0), as wide as the pool is small, and as the
rate has varied from day to day beyond chance. The failures to come are then beta-binomial, and with a large even pool
binomial. Days with past bursts weigh less, as in ``expectation``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from imagegen.reports.anomalies.distributions import failures_tail, smallest
from imagegen.reports.anomalies.expectation import RANGE_TAIL, weight

ROUNDS = 6
PAIRS = 10_000
"""So many pairs of requests of the same day it takes to believe half of a variation between days."""


@dataclass(frozen=True)
class Day:
    requests: int
    failed: int


@dataclass(frozen=True)
class Rate:
    """A failure rate with its error: a variance of ``rate x (1 - rate) x`` ``pool_error`` from the size of the pool.

    ``variation`` is the same for how it varies from day to day.
    """

    rate: float
    variation: float
    pool_error: float

    def tail(self, days: Sequence[Day]) -> float:
        """The chance of at least as many failures in these days together."""
        a, b = self._beta([day.requests for day in days])
        return failures_tail(sum(day.failed for day in days), sum(day.requests for day in days), a, b)

    def range(self, days: Sequence[Day]) -> tuple[float, float]:
        """The smallest and the largest share of failures among these days' requests that is no surprise."""
        requests = [day.requests for day in days]
        total = sum(requests)
        a, b = self._beta(requests)
        low = smallest(lambda failed: failures_tail(failed + 1, total, a, b) < 1 - RANGE_TAIL)
        high = smallest(lambda failed: failures_tail(failed + 1, total, a, b) <= RANGE_TAIL)
        return low / total, high / total

    def _beta(self, requests: Sequence[int]) -> tuple[float, float]:
        total = sum(requests)
        pairs = sum(count * (count - 1) for count in requests)  # of requests that share a day
        correlation = self.pool_error + self.variation * pairs / max(total * (total - 1), 1)
        precision = 1 / min(correlation, 0.5) - 1
        return self.rate * precision, (1 - self.rate) * precision


def earlier_rate(days: Sequence[Day]) -> Rate:
    """The rate of failures of ``days``."""
    variation = 0.0
    weights = [1.0] * len(days)
    for _ in range(ROUNDS):
        requests = sum(weight * day.requests for weight, day in zip(weights, days, strict=True))
        failed = sum(weight * day.failed for weight, day in zip(weights, days, strict=True))
        rate = (failed + 0.5) / (requests + 1)
        chance = rate * (1 - rate)
        pairs = sum(weight * day.requests * (day.requests - 1) for weight, day in zip(weights, days, strict=True))
        squares = sum(
            weight * (day.failed - rate * day.requests) ** 2 for weight, day in zip(weights, days, strict=True)
        )
        variation = min(0.5, max(0.0, (squares / chance - requests) / pairs)) if pairs else 0.0
        variation *= pairs / (pairs + PAIRS)
        weights = [_weight(day, rate, variation) for day in days]
    worth = sum(
        weight * day.requests / (1 + (day.requests - 1) * variation)
        for weight, day in zip(weights, days, strict=True)
        if day.requests
    )
    return Rate(rate, variation, 1 / (worth + 2))


def _weight(day: Day, rate: float, variation: float) -> float:
    """One, or less for more failures than usual."""
    if not day.failed:
        return 1.0
    variance = day.requests * rate * (1 - rate) * (1 + (day.requests - 1) * variation)
    residual = (day.failed - rate * day.requests) / sqrt(max(variance, 1.0))
    return weight(max(residual, 0.0))

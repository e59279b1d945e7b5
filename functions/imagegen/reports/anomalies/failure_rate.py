"""Tests for more failures than the earlier failure rate explains, with a predictive binomial test.

The plain binomial test assumes that the earlier rate is known exactly. After three weeks without a failure, it would
call the first failure impossible. At a million requests a day, it would find a difference between any two days.

So the rate has a beta distribution around the pooled earlier rate, with Jeffreys' half failure, which keeps it above 0.
The distribution is wider if the pool is small, or if the rate has varied from day to day beyond chance. The predicted
failures are then beta-binomial. For a large pool without such variation, they are binomial. Days with past bursts weigh
less, as in ``expectation``.
"""

from collections.abc import Sequence
from math import sqrt

from imagegen.dataclass import dataclass
from imagegen.reports.anomalies.distributions import failures_tail, smallest
from imagegen.reports.anomalies.expectation import RANGE_TAIL, weight

ROUNDS = 6
PRIOR_PAIRS = 10_000
"""With this many pairs of requests of the same day, half of the observed variation between days is believed."""


@dataclass(frozen=True)
class Day:
    requests: int
    failed: int


@dataclass(frozen=True)
class Rate:
    """A failure rate with its error.

    ``pool_error`` is the variance due to the size of the pool, ``variation`` the variance from day to day. Both are
    divided by ``rate x (1 - rate)``.
    """

    rate: float
    variation: float
    pool_error: float

    def tail(self, days: Sequence[Day]) -> float:
        """Return the probability of at least as many failures as on these days together."""
        a, b = self._beta([day.requests for day in days])
        return failures_tail(sum(day.failed for day in days), sum(day.requests for day in days), a, b)

    def range(self, days: Sequence[Day]) -> tuple[float, float]:
        """Return the expected range of the failure rate of these days together."""
        requests = [day.requests for day in days]
        total = sum(requests)
        a, b = self._beta(requests)
        low = smallest(lambda failed: failures_tail(failed + 1, total, a, b) < 1 - RANGE_TAIL)
        high = smallest(lambda failed: failures_tail(failed + 1, total, a, b) <= RANGE_TAIL)
        return low / total, high / total

    def _beta(self, requests: Sequence[int]) -> tuple[float, float]:
        total = sum(requests)
        pairs = sum(count * (count - 1) for count in requests)  # pairs of requests of the same day
        correlation = self.pool_error + self.variation * pairs / max(total * (total - 1), 1)
        precision = 1 / min(correlation, 0.5) - 1
        return self.rate * precision, (1 - self.rate) * precision


def earlier_rate(days: Sequence[Day]) -> Rate:
    """Estimate the failure rate of ``days``."""
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
        variation *= pairs / (pairs + PRIOR_PAIRS)
        weights = [_weight(day, rate, variation) for day in days]
    effective_requests = sum(
        weight * day.requests / (1 + (day.requests - 1) * variation)
        for weight, day in zip(weights, days, strict=True)
        if day.requests
    )
    return Rate(rate, variation, 1 / (effective_requests + 2))


def _weight(day: Day, rate: float, variation: float) -> float:
    """Return the weight of a day: 1, or less if it has more failures than usual."""
    if not day.failed:
        return 1.0
    variance = day.requests * rate * (1 - rate) * (1 + (day.requests - 1) * variation)
    residual = (day.failed - rate * day.requests) / sqrt(max(variance, 1.0))
    return weight(max(residual, 0.0))

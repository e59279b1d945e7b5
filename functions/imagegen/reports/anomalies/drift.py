"""Tests for a drift: a slow change of level over weeks in which no single day stands out.

The expectation is fitted to the older weeks only, and extrapolated with its growth to the last ``RECENT_WEEKS`` and the
tested week. The days' residuals go into an exponentially weighted moving average (S. W. Roberts, Control chart tests
based on geometric moving averages, Technometrics 1, 1959). Residuals are normal scores, so small counts are comparable
with large ones. A residual counts for at most ``LARGEST_SCORE`` standard deviations, so that one spike is not a drift.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

from imagegen.dataclass import dataclass
from imagegen.reports.anomalies.distributions import normal_tail
from imagegen.reports.anomalies.expectation import Expected, fit

RECENT_WEEKS = 2
OLDER_WEEKS_NEEDED = 3
SMOOTHING = 0.1
"""The weight of the newest day in the average. Each earlier day weighs less by this share."""
LARGEST_SCORE = 2.5


@dataclass(frozen=True)
class Drift:
    """The result of the test.

    ``rise`` and ``fall`` are the probabilities of an average at least this high and at least this low if nothing has
    changed. ``usual`` has the count of each day that the older weeks predict, ``expected`` that of the whole week.
    """

    rise: float
    fall: float
    usual: Sequence[float]
    expected: Expected


def drift(week: Sequence[int], weeks_before: Sequence[Sequence[int]]) -> Drift | None:
    """Test ``week`` for a drift. Return None if there are not enough older weeks."""
    older, recent = weeks_before[:-RECENT_WEEKS], [*weeks_before[-RECENT_WEEKS:], week]
    if len(older) < OLDER_WEEKS_NEEDED:
        return None
    fitted = fit(older)
    average = noise = level = growth = 0.0
    for later, counts in enumerate(recent):
        for day, count in enumerate(counts):
            expected = fitted.at(day, later)
            # An error of the fit affects all days alike, so it is tracked separately from the days' own noise.
            daily = expected.mean + fitted.dispersion * expected.mean**2
            shift = expected.mean / sqrt(daily)
            away = fitted.end + later + day / len(counts) - fitted.center
            average = (1 - SMOOTHING) * average + SMOOTHING * _score(Expected(expected.mean, daily), count)
            noise = (1 - SMOOTHING) ** 2 * noise + SMOOTHING**2
            level = (1 - SMOOTHING) * level + SMOOTHING * shift
            growth = (1 - SMOOTHING) * growth + SMOOTHING * shift * away
    variance = noise + level**2 * fitted.level_variance + growth**2 * fitted.growth_variance
    z = average / sqrt(variance)
    usual = [fitted.at(day, RECENT_WEEKS).mean for day in range(len(week))]
    return Drift(normal_tail(z), normal_tail(-z), usual, fitted.whole_week(RECENT_WEEKS))


def _score(expected: Expected, count: int) -> float:
    """Return the normal score of ``count``, with half of its own probability in either tail, clipped."""
    at_most, at_least = expected.tails(count)
    chance = (at_most + 1 - at_least) / 2
    if not 0 < chance < 1:
        return -LARGEST_SCORE if count < expected.mean else LARGEST_SCORE
    return max(-LARGEST_SCORE, min(LARGEST_SCORE, NormalDist().inv_cdf(chance)))

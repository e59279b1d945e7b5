"""Whether a level has moved slowly, over weeks in which no single day stands out.

The expectation is fitted to the older weeks alone and carried on, growth included, through the last ``RECENT_WEEKS``
and the week itself. The days' residuals go into an exponentially weighted moving average (S. W. Roberts, Control chart
tests based on geometric moving averages, Technometrics 1, 1959). Residuals are normal scores, which makes small counts
comparable with large ones, and none counts for more than ``LARGEST`` standard deviations: one spike is not a drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from imagegen.reports.anomalies.distributions import normal_tail
from imagegen.reports.anomalies.expectation import Expected, fit

RECENT_WEEKS = 2
OLDER_WEEKS_NEEDED = 3
SMOOTHING = 0.1
"""The weight of a day in the average, and how much less each earlier day weighs."""
LARGEST = 2.5


@dataclass(frozen=True)
class Drift:
    """``rise``: the chance of an average at least that high where nothing has changed; ``fall``: at least that low.

    ``usual`` are the days of the week as the older weeks would have them, ``expected`` all of them together.
    """

    rise: float
    fall: float
    usual: Sequence[float]
    expected: Expected


def drift(week: Sequence[int], weeks_before: Sequence[Sequence[int]]) -> Drift | None:
    """None where there are not enough older weeks."""
    older, recent = weeks_before[:-RECENT_WEEKS], [*weeks_before[-RECENT_WEEKS:], week]
    if len(older) < OLDER_WEEKS_NEEDED:
        return None
    fitted = fit(older)
    average = noise = level = growth = 0.0
    for later, counts in enumerate(recent):
        for day, count in enumerate(counts):
            expected = fitted.at(day, later)
            # An error of the fit moves all days together, so it is kept out of their noise and followed on its own.
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
    return Drift(normal_tail(z), normal_tail(-z), usual, fitted.together(RECENT_WEEKS))


def _score(expected: Expected, count: int) -> float:
    """The standard normal that is as unlikely as ``count``, half of the chance of exactly that taken to either side."""
    at_most, at_least = expected.tails(count)
    chance = (at_most + 1 - at_least) / 2
    if not 0 < chance < 1:
        return -LARGEST if count < expected.mean else LARGEST
    return max(-LARGEST, min(LARGEST, NormalDist().inv_cdf(chance)))

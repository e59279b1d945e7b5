"""Predicts the mean and variance of a day's requests, with a negative-binomial regression as in Farrington et al.

Counts of earlier weeks are modeled as ``level x weekday x growth^week``. Four parts come from the literature on disease
outbreaks (C. P. Farrington et al., A statistical algorithm for the early detection of outbreaks of infectious disease,
J. R. Statist. Soc. A 159, 1996; A. Noufaily et al., An improved algorithm for outbreak detection in multiple
surveillance systems, Statistics in Medicine 32, 2013):

- the log-linear trend
- the over-dispersion
- past outbreaks weigh less, the larger their residual is
- the threshold is a tail of the negative binomial, with the error of the fit in its variance

These papers either include a trend or leave it out. We shrink growth and weekdays instead, with a Cauchy prior on
growth and a gamma prior on the weekdays. So three quiet weeks do not make a trend, and twelve weeks of growth do.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import exp, sqrt
from statistics import fmean, median

from imagegen.dataclass import dataclass
from imagegen.reports.anomalies.distributions import count_tails, smallest

GROWTH_A_WEEK = 0.02
"""The prior scale of the weekly growth rate: half of all series are assumed to grow or shrink by less."""
DISPERSION, USER_DISPERSION = 0.1, 0.3
"""The prior over-dispersion of days, and of a user's weeks, whose standard deviation is about half their mean."""
OUTLYING = 2.58
"""Past counts beyond this many standard deviations weigh less. The value is Noufaily's."""
RANGE_TAIL = 0.005
"""The probability of a count above the expected range, and of one below it."""
ROUNDS = 8


@dataclass(frozen=True)
class Expected:
    """A predicted count: negative binomial with this mean and variance."""

    mean: float
    variance: float

    def tails(self, count: int) -> tuple[float, float]:
        """Return the probabilities of at most ``count`` and of at least ``count``."""
        return count_tails(count, self.mean, self.variance)

    def range(self) -> tuple[int, int]:
        """Return the smallest and the largest count of the expected range."""
        low = smallest(lambda count: self.tails(count)[0] > RANGE_TAIL)
        return low, smallest(lambda count: self.tails(count)[0] >= 1 - RANGE_TAIL)


@dataclass(frozen=True)
class Fit:
    """The fitted mean ``level x weekdays[day] x exp(growth x (time - center))``, with its error.

    Times are in weeks since the first day, and ``end`` is the time of the first day after the fitted ones. The
    variance of a count is ``mean + dispersion x mean^2``. The ``..._variance`` fields are variances of logarithms.
    """

    end: int
    center: float
    level: float
    weekdays: Sequence[float]
    growth: float = 0.0
    dispersion: float = 0.0
    level_variance: float = 0.0
    weekday_variances: Sequence[float] = ()
    growth_variance: float = GROWTH_A_WEEK**2

    def mean(self, time: float, day: int) -> float:
        return self.level * self.weekdays[day] * exp(self.growth * (time - self.center))

    def at(self, day: int, weeks_later: int = 0) -> Expected:
        """Predict a day of the first week after the fitted ones, or of a later week."""
        time = self.end + weeks_later + day / len(self.weekdays)
        mean = self.mean(time, day)
        error = self._error(time) + self.weekday_variances[day]
        return Expected(mean, mean + (self.dispersion + error) * mean * mean)

    def whole_week(self, weeks_later: int = 0) -> Expected:
        """Predict the sum of such a week. The days have independent noise, but share the error of the fit."""
        days = range(len(self.weekdays))
        times = [self.end + weeks_later + day / len(days) for day in days]
        means = [self.mean(time, day) for day, time in zip(days, times, strict=True)]
        noise = sum(mean + self.dispersion * mean * mean for mean in means)
        return Expected(sum(means), noise + self._error(times[0]) * sum(means) ** 2)

    def _error(self, time: float) -> float:
        return self.level_variance + self.growth_variance * (time - self.center) ** 2


@dataclass(frozen=True)
class _Count:
    count: int
    time: float
    day: int


def fit(weeks: Sequence[Sequence[int]]) -> Fit:
    """Fit to the counts of ``weeks``, oldest first. Each week has seven counts, or one for the whole week."""
    days = len(weeks[0])
    counts = [
        _Count(count, week + day / days, day) for week, of_week in enumerate(weeks) for day, count in enumerate(of_week)
    ]
    mean = (sum(count.count for count in counts) + 0.5) / len(counts)
    fitted = Fit(len(weeks), (len(weeks) - 1) / 2, mean, [1.0] * days)
    weights = _first_weights(weeks)
    for _ in range(ROUNDS):
        fitted = _dispersed(_refined(fitted, counts, weights), counts, weights)
        means = [fitted.mean(count.time, count.day) for count in counts]
        weights = [
            weight(_residual(count.count, mean, 1 + fitted.dispersion * mean))
            for count, mean in zip(counts, means, strict=True)
        ]
    return fitted


def _refined(old: Fit, counts: Sequence[_Count], weights: Sequence[float]) -> Fit:
    """Do one step of the regression. Counts weigh less by their weight and by their over-dispersion."""
    shapes = [old.mean(count.time, count.day) / old.level for count in counts]
    weights = [weight / (1 + old.dispersion * old.level * shape) for weight, shape in zip(weights, shapes, strict=True)]
    observed = sum(weight * count.count for weight, count in zip(weights, counts, strict=True)) + 0.5
    base = sum(weight * shape for weight, shape in zip(weights, shapes, strict=True))
    center = sum(w * shape * count.time for w, shape, count in zip(weights, shapes, counts, strict=True)) / base
    level = observed / base

    prior = (
        GROWTH_A_WEEK**2 + old.growth**2
    ) / 2  # the normal prior that is equivalent to the Cauchy prior at this growth
    slope, information = -old.growth / prior, 1 / prior
    for weight, shape, count in zip(weights, shapes, counts, strict=True):
        away = count.time - center
        slope += weight * (count.count - level * shape) * away
        information += weight * level * shape * away * away
    growth = max(-0.5, min(0.5, old.growth + slope / information))
    level *= exp(old.growth * (center - old.center))

    new = replace(old, center=center, level=level, growth=growth, growth_variance=1 / information)
    return replace(_with_weekdays(new, counts, weights), level_variance=1 / observed)


def _with_weekdays(old: Fit, counts: Sequence[_Count], weights: Sequence[float]) -> Fit:
    """Fit the weekdays' factors. The less the weekdays differ beyond chance, the closer to 1 (empirical Bayes)."""
    days = len(old.weekdays)
    if days == 1:
        return replace(old, weekday_variances=[0.0])
    observed, expected = [0.0] * days, [0.0] * days
    for weight, count in zip(weights, counts, strict=True):
        observed[count.day] += weight * count.count
        expected[count.day] += weight * old.level * exp(old.growth * (count.time - old.center))
    by_chance = sum(expected)
    differing = sum((o - e) ** 2 for o, e in zip(observed, expected, strict=True)) - by_chance
    prior = sum(e * e for e in expected) / max(differing, 1e-6 * by_chance)
    factors = [(o + prior) / (e + prior) for o, e in zip(observed, expected, strict=True)]
    return replace(old, weekdays=factors, weekday_variances=[1 / (o + prior) for o in observed])


def _dispersed(old: Fit, counts: Sequence[_Count], weights: Sequence[float]) -> Fit:
    """Fit the over-dispersion, so that squared residuals add up to their degrees of freedom, by Newton's method."""
    means = [old.mean(count.time, count.day) for count in counts]
    parameters = 2 + (len(old.weekdays) - 1) * (len(old.weekdays) > 1)
    freedom = max(sum(weights) - parameters, 1.0)
    dispersion = old.dispersion
    for _ in range(4):
        excess, slope = -freedom, 0.0
        for weight, count, mean in zip(weights, counts, means, strict=True):
            term = weight * (count.count - mean) ** 2 / (mean * (1 + dispersion * mean))
            excess += term
            slope += term * mean / (1 + dispersion * mean)
        dispersion = max(0.0, dispersion + excess / slope) if slope else 0.0
    # The prior is the mean of an inverse gamma distribution of shape 2. The weight of the data is their Fisher
    # information about the logarithm of the over-dispersion, at the prior value.
    prior = DISPERSION if len(old.weekdays) > 1 else USER_DISPERSION
    known = freedom / 2 * fmean((prior * mean / (1 + prior * mean)) ** 2 for mean in means)
    return replace(old, dispersion=(known * dispersion + prior) / (known + 1))


def _first_weights(weeks: Sequence[Sequence[int]]) -> list[float]:
    """Return the first weights, from medians, so that even a week of outbreaks does not hide in a large variance."""
    usual = [max(0.5, median(counts)) for counts in zip(*weeks, strict=True)]
    residuals = [_residual(count, usual[day], 1.0) for week in weeks for day, count in enumerate(week)]
    scale = max(1.0, 1.4826 * median(abs(residual) for residual in residuals))
    return [weight(residual / scale) for residual in residuals]


def weight(residual: float) -> float:
    """Return the weight of a past count.

    It falls with the fourth power of the residual. With the second power, three past outbreaks would still hide a new
    one.
    """
    return 1.0 if abs(residual) <= OUTLYING else (OUTLYING / residual) ** 4


def _residual(count: float, mean: float, dispersion: float) -> float:
    """Return Anscombe's residual of a Poisson count: about standard normal if the variance is ``dispersion x mean``."""
    return float(1.5 * (count ** (2 / 3) - mean ** (2 / 3)) / (mean ** (1 / 6) * sqrt(dispersion)))

"""Forecasts next week's credits from the weeks before."""

from collections.abc import Mapping
from math import expm1, log, log1p, sqrt
from statistics import fmean, linear_regression

from imagegen.dataclass import dataclass
from imagegen.domain.weeks import Week

WEEKS_NEEDED = 4
WEEKS_USED = 12
MAX_FACTOR = 10
"""A forecast is left out if its interval is wider than from a tenth to ten times the forecast."""

# The 95 % quantiles of Student's t for 2, 3, … 10 degrees of freedom, which leave out 5 % on each side.
_T = (2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)


@dataclass(frozen=True)
class Forecast:
    """The expected ``credits`` to be deducted in ``week``, with a 90 % prediction interval from ``low`` to ``high``."""

    week: Week
    credits: int
    low: int
    high: int


def forecast(credits: Mapping[Week, int]) -> Forecast | None:
    """Forecast the week after the last one in ``credits``.

    Returns None if there are fewer than ``WEEKS_NEEDED`` weeks, or if they vary too much. The forecast is a straight
    line through the logarithms of the last ``WEEKS_USED`` weeks. Its prediction interval is
    t * s * sqrt(1 + 1/n + (x - mean)^2 / sum((x_i - mean)^2))
    (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, 7.6). The standard error s is at
    least that of a Poisson count. The forecast does not know holidays. One unusual week widens the interval.
    """
    weeks = sorted(credits)[-WEEKS_USED:]
    if len(weeks) < WEEKS_NEEDED:
        return None
    x = [(week.monday - weeks[0].monday).days / 7 for week in weeks]
    y = [log1p(credits[week]) for week in weeks]
    slope, intercept = linear_regression(x, y)
    freedom = len(weeks) - 2
    squares = sum((intercept + slope * at - value) ** 2 for at, value in zip(x, y, strict=True))
    level = fmean(credits[week] for week in weeks)
    scatter = sqrt(max(squares / freedom, 1 / max(level, 1.0)))
    ahead = x[-1] + 1
    leverage = (ahead - fmean(x)) ** 2 / sum((at - fmean(x)) ** 2 for at in x)
    half_width = _T[freedom - 2] * scatter * sqrt(1 + 1 / len(weeks) + leverage)
    if half_width > log(MAX_FACTOR):
        return None
    middle = intercept + slope * ahead
    return Forecast(
        weeks[-1] + 1, *(max(0, round(expm1(value))) for value in (middle, middle - half_width, middle + half_width))
    )

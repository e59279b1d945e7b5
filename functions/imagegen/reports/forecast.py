"""Next week's credits, from the weeks before."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import expm1, log, log1p, sqrt
from statistics import fmean, linear_regression

from imagegen.domain.weeks import Week

WEEKS_NEEDED = 4
WEEKS_USED = 12
WIDEST = 10
"""An interval that reaches further than to the tenth or to the tenfold says nothing."""

# Student's t at 95 %, for 2, 3, … 10 degrees of freedom: what leaves out 5 % on each side.
_T = (2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)


@dataclass(frozen=True)
class Forecast:
    """The credits that ``week`` will deduct if all goes on as before: nine times in ten from ``low`` to ``high``."""

    week: Week
    credits: int
    low: int
    high: int


def forecast(credits: Mapping[Week, int]) -> Forecast | None:
    """The week after the last of ``credits``; None where they are fewer than ``WEEKS_NEEDED`` or too uneven.

    A straight line through the logarithms of the last ``WEEKS_USED`` weeks, as growth multiplies, and its prediction
    interval: t * s * sqrt(1 + 1/n + (x - mean)^2 / sum((x_i - mean)^2))
    (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, 7.6). The scatter s is never taken
    smaller than a Poisson count's. It knows neither holidays nor plans; one odd week widens the interval.
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
    reach = _T[freedom - 2] * scatter * sqrt(1 + 1 / len(weeks) + leverage)
    if reach > log(WIDEST):
        return None
    middle = intercept + slope * ahead
    return Forecast(weeks[-1] + 1, *(max(0, round(expm1(value))) for value in (middle, middle - reach, middle + reach)))

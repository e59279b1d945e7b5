"""The detectors that `make bench-anomalies` compares. Each is a function that scores a week.

A method returns seven scores for the days and an eighth for the whole week. A larger score means a more unusual day or
week. A method that does not test the whole week returns -inf for it. Only rises are scored.

The other methods get the same twelve weeks as ours. They compare with the same weekday if that helps them, and with a
standard deviation of at least a Poisson count's.
"""

from collections.abc import Callable, Mapping
from math import log10

import numpy as np

from imagegen.reports.anomalies import AnomalyKind, Counts, Scope, Subject
from imagegen.reports.anomalies.hypothesis_tests import test
from imagegen.reports.anomalies.significance import corrected
from tools.bench.anomaly_years import Floats, Integers, Series, Year

WEEKS_COMPARED = 12
SUBJECT = Subject(Scope.STYLE, "any")
SMOOTHING = 0.2

Method = Callable[[Year, Series, int], Floats]


def ours(data: Year, series: Series, week: int) -> Floats:
    """Score a week with the deployed tests, by the p-values as the report corrects them."""
    counts = [
        [Counts(int(requests), int(failed)) for requests, failed in zip(*days, strict=True)]
        for days in zip(_weeks(data.requests, week), _weeks(data.failed, week), strict=True)
    ]
    kinds = (AnomalyKind.FAILURES,) if series is Series.FAILURES else (AnomalyKind.SPIKE, AnomalyKind.DRIFT)
    scores = np.zeros(8)
    results = test(SUBJECT, counts[-1], counts[:-1]).results
    for result, p_value in zip(results, corrected(results), strict=True):
        if result.kind in kinds and result.rise:
            known_at = 7 if result.days is None else result.days[-1]
            scores[known_at] = max(scores[known_at], -log10(max(p_value, 1e-300)))
    return scores


def last_week(before: Floats, week: Floats) -> Floats:
    """Score a week by the ratio to the same day of the week before."""
    ratio: Floats = (week + 1) / (before[-1] + 1)
    return ratio


def three_sigma(before: Floats, week: Floats) -> Floats:
    mean = before.mean(axis=0)
    return _standardised(week, mean, before.std(axis=0, ddof=1))


def robust_z(before: Floats, week: Floats) -> Floats:
    """Score a week by the distance from the median, in units of the median absolute deviation."""
    median = np.median(before, axis=0)
    spread = 1.4826 * np.median(np.abs(before - median), axis=0)
    return _standardised(week, median, spread)


def ewma(before: Floats, week: Floats) -> Floats:
    """Score a week by Roberts' moving average of the days' deviations from their weekday, over the last four weeks."""
    mean, deviation = before.mean(axis=0), before.std(axis=0, ddof=1)
    average, averages = 0.0, []
    for residual in _standardised(np.vstack([before[-4:], week]), mean, deviation).ravel():
        average = SMOOTHING * residual + (1 - SMOOTHING) * average
        averages.append(average)
    return np.array(averages[-7:])


def ears_c2(before: Floats, week: Floats) -> Floats:
    """Score a week by the C2 of the Early Aberration Reporting System.

    It compares each day with the seven days that end three days before.
    """
    days = np.concatenate([before[-2:].ravel(), week])
    base = np.array([days[day - 9 : day - 2] for day in range(14, 21)])
    return _standardised(week, base.mean(axis=1), base.std(axis=1, ddof=1))


def _standardised(counts: Floats, mean: Floats, deviation: Floats) -> Floats:
    residuals: Floats = (counts - mean) / np.maximum(deviation, np.sqrt(np.maximum(mean, 1.0)))
    return residuals


def _weeks(days: Integers, week: int) -> Integers:
    return days[7 * (week - WEEKS_COMPARED) : 7 * (week + 1)].reshape(-1, 7)


def _other_method(score: Callable[[Floats, Floats], Floats]) -> Method:
    def scores(data: Year, series: Series, week: int) -> Floats:
        days = data.failed if series is Series.FAILURES else data.requests
        weeks = _weeks(days, week).astype(np.float64)
        return np.append(score(weeks[:-1], weeks[-1]), -np.inf)

    return scores


METHODS: Mapping[str, Method] = {
    "ours": ours,
    "last week": _other_method(last_week),
    "3 sigma": _other_method(three_sigma),
    "robust z": _other_method(robust_z),
    "EWMA": _other_method(ewma),
    "EARS C2": _other_method(ears_c2),
}

"""Detectors to compare, each as a function that scores a week; for `make bench-anomalies`.

Seven scores say how surprising the days are, and an eighth how surprising the whole week is, for a method that tests
that; the larger the more. Only rises are looked for. The rivals get the same twelve weeks as ours, a comparison
with the same weekday wherever that helps them, and a standard deviation never below a Poisson count's.
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
    """The deployed tests of a subject's week, by the p-value of each as the report corrects it."""
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
    """The ratio to the same day of the week before."""
    ratio: Floats = (week + 1) / (before[-1] + 1)
    return ratio


def three_sigma(before: Floats, week: Floats) -> Floats:
    mean = before.mean(axis=0)
    return _standardised(week, mean, before.std(axis=0, ddof=1))


def robust_z(before: Floats, week: Floats) -> Floats:
    """By median and median absolute deviation."""
    median = np.median(before, axis=0)
    spread = 1.4826 * np.median(np.abs(before - median), axis=0)
    return _standardised(week, median, spread)


def ewma(before: Floats, week: Floats) -> Floats:
    """Roberts' average of the days' deviations from their weekday, through the last four weeks."""
    mean, deviation = before.mean(axis=0), before.std(axis=0, ddof=1)
    average, averages = 0.0, []
    for residual in _standardised(np.vstack([before[-4:], week]), mean, deviation).ravel():
        average = SMOOTHING * residual + (1 - SMOOTHING) * average
        averages.append(average)
    return np.array(averages[-7:])


def ears_c2(before: Floats, week: Floats) -> Floats:
    """The C2 of the Early Aberration Reporting System: against the seven days that end three days before."""
    days = np.concatenate([before[-2:].ravel(), week])
    base = np.array([days[day - 9 : day - 2] for day in range(14, 21)])
    return _standardised(week, base.mean(axis=1), base.std(axis=1, ddof=1))


def _standardised(counts: Floats, mean: Floats, deviation: Floats) -> Floats:
    residuals: Floats = (counts - mean) / np.maximum(deviation, np.sqrt(np.maximum(mean, 1.0)))
    return residuals


def _weeks(days: Integers, week: int) -> Integers:
    return days[7 * (week - WEEKS_COMPARED) : 7 * (week + 1)].reshape(-1, 7)


def _rival(score: Callable[[Floats, Floats], Floats]) -> Method:
    def scores(data: Year, series: Series, week: int) -> Floats:
        days = data.failed if series is Series.FAILURES else data.requests
        weeks = _weeks(days, week).astype(np.float64)
        return np.append(score(weeks[:-1], weeks[-1]), -np.inf)

    return scores


METHODS: Mapping[str, Method] = {
    "ours": ours,
    "last week": _rival(last_week),
    "3 sigma": _rival(three_sigma),
    "robust z": _rival(robust_z),
    "EWMA": _rival(ewma),
    "EARS C2": _rival(ears_c2),
}

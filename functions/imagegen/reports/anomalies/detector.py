"""Runs all tests of a week and returns the anomalies to report."""

from collections.abc import Mapping, Sequence

from imagegen.domain.weeks import Week
from imagegen.reports.anomalies.attribution import unexplained
from imagegen.reports.anomalies.findings import (
    ALL_REQUESTS,
    Anomaly,
    AnomalyKind,
    Band,
    Counts,
    Findings,
    Severity,
    Subject,
)
from imagegen.reports.anomalies.hypothesis_tests import Result, SubjectTests, test
from imagegen.reports.anomalies.significance import Deviation, deviations

WEEKS_COMPARED = 12
WEEKS_NEEDED = 3
MIN_CREDITS_REPORTED = 20
"""Anomalies of fewer credits are not reported, however unlikely they are."""
MEDIUM_SHARE, HIGH_SHARE = 0.05, 0.25
"""The least credits of an anomaly of that severity, as a share of an average day's credits."""
HIGH_P_VALUE = 1e-6
"""The largest p-value of an anomaly of high severity."""


def find(
    week: Week,
    observed: Mapping[Subject, Sequence[Counts]],
    history: Mapping[Subject, Sequence[Sequence[Counts]]],
) -> Findings:
    """Return the week's anomalies, the expected range of each day, and the subjects with too little history.

    ``observed`` has seven Counts for each subject, Monday first, or one Counts for a user. ``history`` has the same
    for the weeks before, oldest first, without the weeks before the first use. Do not choose the users by their
    requests in this week, because a user who is among the biggest by chance would look like a spike.
    """
    tested, waiting = dict[Subject, SubjectTests](), list[Subject]()
    for subject, counts in observed.items():
        weeks_before = history.get(subject, ())[-WEEKS_COMPARED:]
        if len(weeks_before) < WEEKS_NEEDED:
            waiting.append(subject)
        else:
            tested[subject] = test(subject, counts, weeks_before)
    day_credits = _usual_day(history.get(ALL_REQUESTS, ())[-WEEKS_COMPARED:])
    found = _select([result for of_subject in tested.values() for result in of_subject.results])
    anomalies = [_anomaly(deviation, week.days, day_credits) for deviation in found]
    return Findings(
        sorted(anomalies, key=lambda anomaly: (-_SEVERITIES.index(anomaly.severity), -anomaly.credits)),
        _bands(week, tested[ALL_REQUESTS]) if ALL_REQUESTS in tested else (),
        len(tested),
        waiting,
    )


_SEVERITIES = list(Severity)


def _select(results: Sequence[Result]) -> list[Deviation]:
    """Return the deviations to report.

    One event that appears in twenty series makes it easier for a chance result to pass the correction as well. So the
    correction is done again without the explained results.
    """
    found = deviations(results)
    reported = {(deviation.subject, deviation.worst.kind) for deviation in _large_unexplained(found)}
    explained = {(deviation.subject, deviation.worst.kind) for deviation in found} - reported
    rest = [result for result in results if (result.subject, result.kind) not in explained]
    return _large_unexplained(deviations(rest))


def _large_unexplained(found: Sequence[Deviation]) -> list[Deviation]:
    """Return the large deviations that no other one explains. A drift is left out if a day of it is returned."""
    large = [deviation for deviation in found if deviation.credits >= MIN_CREDITS_REPORTED]
    reported = []
    for rise, days_kind in ((True, AnomalyKind.SPIKE), (False, AnomalyKind.DROP)):
        days = unexplained([deviation for deviation in large if deviation.worst.kind is days_kind])
        subjects = {deviation.subject for deviation in days}
        drifts = [
            deviation
            for deviation in large
            if deviation.worst.kind is AnomalyKind.DRIFT and deviation.worst.rise is rise
        ]
        reported += days + unexplained([deviation for deviation in drifts if deviation.subject not in subjects], days)
    return reported + unexplained([deviation for deviation in large if deviation.worst.kind is AnomalyKind.FAILURES])


def _anomaly(deviation: Deviation, names: Sequence[str], day_credits: float) -> Anomaly:
    worst = deviation.worst
    days = [names[day] for day in deviation.days]
    return Anomaly(
        worst.subject,
        worst.kind,
        days[0] if days else None,
        worst.observed,
        worst.expected,
        *worst.range(),
        worst.p_value,
        _severity(deviation, day_credits),
        round(deviation.credits),
        sorted(days[1:]),
    )


def _severity(deviation: Deviation, day_credits: float) -> Severity:
    if deviation.credits >= HIGH_SHARE * day_credits and deviation.worst.p_value <= HIGH_P_VALUE:
        return Severity.HIGH
    return Severity.MEDIUM if deviation.credits >= MEDIUM_SHARE * day_credits else Severity.LOW


def _usual_day(weeks: Sequence[Sequence[Counts]]) -> float:
    """Return the credits of an average day."""
    days = [counts.credits for week in weeks for counts in week]
    return sum(days) / len(days) if days else 0.0


def _bands(week: Week, total: SubjectTests) -> list[Band]:
    return [
        Band(day, expected.mean, *expected.range()) for day, expected in zip(week.days, total.expected, strict=True)
    ]

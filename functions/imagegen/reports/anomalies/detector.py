"""Runs all tests of a week, and tells what is worth an operator's time."""

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
"""What is about fewer credits is left out, however unlikely it is."""
MEDIUM_SHARE, HIGH_SHARE = 0.05, 0.25
"""An anomaly is of that severity from this share of a usual day's credits on;"""
HIGH_P_VALUE = 1e-6
"""of the highest only if it is also no more likely than this."""


def find(
    week: Week,
    observed: Mapping[Subject, Sequence[Counts]],
    history: Mapping[Subject, Sequence[Sequence[Counts]]],
) -> Findings:
    """What stands out in ``observed``: seven Counts of a subject, Monday first, or a single one of a user.

    ``history`` has the weeks before, oldest first, each as long; weeks before the first one in use are left out. Users
    must not have been chosen for having many requests in this very week, or chance looks like a spike.
    """
    tested, waiting = dict[Subject, SubjectTests](), list[Subject]()
    for subject, counts in observed.items():
        weeks_before = history.get(subject, ())[-WEEKS_COMPARED:]
        if len(weeks_before) < WEEKS_NEEDED:
            waiting.append(subject)
        else:
            tested[subject] = test(subject, counts, weeks_before)
    day_credits = _usual_day(history.get(ALL_REQUESTS, ())[-WEEKS_COMPARED:])
    found = _found([result for of_subject in tested.values() for result in of_subject.results])
    anomalies = [_anomaly(deviation, week.days, day_credits) for deviation in found]
    return Findings(
        sorted(anomalies, key=lambda anomaly: (-_SEVERITIES.index(anomaly.severity), -anomaly.credits)),
        _bands(week, tested[ALL_REQUESTS]) if ALL_REQUESTS in tested else (),
        len(tested),
        waiting,
    )


_SEVERITIES = list(Severity)


def _found(results: Sequence[Result]) -> list[Deviation]:
    """What is told of all significant results.

    One event that shows in twenty series would make it easier for chance to pass as the twenty-first discovery. So the
    correction is done again without those that are explained by others.
    """
    found = deviations(results)
    told = {(deviation.subject, deviation.worst.kind) for deviation in _told(found)}
    explained = {(deviation.subject, deviation.worst.kind) for deviation in found} - told
    return _told(deviations([result for result in results if (result.subject, result.kind) not in explained]))


def _told(found: Sequence[Deviation]) -> list[Deviation]:
    """Of all that is large enough, what is not explained by the rest. A drift is told where no day of it stands out."""
    large = [deviation for deviation in found if deviation.credits >= MIN_CREDITS_REPORTED]
    told = []
    for rise, days_kind in ((True, AnomalyKind.SPIKE), (False, AnomalyKind.DROP)):
        days = unexplained([deviation for deviation in large if deviation.worst.kind is days_kind])
        subjects = {deviation.subject for deviation in days}
        drifts = [
            deviation
            for deviation in large
            if deviation.worst.kind is AnomalyKind.DRIFT and deviation.worst.rise is rise
        ]
        told += days + unexplained([deviation for deviation in drifts if deviation.subject not in subjects], days)
    return told + unexplained([deviation for deviation in large if deviation.worst.kind is AnomalyKind.FAILURES])


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
    """The credits of an average day."""
    days = [counts.credits for week in weeks for counts in week]
    return sum(days) / len(days) if days else 0.0


def _bands(week: Week, total: SubjectTests) -> list[Band]:
    return [
        Band(day, expected.mean, *expected.range()) for day, expected in zip(week.days, total.expected, strict=True)
    ]

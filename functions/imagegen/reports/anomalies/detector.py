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
from imagegen.reports.anomalies.hypothesis_tests import Tested, Trial, test
from imagegen.reports.anomalies.significance import Suspect, suspects

WEEKS_COMPARED = 12
WEEKS_NEEDED = 3
CREDITS_WORTH_TELLING = 20
"""What is about fewer credits is left out, however unlikely it is."""
MEDIUM_SHARE, HIGH_SHARE = 0.05, 0.25
"""An anomaly is of that severity from this share of a usual day's credits on;"""
HIGH_CHANCE = 1e-6
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
    tested, waiting = dict[Subject, Tested](), list[Subject]()
    for subject, counts in observed.items():
        weeks_before = history.get(subject, ())[-WEEKS_COMPARED:]
        if len(weeks_before) < WEEKS_NEEDED:
            waiting.append(subject)
        else:
            tested[subject] = test(subject, counts, weeks_before)
    day_credits = _usual_day(history.get(ALL_REQUESTS, ())[-WEEKS_COMPARED:])
    found = _found([trial for of_subject in tested.values() for trial in of_subject.trials])
    anomalies = [_anomaly(suspect, week.days, day_credits) for suspect in found]
    return Findings(
        sorted(anomalies, key=lambda anomaly: (-_SEVERITIES.index(anomaly.severity), -anomaly.credits)),
        _bands(week, tested[ALL_REQUESTS]) if ALL_REQUESTS in tested else (),
        len(tested),
        waiting,
    )


_SEVERITIES = list(Severity)


def _found(trials: Sequence[Trial]) -> list[Suspect]:
    """What is told of all significant trials.

    One event that shows in twenty series would make it easier for chance to pass as the twenty-first discovery. So the
    correction is done again without those that are explained by others.
    """
    found = suspects(trials)
    told = {(suspect.subject, suspect.worst.kind) for suspect in _told(found)}
    explained = {(suspect.subject, suspect.worst.kind) for suspect in found} - told
    return _told(suspects([trial for trial in trials if (trial.subject, trial.kind) not in explained]))


def _told(found: Sequence[Suspect]) -> list[Suspect]:
    """Of all that is large enough, what is not explained by the rest. A drift is told where no day of it stands out."""
    large = [suspect for suspect in found if suspect.credits >= CREDITS_WORTH_TELLING]
    told = []
    for rise, days_kind in ((True, AnomalyKind.SPIKE), (False, AnomalyKind.DROP)):
        days = unexplained([suspect for suspect in large if suspect.worst.kind is days_kind])
        subjects = {suspect.subject for suspect in days}
        drifts = [
            suspect for suspect in large if suspect.worst.kind is AnomalyKind.DRIFT and suspect.worst.rise is rise
        ]
        told += days + unexplained([suspect for suspect in drifts if suspect.subject not in subjects], days)
    return told + unexplained([suspect for suspect in large if suspect.worst.kind is AnomalyKind.FAILURES])


def _anomaly(suspect: Suspect, names: Sequence[str], day_credits: float) -> Anomaly:
    worst = suspect.worst
    days = [names[day] for day in suspect.days]
    return Anomaly(
        worst.subject,
        worst.kind,
        days[0] if days else None,
        worst.observed,
        worst.expected,
        *worst.range(),
        worst.p_value,
        _severity(suspect, day_credits),
        round(suspect.credits),
        sorted(days[1:]),
    )


def _severity(suspect: Suspect, day_credits: float) -> Severity:
    if suspect.credits >= HIGH_SHARE * day_credits and suspect.worst.p_value <= HIGH_CHANCE:
        return Severity.HIGH
    return Severity.MEDIUM if suspect.credits >= MEDIUM_SHARE * day_credits else Severity.LOW


def _usual_day(weeks: Sequence[Sequence[Counts]]) -> float:
    """The credits of an average day."""
    days = [counts.credits for week in weeks for counts in week]
    return sum(days) / len(days) if days else 0.0


def _bands(week: Week, total: Tested) -> list[Band]:
    return [
        Band(day, expected.mean, *expected.range()) for day, expected in zip(week.days, total.expected, strict=True)
    ]

"""What is significant after the correction for the number of tests, each subject's days taken together."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from imagegen.reports.anomalies.findings import AnomalyKind, Subject
from imagegen.reports.anomalies.hypothesis_tests import Trial, total

FALSE_DISCOVERIES = 0.02
"""The share of what is found that may be chance. Where nothing has changed, one week in fifty finds anything."""


SHARE_EXPLAINED = 2 / 3
"""What is at least this share of something larger explains it."""

_Question = tuple[Subject, AnomalyKind, bool]


@dataclass(frozen=True)
class Suspect:
    """The significant trials of one subject, kind and direction, the least likely first."""

    trials: Sequence[Trial]

    @property
    def worst(self) -> Trial:
        return self.trials[0]

    @property
    def subject(self) -> Subject:
        return self.worst.subject

    @property
    def credits(self) -> float:
        return sum(trial.credits for trial in self.trials)

    @property
    def days(self) -> list[int]:
        """Those that stand out, the worst first; none where it is about the whole week."""
        return [
            day for trial in self.trials for day in sorted(trial.days or (), key=lambda day: -self.worst.excess[day])
        ]

    def excess(self, days: Sequence[int] | None) -> float:
        """Requests (or failures) beyond the usual on these days or in the week; a user's of the week alone."""
        return total(self.worst.excess, days)

    def usual(self, days: Sequence[int] | None) -> float:
        return total(self.worst.usual, days)


def suspects(trials: Sequence[Trial]) -> list[Suspect]:
    """A run of days stands for failures only where its single days do not explain it, and so does the week."""
    found = defaultdict[_Question, list[Trial]](list)
    for trial in sorted(significant(trials), key=lambda trial: (len(trial.days or range(7)), trial.p_value)):
        shorter = [other for other in found[_question(trial)] if _share_days(trial, other)]
        if sum(other.credits for other in shorter) < SHARE_EXPLAINED * trial.credits:
            others = [other for other in found[_question(trial)] if other not in shorter]
            found[_question(trial)] = [*others, trial]
    return [Suspect(sorted(group, key=lambda trial: trial.p_value)) for group in found.values()]


def _share_days(one: Trial, other: Trial) -> bool:
    return one.days is None or other.days is None or not set(one.days).isdisjoint(other.days)


def significant(trials: Sequence[Trial]) -> list[Trial]:
    """Those of which at most a share of ``FALSE_DISCOVERIES`` is chance.

    The step-up procedure of Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J. R. Statist. Soc. B
    57, 1995, over the questions that are asked: a subject's spikes are one, its drift another. Series that count the
    same requests rise together, which it allows for.
    """
    p_values = corrected(trials)
    lowest = dict[_Question, float]()
    for trial, p_value in zip(trials, p_values, strict=True):
        question = _question(trial)
        lowest[question] = min(p_value, lowest.get(question, 1.0))
    thresholds = [rank / len(lowest) * FALSE_DISCOVERIES for rank in range(1, len(lowest) + 1)]
    passed = [
        threshold
        for p_value, threshold in zip(sorted(lowest.values()), thresholds, strict=True)
        if p_value <= threshold
    ]
    bar = max(passed, default=0.0)
    return [trial for trial, p_value in zip(trials, p_values, strict=True) if passed and p_value <= bar]


def corrected(trials: Sequence[Trial]) -> list[float]:
    """Each p-value times the number of tests that answer the same question, so that a drift counts as much as a week
    of spikes.
    """
    tests = Counter(_question(trial) for trial in trials)
    return [min(1.0, trial.p_value * tests[_question(trial)]) for trial in trials]


def _question(trial: Trial) -> _Question:
    return trial.subject, trial.kind, trial.rise

"""What is significant after the correction for the number of tests, each subject's days taken together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from imagegen.domain.anomalies.findings import Kind, Subject
from imagegen.domain.anomalies.trials import Trial, total

FALSE_DISCOVERIES = 0.02
"""The share of what is found that may be chance. Where nothing has changed, one week in fifty finds anything."""


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
    """A run of days stands for failures only where no single day of it does, and the week where no run does."""
    found = defaultdict[tuple[Subject, Kind, bool], list[Trial]](list)
    for trial in sorted(significant(trials), key=lambda trial: 7 if trial.days is None else len(trial.days)):
        taken = found[trial.subject, trial.kind, trial.rise]
        if not any(_share_days(trial, other) for other in taken):
            taken.append(trial)
    return [Suspect(sorted(group, key=lambda trial: trial.p_value)) for group in found.values()]


def _share_days(one: Trial, other: Trial) -> bool:
    return one.days is None or other.days is None or not set(one.days).isdisjoint(other.days)


def significant(trials: Sequence[Trial]) -> list[Trial]:
    """The least likely first, with at most a share of ``FALSE_DISCOVERIES`` among them that are chance.

    The step-up procedure of Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J. R. Statist. Soc. B
    57, 1995. Series that count the same requests rise together, which it allows for.
    """
    ordered = sorted(trials, key=lambda trial: trial.p_value)
    passing = [
        rank for rank, trial in enumerate(ordered, 1) if trial.p_value <= rank / len(ordered) * FALSE_DISCOVERIES
    ]
    return ordered[: max(passing, default=0)]

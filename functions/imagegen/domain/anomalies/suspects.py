"""What is significant after the correction for the number of tests, each subject's days taken together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from imagegen.domain.anomalies.findings import Kind, Scope, Subject
from imagegen.domain.anomalies.trials import Trial

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

    def excess(self, day: int | None) -> float:
        """Requests (or failures) beyond the usual on that day or in the week; a user's are only known of the week."""
        return self._of(self.worst.excess, day)

    def usual(self, day: int | None) -> float:
        return self._of(self.worst.usual, day)

    def _of(self, values: Sequence[float], day: int | None) -> float:
        return sum(values) if day is None or self.subject.scope is Scope.USER else values[day]


def suspects(trials: Sequence[Trial]) -> list[Suspect]:
    """A week's failures are only told where no single day's are."""
    found = defaultdict[tuple[Subject, Kind, bool], list[Trial]](list)
    for trial in significant(trials):
        found[trial.subject, trial.kind, trial.rise].append(trial)
    return [Suspect([trial for trial in group if trial.day is not None] or group) for group in found.values()]


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

"""What is significant after the correction for the number of tests, each subject's days taken together."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from imagegen.reports.anomalies.findings import AnomalyKind, Subject
from imagegen.reports.anomalies.hypothesis_tests import Result, total

FALSE_DISCOVERIES = 0.02
"""The share of what is found that may be chance. Where nothing has changed, one week in fifty finds anything."""


SHARE_EXPLAINED = 2 / 3
"""What is at least this share of something larger explains it."""

_Hypothesis = tuple[Subject, AnomalyKind, bool]


@dataclass(frozen=True)
class Deviation:
    """The significant results of one subject, kind and direction, the least likely first."""

    results: Sequence[Result]

    @property
    def worst(self) -> Result:
        return self.results[0]

    @property
    def subject(self) -> Subject:
        return self.worst.subject

    @property
    def credits(self) -> float:
        return sum(result.credits for result in self.results)

    @property
    def days(self) -> list[int]:
        """Those that stand out, the worst first; none where it is about the whole week."""
        return [
            day for result in self.results for day in sorted(result.days or (), key=lambda day: -self.worst.excess[day])
        ]

    def excess(self, days: Sequence[int] | None) -> float:
        """Requests (or failures) beyond the usual on these days or in the week; a user's of the week alone."""
        return total(self.worst.excess, days)

    def usual(self, days: Sequence[int] | None) -> float:
        return total(self.worst.usual, days)


def deviations(results: Sequence[Result]) -> list[Deviation]:
    """A run of days stands for failures only where its single days do not explain it, and so does the week."""
    found = defaultdict[_Hypothesis, list[Result]](list)
    for result in sorted(significant(results), key=lambda result: (len(result.days or range(7)), result.p_value)):
        shorter = [other for other in found[_hypothesis(result)] if _share_days(result, other)]
        if sum(other.credits for other in shorter) < SHARE_EXPLAINED * result.credits:
            others = [other for other in found[_hypothesis(result)] if other not in shorter]
            found[_hypothesis(result)] = [*others, result]
    return [Deviation(sorted(group, key=lambda result: result.p_value)) for group in found.values()]


def _share_days(one: Result, other: Result) -> bool:
    return one.days is None or other.days is None or not set(one.days).isdisjoint(other.days)


def significant(results: Sequence[Result]) -> list[Result]:
    """Those of which at most a share of ``FALSE_DISCOVERIES`` is chance.

    The step-up procedure of Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J. R. Statist. Soc. B
    57, 1995, over the questions that are asked: a subject's spikes are one, its drift another. Series that count the
    same requests rise together, which it allows for.
    """
    p_values = corrected(results)
    lowest = dict[_Hypothesis, float]()
    for result, p_value in zip(results, p_values, strict=True):
        hypothesis = _hypothesis(result)
        lowest[hypothesis] = min(p_value, lowest.get(hypothesis, 1.0))
    thresholds = [rank / len(lowest) * FALSE_DISCOVERIES for rank in range(1, len(lowest) + 1)]
    passed = [
        threshold
        for p_value, threshold in zip(sorted(lowest.values()), thresholds, strict=True)
        if p_value <= threshold
    ]
    bar = max(passed, default=0.0)
    return [result for result, p_value in zip(results, p_values, strict=True) if passed and p_value <= bar]


def corrected(results: Sequence[Result]) -> list[float]:
    """Each p-value times the number of tests that answer the same hypothesis, so that a drift counts as much as a week
    of spikes.
    """
    tests = Counter(_hypothesis(result) for result in results)
    return [min(1.0, result.p_value * tests[_hypothesis(result)]) for result in results]


def _hypothesis(result: Result) -> _Hypothesis:
    return result.subject, result.kind, result.rise

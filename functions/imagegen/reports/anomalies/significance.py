"""Selects the significant results, corrected for the number of tests, and merges the days of each subject."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from imagegen.dataclass import dataclass
from imagegen.reports.anomalies.findings import AnomalyKind, Subject
from imagegen.reports.anomalies.hypothesis_tests import Result, total

FALSE_DISCOVERIES = 0.02
"""The share of the significant results that may be chance. If nothing has changed, one week in fifty has any."""

SHARE_EXPLAINED = 2 / 3
"""A deviation explains a larger one if it has at least this share of the larger one's excess."""

_Hypothesis = tuple[Subject, AnomalyKind, bool]


@dataclass(frozen=True)
class Deviation:
    """The significant results of one subject, kind and direction, by p-value, smallest first."""

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
        """The deviating days, worst first. Empty for a deviation of the whole week."""
        return [
            day for result in self.results for day in sorted(result.days or (), key=lambda day: -self.worst.excess[day])
        ]

    def excess(self, days: Sequence[int] | None) -> float:
        """Return the excess requests (or failures) on these days, or in the week for a user or if ``days`` is None."""
        return total(self.worst.excess, days)

    def usual(self, days: Sequence[int] | None) -> float:
        """Return the usual requests (or failures) of the same days."""
        return total(self.worst.usual, days)


def deviations(results: Sequence[Result]) -> list[Deviation]:
    """Merge the significant results. A run of days, or the week, is left out if its single days explain it."""
    found = defaultdict[_Hypothesis, list[Result]](list)
    for result in sorted(significant(results), key=lambda result: (len(result.days or range(7)), result.p_value)):
        shorter = [other for other in found[_hypothesis(result)] if _share_days(result, other)]
        if sum(other.credits for other in shorter) < SHARE_EXPLAINED * result.credits:
            others = [other for other in found[_hypothesis(result)] if other not in shorter]
            found[_hypothesis(result)] = [*others, result]
    # A group is empty if its requests cost nothing.
    return [Deviation(sorted(group, key=lambda result: result.p_value)) for group in found.values() if group]


def _share_days(one: Result, other: Result) -> bool:
    return one.days is None or other.days is None or not set(one.days).isdisjoint(other.days)


def significant(results: Sequence[Result]) -> list[Result]:
    """Return the significant results, of which at most a share of ``FALSE_DISCOVERIES`` is chance.

    Uses the step-up procedure of Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J. R. Statist.
    Soc. B 57, 1995. All spike tests of a subject count as one hypothesis, its drift tests as another. The procedure
    allows for series that rise together because they count the same requests.
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
    threshold = max(passed, default=0.0)
    return [result for result, p_value in zip(results, p_values, strict=True) if passed and p_value <= threshold]


def corrected(results: Sequence[Result]) -> list[float]:
    """Return each p-value times the number of tests of the same hypothesis (Bonferroni).

    So one test for a drift counts as much as a week of tests for spikes.
    """
    tests = Counter(_hypothesis(result) for result in results)
    return [min(1.0, result.p_value * tests[_hypothesis(result)]) for result in results]


def _hypothesis(result: Result) -> _Hypothesis:
    return result.subject, result.kind, result.rise

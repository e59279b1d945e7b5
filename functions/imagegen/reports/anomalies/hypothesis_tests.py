"""Runs the statistical tests of one subject's week."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from imagegen.dataclass import dataclass
from imagegen.reports.anomalies.drift import drift
from imagegen.reports.anomalies.expectation import Expected, fit
from imagegen.reports.anomalies.failure_rate import Day, earlier_rate
from imagegen.reports.anomalies.findings import AnomalyKind, Counts, Scope, Subject

RUN_DAYS = 3
"""Failures are also tested over this many days in a row, because an outage does not end at midnight."""


@dataclass(frozen=True)
class Result:
    """The result of one test, significant or not.

    ``days`` are the tested days, 0 for Monday, or None for the whole week. ``observed``, ``expected`` and ``range`` are
    as in Anomaly. ``range`` is a function because few ranges are needed. ``usual`` and ``excess`` have one number for
    each day of the week: the usual requests (or failures), and the number beyond them in the tested direction, which
    is positive for a drop too. ``price`` is the credits of one request.
    """

    subject: Subject
    kind: AnomalyKind
    rise: bool
    days: Sequence[int] | None
    observed: float
    expected: float
    range: Callable[[], tuple[float, float]]
    p_value: float
    excess: Sequence[float]
    usual: Sequence[float]
    price: float

    @property
    def credits(self) -> float:
        """The price of the excess."""
        return self.price * total(self.excess, self.days)


def total(values: Sequence[float], days: Sequence[int] | None) -> float:
    """Return the sum for these days. Return the sum of the week if ``days`` is None or only the week is known."""
    return sum(values) if days is None or len(values) == 1 else sum(values[day] for day in days)


@dataclass(frozen=True)
class SubjectTests:
    """The results of a subject's tests, and the expected requests of each day."""

    results: Sequence[Result]
    expected: Sequence[Expected]


def test(subject: Subject, week: Sequence[Counts], weeks_before: Sequence[Sequence[Counts]]) -> SubjectTests:
    """Test each day for a spike and a drop, the week for a drift, and days, runs of days and the week for failures.

    A user is tested for a spike and for failures only, because users come and go.
    """
    requests = [counts.requests for counts in week]
    requests_before = [[counts.requests for counts in earlier] for earlier in weeks_before]
    fitted = fit(requests_before)
    expected = [fitted.at(day) for day in range(len(week))]
    tests = _Tests(subject, week, _price(week, weeks_before))
    results = [*tests.levels(expected), *tests.failures(weeks_before)]
    if subject.scope is not Scope.USER:
        results += tests.drifts(requests, requests_before)
    return SubjectTests(results, expected)


@dataclass(frozen=True)
class _Tests:
    subject: Subject
    week: Sequence[Counts]
    price: float

    def levels(self, expected: Sequence[Expected]) -> Iterator[Result]:
        usual = [day.mean for day in expected]
        for number, (day, counts) in enumerate(zip(expected, self.week, strict=True)):
            fall, rise = day.tails(counts.requests)
            when = None if self.subject.scope is Scope.USER else [number]
            numbers = (when, counts.requests, day.mean, day.range)
            yield self._result(AnomalyKind.SPIKE, True, *numbers, rise, self._excess(usual, +1), usual)
            if self.subject.scope is not Scope.USER:
                yield self._result(AnomalyKind.DROP, False, *numbers, fall, self._excess(usual, -1), usual)

    def drifts(self, requests: Sequence[int], before: Sequence[Sequence[int]]) -> Iterator[Result]:
        found = drift(requests, before)
        if found is None:
            return
        numbers = (None, sum(requests), found.expected.mean, found.expected.range)
        yield self._result(AnomalyKind.DRIFT, True, *numbers, found.rise, self._excess(found.usual, +1), found.usual)
        yield self._result(AnomalyKind.DRIFT, False, *numbers, found.fall, self._excess(found.usual, -1), found.usual)

    def failures(self, weeks_before: Sequence[Sequence[Counts]]) -> Iterator[Result]:
        rate = earlier_rate([Day(counts.requests, counts.failed) for week in weeks_before for counts in week])
        days = [Day(counts.requests, counts.failed) for counts in self.week]
        usual = [day.requests * rate.rate for day in days]
        excess = [day.failed - expected for day, expected in zip(days, usual, strict=True)]
        runs = [range(first, first + length) for length in (1, RUN_DAYS) for first in range(len(days) - length + 1)]
        for run in [*runs, None] if len(days) > 1 else [None]:
            tested = days if run is None else [days[day] for day in run]
            requests = sum(day.requests for day in tested)
            if requests:
                observed = sum(day.failed for day in tested) / requests
                numbers = (run, observed, rate.rate, partial(rate.range, tested))
                yield self._result(AnomalyKind.FAILURES, True, *numbers, rate.tail(tested), excess, usual)

    def _excess(self, usual: Sequence[float], sign: int) -> Sequence[float]:
        return [sign * (counts.requests - expected) for counts, expected in zip(self.week, usual, strict=True)]

    def _result(
        self, kind: AnomalyKind, rise: bool, days: Sequence[int] | None, observed: float, expected: float,
        range: Callable[[], tuple[float, float]], p_value: float, excess: Sequence[float], usual: Sequence[float],
    ) -> Result:  # fmt: skip
        return Result(self.subject, kind, rise, days, observed, expected, range, p_value, excess, usual, self.price)


def _price(week: Sequence[Counts], weeks_before: Sequence[Sequence[Counts]]) -> float:
    """Return the average credits of a request in this week, or in the weeks before if this week has no request."""
    for weeks in ([week], weeks_before):
        requests = sum(counts.requests for of_week in weeks for counts in of_week)
        if requests:
            return sum(counts.credits for of_week in weeks for counts in of_week) / requests
    return 0.0

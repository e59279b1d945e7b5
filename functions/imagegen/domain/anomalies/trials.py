"""All tests of one subject's week."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagegen.domain.anomalies.drift import drift
from imagegen.domain.anomalies.expectation import Expected, fit
from imagegen.domain.anomalies.failure_rate import Day, earlier_rate
from imagegen.domain.anomalies.findings import Counts, Kind, Scope, Subject


@dataclass(frozen=True)
class Trial:
    """A test, whether it found something or not.

    ``day`` is 0 for Monday, None for the whole week. ``observed``, ``expected``, ``low`` and ``high`` are what an
    Anomaly says. ``excess`` are, for each day, the requests (or failed requests) beyond ``usual`` in the direction that
    is tested: positive for a drop as well.
    """

    subject: Subject
    kind: Kind
    rise: bool
    day: int | None
    observed: float
    expected: float
    low: float
    high: float
    p_value: float
    excess: Sequence[float]
    usual: Sequence[float]
    price: float

    @property
    def credits(self) -> float:
        """The price of the excess."""
        return self.price * (sum(self.excess) if self.day is None else self.excess[self.day])


@dataclass(frozen=True)
class Tested:
    """A subject's tests, and the requests that were expected of its days."""

    trials: Sequence[Trial]
    expected: Sequence[Expected]


def test(subject: Subject, week: Sequence[Counts], weeks_before: Sequence[Sequence[Counts]]) -> Tested:
    """Tests each day for a spike, a drop and failures, and the week for drift and failures.

    Users come and go: of them a spike and failures alone are told.
    """
    requests = [counts.requests for counts in week]
    requests_before = [[counts.requests for counts in earlier] for earlier in weeks_before]
    fitted = fit(requests_before)
    expected = [fitted.at(day) for day in range(len(week))]
    tests = _Tests(subject, week, _price(week, weeks_before))
    trials = [*tests.levels(expected), *tests.failures(weeks_before)]
    if subject.scope is not Scope.USER:
        trials += tests.drifts(requests, requests_before)
    return Tested(trials, expected)


@dataclass(frozen=True)
class _Tests:
    subject: Subject
    week: Sequence[Counts]
    price: float

    def levels(self, expected: Sequence[Expected]) -> Iterator[Trial]:
        usual = [day.mean for day in expected]
        for number, (day, counts) in enumerate(zip(expected, self.week, strict=True)):
            fall, rise = day.tails(counts.requests)
            when = None if self.subject.scope is Scope.USER else number
            low, high = day.range
            numbers = (when, counts.requests, day.mean, low, high)
            yield self._trial(Kind.SPIKE, True, *numbers, rise, self._excess(usual, +1), usual)
            if self.subject.scope is not Scope.USER:
                yield self._trial(Kind.DROP, False, *numbers, fall, self._excess(usual, -1), usual)

    def drifts(self, requests: Sequence[int], before: Sequence[Sequence[int]]) -> Iterator[Trial]:
        found = drift(requests, before)
        if found is None:
            return
        numbers = (None, sum(requests), found.expected.mean, *found.expected.range)
        yield self._trial(Kind.DRIFT, True, *numbers, found.rise, self._excess(found.usual, +1), found.usual)
        yield self._trial(Kind.DRIFT, False, *numbers, found.fall, self._excess(found.usual, -1), found.usual)

    def failures(self, weeks_before: Sequence[Sequence[Counts]]) -> Iterator[Trial]:
        rate = earlier_rate([Day(counts.requests, counts.failed) for week in weeks_before for counts in week])
        days = [Day(counts.requests, counts.failed) for counts in self.week]
        usual = [day.requests * rate.rate for day in days]
        excess = [day.failed - expected for day, expected in zip(days, usual, strict=True)]
        single = [(number, [day]) for number, day in enumerate(days)] if len(days) > 1 else []
        for number, tested in [*single, (None, days)]:
            requests = sum(day.requests for day in tested)
            if requests:
                low, high = rate.range(tested)
                failed = sum(day.failed for day in tested)
                yield self._trial(
                    Kind.FAILURES, True, number, failed / requests, rate.rate, low / requests, high / requests,
                    rate.tail(tested), excess, usual,
                )  # fmt: skip

    def _excess(self, usual: Sequence[float], sign: int) -> Sequence[float]:
        return [sign * (counts.requests - expected) for counts, expected in zip(self.week, usual, strict=True)]

    def _trial(
        self, kind: Kind, rise: bool, day: int | None, observed: float, expected: float, low: float, high: float,
        p_value: float, excess: Sequence[float], usual: Sequence[float],
    ) -> Trial:  # fmt: skip
        return Trial(self.subject, kind, rise, day, observed, expected, low, high, p_value, excess, usual, self.price)


def _price(week: Sequence[Counts], weeks_before: Sequence[Sequence[Counts]]) -> float:
    """Credits of a request: this week's, or the earlier ones' where there is none this week."""
    for weeks in ([week], weeks_before):
        requests = sum(counts.requests for of_week in weeks for counts in of_week)
        if requests:
            return sum(counts.credits for of_week in weeks for counts in of_week) / requests
    return 0.0

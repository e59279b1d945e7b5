"""Tests of the limits on new requests, on canceled runs and on running requests."""

from datetime import timedelta

import pytest

from imagegen.domain.limits import Activity, Limits, TooFast
from tests.support.times import NOON

LIMITS = Limits(  # one request in ten seconds
    burst=3, per_minute=6, concurrent=1, canceled_runs_per_day=4, calls_per_minute=9, resends_per_hour=8
)


def admitted(activity: Activity, *seconds: float) -> list[bool]:
    """Return, for each request at these seconds after noon, whether it was admitted."""
    outcomes = []
    for second in seconds:
        try:
            activity = activity.paced(LIMITS, NOON + timedelta(seconds=second))
        except TooFast:
            outcomes.append(False)
        else:
            outcomes.append(True)
    return outcomes


def test_first_burst_is_admitted_and_no_more() -> None:
    assert admitted(Activity(), 0, 0, 0, 0, 1, 9.9) == [True, True, True, False, False, False]


def test_each_interval_earns_one_request() -> None:
    assert admitted(Activity(), 0, 0, 0, 10, 10, 20, 29) == [True, True, True, True, False, True, False]


def test_idle_time_earns_at_most_a_burst() -> None:
    assert admitted(Activity(), 0, 0, 0, 3600, 3600, 3600, 3600) == [True] * 6 + [False]


def test_steady_rate_is_never_refused() -> None:
    assert all(admitted(Activity(), *range(0, 1000, 10)))


def test_refusal_costs_nothing_and_returns_retry_after() -> None:
    activity = Activity()
    for _ in range(3):
        activity = activity.paced(LIMITS, NOON)
    for second in (1, 4, 9):
        with pytest.raises(TooFast) as refused:
            activity.paced(LIMITS, NOON + timedelta(seconds=second))
        assert refused.value.retry_after_seconds == 10 - second
    activity.paced(LIMITS, NOON + timedelta(seconds=10))


def test_clock_that_was_ahead_blocks_for_at_most_one_interval() -> None:
    activity = Activity().paced(LIMITS, NOON + timedelta(days=1))
    with pytest.raises(TooFast) as refused:
        activity.paced(LIMITS, NOON)
    assert refused.value.retry_after_seconds <= 10


def test_running_requests_are_removed_by_id() -> None:
    activity = Activity().started("a").started("b").started("c")
    assert activity.ended("b", "unheard of").running == ("a", "c")


def test_canceled_runs_of_a_day_are_admitted_at_once_and_then_one_by_one() -> None:
    activity = Activity(running=("a",))
    for _ in range(4):
        activity = activity.run_canceled(LIMITS, NOON)
    assert activity.running == ("a",)
    with pytest.raises(TooFast) as refused:
        activity.run_canceled(LIMITS, NOON)
    assert refused.value.retry_after_seconds == 6 * 3600
    later = activity.run_canceled(LIMITS, NOON + timedelta(hours=6))
    with pytest.raises(TooFast):
        later.run_canceled(LIMITS, NOON + timedelta(hours=11))


def test_canceled_runs_and_requests_have_separate_rates() -> None:
    activity = Activity()
    for _ in range(3):
        activity = activity.paced(LIMITS, NOON).run_canceled(LIMITS, NOON)
    with pytest.raises(TooFast):
        activity.paced(LIMITS, NOON)
    activity.run_canceled(LIMITS, NOON)

"""How many requests are admitted, and when."""

from datetime import timedelta

import pytest

from imagegen.domain.limits import Activity, Limits, TooFast
from tests.support.times import NOON

LIMITS = Limits(burst=3, per_minute=6, concurrent=1)  # one in ten seconds


def admitted(activity: Activity, *seconds: float) -> list[bool]:
    """Whether requests at these seconds after noon get through, one after the other."""
    outcomes = []
    for second in seconds:
        try:
            activity = activity.paced(LIMITS, NOON + timedelta(seconds=second))
        except TooFast:
            outcomes.append(False)
        else:
            outcomes.append(True)
    return outcomes


def test_after_a_pause_a_burst_is_admitted_and_no_more() -> None:
    assert admitted(Activity(), 0, 0, 0, 0, 1, 9.9) == [True, True, True, False, False, False]


def test_each_interval_earns_one_request() -> None:
    assert admitted(Activity(), 0, 0, 0, 10, 10, 20, 29) == [True, True, True, True, False, True, False]


def test_a_long_pause_earns_no_more_than_a_burst() -> None:
    assert admitted(Activity(), 0, 0, 0, 3600, 3600, 3600, 3600) == [True] * 6 + [False]


def test_whoever_keeps_to_the_pace_is_never_refused() -> None:
    assert all(admitted(Activity(), *range(0, 1000, 10)))


def test_a_refusal_costs_nothing_and_says_when_to_come_again() -> None:
    activity = Activity()
    for _ in range(3):
        activity = activity.paced(LIMITS, NOON)
    for second in (1, 4, 9):
        with pytest.raises(TooFast) as refused:
            activity.paced(LIMITS, NOON + timedelta(seconds=second))
        assert refused.value.retry_after == timedelta(seconds=10 - second)
    activity.paced(LIMITS, NOON + timedelta(seconds=10))


def test_a_clock_that_was_ahead_locks_nobody_out_for_longer_than_an_interval() -> None:
    activity = Activity().paced(LIMITS, NOON + timedelta(days=1))
    with pytest.raises(TooFast) as refused:
        activity.paced(LIMITS, NOON)
    assert refused.value.retry_after <= LIMITS.interval


def test_what_runs_is_known_by_name() -> None:
    activity = Activity().started("a").started("b").started("c")
    assert activity.ended("b", "unheard of").running == ("a", "c")

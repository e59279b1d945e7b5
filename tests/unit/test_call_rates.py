"""Tests of the rate of calls that an instance keeps in memory."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from imagegen.domain.limits import Rate
from imagegen.errors import RateLimited
from imagegen.services import call_rates
from imagegen.services.call_rates import CallRates
from tests.support.times import NOON
from tools.fakes import ManualClock

RATE = Rate(burst=3, interval=timedelta(seconds=20))


def admits(rates: CallRates, user_id: str) -> bool:
    try:
        rates.admit(user_id)
    except RateLimited:
        return False
    return True


def test_each_user_has_a_burst_and_then_earns_one_call_after_the_other() -> None:
    clock = ManualClock(NOON)
    rates = CallRates(RATE, clock)
    assert [admits(rates, "ada") for _ in range(5)] == [True, True, True, False, False]
    assert admits(rates, "bob")
    clock.at += timedelta(seconds=19.5)
    with pytest.raises(RateLimited) as refused:
        rates.admit("ada")
    assert refused.value.details == {"reason": "RATE_LIMITED", "retryAfterSeconds": 1}
    clock.at += timedelta(seconds=0.5)
    assert [admits(rates, "ada") for _ in range(2)] == [True, False]


def test_least_recent_caller_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_rates, "USERS_MAX", 2)
    rates = CallRates(Rate(burst=1, interval=timedelta(hours=1)), clock := ManualClock(NOON))
    assert admits(rates, "ada")
    assert admits(rates, "bob")
    clock.at += timedelta(hours=1)
    assert admits(rates, "ada")  # now more recent than bob
    assert admits(rates, "cleo")
    assert [admits(rates, user) for user in ("ada", "cleo", "bob")] == [False, False, True]


def test_number_of_remembered_users_is_bounded() -> None:
    rates = CallRates(RATE, ManualClock(NOON))
    for number in range(call_rates.USERS_MAX + 100):
        rates.admit(f"user-{number}")
    assert len(rates._earned_at) == call_rates.USERS_MAX


def test_simultaneous_calls_do_not_exceed_the_rate() -> None:
    rates = CallRates(Rate(burst=50, interval=timedelta(hours=1)), ManualClock(NOON))
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: admits(rates, "ada"), range(2_000))) == 50

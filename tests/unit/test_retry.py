"""Tests of retries: after which errors, how often and for how long."""

import random
from datetime import UTC, datetime

import pytest

from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.services.retry import MAX_DELAY_SECONDS, Retry
from tools.fakes import ManualClock

START = datetime(2026, 11, 9, tzinfo=UTC)


@pytest.mark.parametrize("error", [CommitRefused, OutcomeUnknown, DatabaseUnavailable])
def test_temporary_error_is_retried(error: type[Exception]) -> None:
    def attempt(tries: int) -> int:
        if tries < 5:
            raise error
        return tries

    assert Retry(ManualClock(START), random.Random(1), timeout_seconds=20)(attempt) == 5


def test_timeout_ends_retries_with_the_last_error() -> None:
    clock, tries_made = ManualClock(START), []

    def attempt(tries: int) -> None:
        tries_made.append(tries)
        raise CommitRefused(str(tries))

    with pytest.raises(CommitRefused) as refused:
        Retry(clock, random.Random(1), timeout_seconds=20)(attempt)
    assert str(refused.value) == str(tries_made[-1])
    waited = (clock.at - START).total_seconds()
    assert 20 - MAX_DELAY_SECONDS <= waited <= 20


def test_bug_is_not_retried() -> None:
    def attempt(tries: int) -> None:
        assert tries == 0
        raise KeyError("bug")

    with pytest.raises(KeyError):
        Retry(ManualClock(START), random.Random(1), timeout_seconds=20)(attempt)


def test_delays_are_jittered() -> None:
    def waited(seed: int) -> float:
        clock = ManualClock(START)

        def attempt(tries: int) -> None:
            if tries < 6:
                raise CommitRefused

        Retry(clock, random.Random(seed), timeout_seconds=20)(attempt)
        return (clock.at - START).total_seconds()

    assert len({waited(seed) for seed in range(20)}) == 20


def test_unknown_outcome_is_raised_even_after_later_refusals() -> None:
    def attempt(tries: int) -> None:
        raise OutcomeUnknown("lost") if tries == 0 else CommitRefused("another commit was first")

    with pytest.raises(OutcomeUnknown, match="lost"):
        Retry(ManualClock(START), random.Random(1), timeout_seconds=20)(attempt)

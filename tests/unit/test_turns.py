"""Tests of the turns that simultaneous calls of a user take, with real threads."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagegen.services.turns import Turns
from tests.support.progress import PROGRESS_SECONDS, eventually


@pytest.fixture
def release() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


def hold(turns: Turns, user_id: str, release: threading.Event) -> threading.Thread:
    """Take a turn of the user in another thread, until ``release``."""
    held = threading.Event()

    def run() -> None:
        with turns.of(user_id):
            held.set()
            release.wait(PROGRESS_SECONDS)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert held.wait(PROGRESS_SECONDS)
    return thread


def test_calls_of_a_user_run_one_after_the_other() -> None:
    turns, running, most = Turns(PROGRESS_SECONDS), list[int](), list[int]()

    def call(number: int) -> None:
        with turns.of("user"):
            running.append(number)
            most.append(len(running))
            running.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(200)))
    assert (max(most), len(most)) == (1, 200)


def test_calls_of_other_users_do_not_wait(release: threading.Event) -> None:
    turns = Turns(PROGRESS_SECONDS)
    hold(turns, "user", release)
    with turns.of("other"):
        assert not release.is_set()


def test_call_goes_on_without_a_turn_after_the_longest_wait(release: threading.Event) -> None:
    turns = Turns(seconds_max=0.01)
    holder = hold(turns, "user", release)
    with turns.of("user"):
        assert holder.is_alive()


def test_only_users_with_running_calls_are_remembered(release: threading.Event) -> None:
    turns = Turns(seconds_max=0.01)
    holder = hold(turns, "user", release)
    with turns.of("user"):
        pass
    assert len(turns._turns) == 1
    release.set()
    eventually(lambda: not holder.is_alive())
    with pytest.raises(KeyError), turns.of("another"):
        raise KeyError
    assert turns._turns == {}

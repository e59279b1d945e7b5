"""Tests of calls with a deadline, with real threads."""

import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from imagegen.deadlines import DeadlineExceeded, Deadlines
from tests.support.progress import PROGRESS_SECONDS, eventually


@pytest.fixture
def release() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


def test_result_is_returned() -> None:
    assert Deadlines().run(lambda: 17, 5) == 17


def test_exception_is_raised() -> None:
    def fail() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        Deadlines().run(fail, 5)


def test_call_has_the_context_of_its_caller() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("the caller's")
    assert Deadlines().run(variable.get, 5) == "the caller's"


def test_call_that_hangs_is_left_at_its_deadline(release: threading.Event) -> None:
    with pytest.raises(DeadlineExceeded, match=r"0\.01 s"):
        Deadlines().run(lambda: release.wait(PROGRESS_SECONDS), 0.01)


def test_late_calls_are_counted_until_they_end(release: threading.Event) -> None:
    deadlines = Deadlines(late_calls_max=3)
    for _ in range(3):
        assert not deadlines.is_full
        with pytest.raises(DeadlineExceeded):
            deadlines.run(lambda: release.wait(PROGRESS_SECONDS), 0.01)
    assert deadlines.is_full
    release.set()
    eventually(lambda: not deadlines.is_full)


def test_calls_that_end_in_time_are_not_counted() -> None:
    deadlines = Deadlines(late_calls_max=1)
    for _ in range(5):
        deadlines.run(lambda: None, 5)
    assert not deadlines.is_full


def test_calls_one_after_the_other_share_a_thread() -> None:
    used = {Deadlines().run(threading.get_ident, 5) for _ in range(20)}
    assert len(used) < 5  # one, unless late calls of other tests end in between


def test_thread_of_a_late_call_is_used_again_after_its_end(release: threading.Event) -> None:
    late = list[int]()

    def hang() -> None:
        release.wait(PROGRESS_SECONDS)
        late.append(threading.get_ident())

    with pytest.raises(DeadlineExceeded):
        Deadlines().run(hang, 0.01)
    assert Deadlines().run(lambda: 17, 5) == 17  # in another thread
    release.set()
    eventually(lambda: bool(late))
    eventually(lambda: Deadlines().run(threading.get_ident, 5) == late[0])

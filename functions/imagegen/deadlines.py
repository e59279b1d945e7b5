"""Runs calls with a deadline of ours, whatever their own timeouts are.

A client's timeouts are for each step: each address of a name, each part of an answer, each retry. Together they may
take minutes.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

LATE_CALLS_MAX = 8
"""Half of an instance's threads (THREADS in .env)."""

T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The call has not ended by its deadline. It may still have an effect."""


class Deadlines:
    """Runs calls of one kind, each in a thread of its own, and waits for each until its deadline.

    Python cannot stop a thread. After the deadline, the call is late: its thread continues as a daemon, and its result
    is discarded. While ``is_full``, no further call should start.
    """

    def __init__(self, late_calls_max: int = LATE_CALLS_MAX) -> None:
        self._late_calls_max = late_calls_max
        self._lock = threading.Lock()
        self._late: list[Future[Any]] = []

    @property
    def is_full(self) -> bool:
        """Return whether ``late_calls_max`` calls are late and have not ended yet."""
        return len(self._still_late()) >= self._late_calls_max

    def run(self, call: Callable[[], T], seconds: float) -> T:
        """Return the result of ``call``, or raise its exception. Raises DeadlineExceeded after ``seconds``."""
        result = start(call)
        wait([result], timeout=seconds)
        if not result.done():
            self._still_late(result)
            raise DeadlineExceeded(f"no result within {seconds:g} s")
        return result.result()

    def _still_late(self, *more: Future[Any]) -> list[Future[Any]]:
        with self._lock:
            self._late = [result for result in (*self._late, *more) if not result.done()]
            return self._late


Work = tuple[Callable[[], Any], Future[Any]]

_idle: list[SimpleQueue[Work]] = []
"""The threads that wait for a call, each as its queue. To start one for each call would cost more than most calls."""


def start(call: Callable[[], T]) -> Future[T]:
    """Run a call in an idle thread, or in a new one. So there are as many threads as calls ran at the same time."""
    result: Future[T] = Future()
    try:
        queue = _idle.pop()
    except IndexError:
        queue = SimpleQueue()
        threading.Thread(target=_run_all, args=(queue,), name="call", daemon=True).start()
    queue.put((partial(copy_context().run, call), result))
    return result


def _run_all(queue: SimpleQueue[Work]) -> None:
    while True:
        _run(*queue.get(), queue)


def _run(call: Callable[[], Any], result: Future[Any], queue: SimpleQueue[Work]) -> None:
    """Run a call. The thread is idle before the caller has the result, so the caller's next call finds it."""
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001 - every exception is passed to the waiting caller
        _idle.append(queue)
        result.set_exception(error)
    else:
        _idle.append(queue)
        result.set_result(value)

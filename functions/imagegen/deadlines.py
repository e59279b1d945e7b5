"""Runs calls with a deadline of ours, whatever their own timeouts are.

A client's timeouts are for each step: each address of a name, each part of an answer, each retry. Together they may
take minutes.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import TypeVar

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
        self._late: list[threading.Thread] = []

    @property
    def is_full(self) -> bool:
        """Return whether ``late_calls_max`` calls are late and have not ended yet."""
        return len(self._still_late()) >= self._late_calls_max

    def run(self, call: Callable[[], T], seconds: float) -> T:
        """Return the result of ``call``, or raise its exception. Raises DeadlineExceeded after ``seconds``."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(call())
            except BaseException as error:  # noqa: BLE001 - every exception is passed to the waiting caller
                result.set_exception(error)

        thread = threading.Thread(target=copy_context().run, args=(run,), name="with-deadline", daemon=True)
        thread.start()
        wait([result], timeout=seconds)
        if not result.done():
            self._still_late(thread)
            raise DeadlineExceeded(f"no result within {seconds:g} s")
        return result.result()

    def _still_late(self, *more: threading.Thread) -> list[threading.Thread]:
        with self._lock:
            self._late = [thread for thread in (*self._late, *more) if thread.is_alive()]
            return self._late

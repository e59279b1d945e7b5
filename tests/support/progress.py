"""Waiting for progress of other threads."""

import time
from collections.abc import Callable

PROGRESS_SECONDS = 20
"""Fails a test that makes no progress. No test waits for it."""


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true. Fail after PROGRESS_SECONDS."""
    deadline = time.monotonic() + PROGRESS_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"the condition was still false after {PROGRESS_SECONDS} s"
        time.sleep(0.001)

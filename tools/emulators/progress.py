"""Waits until a process is ready, for as long as it makes progress. So a slow machine does not matter."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable

import psutil

STALL_SECONDS = 60
"""The wait ends after this long without progress."""
_BUSY_SECONDS = 6
"""This much processor time is progress. Emulators that only wait use less in STALL_SECONDS."""
_LIMIT_SECONDS = 900
_LOOK_SECONDS = 1


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log_bytes: Callable[[], int]) -> bool:
    """Wait until ready, and return True. Return False once the process ended or makes no progress.

    Progress is a log that grows, or processor time that the process and its descendants use.
    """
    start = progressed = looked = time.monotonic()
    logged, busy = log_bytes(), 0.0
    while process.poll() is None:
        if ready():
            return True
        now = time.monotonic()
        if now - looked >= _LOOK_SECONDS:
            looked = now
            logged_now, busy_now = log_bytes(), _processor_seconds(process.pid)
            # If the processor time has dropped, a descendant ended, which is progress too.
            if logged_now > logged or busy_now >= busy + _BUSY_SECONDS or busy_now < busy:
                progressed, logged, busy = now, logged_now, busy_now
        if now - progressed >= STALL_SECONDS or now - start >= _LIMIT_SECONDS:
            break
        time.sleep(0.1)
    return False


def _processor_seconds(pid: int) -> float:
    seconds = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                times = each.cpu_times()
                seconds += times.user + times.system
    return seconds

"""Tests of waiting for emulators to start."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.emulators import progress

STALL_SECONDS = 0.6
SLEEP = "import time; time.sleep(60)"
LOG = "import time\nwhile True: print('another line', flush=True); time.sleep(0.2)"
WORK = "while True: pass"
WORK_IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORK!r}])"


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STALL_SECONDS", STALL_SECONDS)
    monkeypatch.setattr(progress, "_BUSY_SECONDS", 0.02)
    monkeypatch.setattr(progress, "_LOOK_SECONDS", 0.1)


@contextmanager
def running(script: str, log: Path) -> Iterator[Callable[[Callable[[], bool]], bool]]:
    """Run a script. Yield a function that waits until the script is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", script], stdout=output, start_new_session=True)
    try:
        yield lambda ready: progress.wait_until(ready, process, lambda: log.stat().st_size)
    finally:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=False, capture_output=True)
        process.wait()


@pytest.mark.parametrize("script", [LOG, WORK, WORK_IN_A_CHILD])
def test_wait_continues_while_there_is_progress(script: str, tmp_path: Path) -> None:
    ready_at = time.monotonic() + 1.5 * STALL_SECONDS
    with running(script, tmp_path / "log") as wait_until:
        assert wait_until(lambda: time.monotonic() > ready_at)


def test_wait_ends_if_the_start_stalls(tmp_path: Path) -> None:
    start = time.monotonic()
    with running(SLEEP, tmp_path / "log") as wait_until:
        assert not wait_until(lambda: False)
    assert time.monotonic() - start >= STALL_SECONDS


def test_wait_ends_if_the_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STALL_SECONDS", 600)
    with running("", tmp_path / "log") as wait_until:
        assert not wait_until(lambda: False)


def test_wait_ends_after_the_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STALL_SECONDS", 600)
    monkeypatch.setattr(progress, "_LIMIT_SECONDS", 0.3)
    with running(LOG, tmp_path / "log") as wait_until:
        assert not wait_until(lambda: False)

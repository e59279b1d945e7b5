"""Starting `make start` with the real Firebase CLI, and watching its processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.live import until
from tools.emulators.project import ROOT

LAUNCHER = [sys.executable, "-m", "tools.emulators.start"]
# Firestore alone starts in two seconds. The CLI starts it in a separate session.
FIRESTORE = ("--only", "firestore")


def descendants(pid: int) -> list[psutil.Process]:
    """Return the process and all its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def cli_of(launcher_pid: int) -> psutil.Process:
    """Return the process of the Firebase CLI, the only child of the launcher."""
    [cli] = psutil.Process(launcher_pid).children()
    return cli


def names(processes: list[psutil.Process]) -> str:
    return " ".join(process.name() for process in processes)


def survivors(processes: list[psutil.Process], timeout_seconds: float = 15) -> list[psutil.Process]:
    """Wait up to the timeout for the processes to end. Return those that are still running."""
    deadline = time.monotonic() + timeout_seconds
    while left := [process for process in processes if _is_alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def in_a_terminal(project: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int, list[psutil.Process]]]:
    """Run the launcher in a terminal. Yield it when the emulator runs, with the terminal and all processes."""
    master, terminal = os.openpty()
    launcher = subprocess.Popen(
        [*LAUNCHER, *FIRESTORE],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        | {"PYTHONPATH": str(ROOT)},
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    output = b""
    while b"Press Ctrl-C to stop" not in output:
        output += os.read(master, 10_000)
    processes = descendants(launcher.pid)
    assert "java" in names(processes)
    yield launcher, master, processes


@contextmanager
def started(project: Path, *command: str) -> Iterator[tuple["subprocess.Popen[bytes]", list[psutil.Process]]]:
    """Run a command that starts the launcher. Yield it when the emulator runs, with all processes below it."""
    log = project / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        until(lambda: "Press Ctrl-C to stop" in log.read_text(), seconds=60)
        processes = descendants(process.pid)
        assert "java" in names(processes)
        yield process, processes

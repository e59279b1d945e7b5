"""Tests of more ways in which `make start` ends with the real Firebase CLI."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.launched import FIRESTORE, LAUNCHER, cli_of, descendants, in_a_terminal, started, survivors
from tests.support.scale import only_full
from tools.emulators.suite import Suite, workspace

pytestmark = only_full


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return workspace(tmp_path / "project")


def test_a_terminal_that_is_closed_without_a_signal_leaves_no_process(project: Path) -> None:
    """The launcher gets no SIGHUP if another process leads the terminal's session. Its writes fail."""
    with in_a_terminal(project) as (launcher, terminal, processes):
        os.close(terminal)
        assert launcher.wait(30) == 0
        assert survivors(processes, timeout_seconds=1) == []


def test_a_terminated_make_leaves_no_process(project: Path) -> None:
    """`make` forwards SIGTERM, but leaves SIGINT to the terminal."""
    (project / "Makefile").write_text(f"start:\n\t@{' '.join([*LAUNCHER, *FIRESTORE])}\n")
    with started(project, "make", "start") as (make, processes):
        make.terminate()
        assert survivors(processes) == []


def test_a_second_interrupt_kills_a_cli_that_hangs(project: Path) -> None:
    with Suite(project, *FIRESTORE) as suite:
        processes = descendants(suite.process.pid)
        cli_of(suite.process.pid).suspend()
        suite.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            suite.process.wait(1)
        suite.process.send_signal(signal.SIGINT)
        assert suite.process.wait(5) == 0
        assert survivors(processes, timeout_seconds=1) == []

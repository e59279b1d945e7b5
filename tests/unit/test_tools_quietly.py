"""Tests of `tools.quietly`, which runs the installation commands of `make`."""

import os
import signal
import subprocess
import sys

import pytest

from tools import quietly
from tools.emulators.project import ROOT


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_success_shows_dots_and_no_output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(quietly, "_DOT_SECONDS", 0.1)
    assert quietly.run(python("import time; print('chatter'); time.sleep(0.5)")) == 0
    out, err = capsys.readouterr()
    assert set(out) == {"."}
    assert err == ""


def test_failure_shows_command_output_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    command = python("import sys; print('one'); print('two', file=sys.stderr); sys.exit(7)")
    assert quietly.run(command) == 7
    message = capsys.readouterr().err
    assert " ".join(command) in message
    assert "failed with exit code 7" in message
    assert "one" in message
    assert "two" in message


def test_killed_command_returns_128_plus_the_signal() -> None:
    assert quietly.run(["sh", "-c", "kill -9 $$"]) == 128 + signal.SIGKILL


IGNORING_CTRL_C = (
    f"{sys.executable} -c 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)'"
)

WITH_CTRL_C = python(
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Starts a command that Ctrl-C ends even if these tests run as a background job, which ignores Ctrl-C."""


QUIETLY = f"{sys.executable} -m tools.quietly"
IMPATIENT = (
    f"{sys.executable} -c 'import sys; from tools import quietly; quietly._INTERRUPTED_SECONDS = 0.1; "
    "sys.exit(quietly.main(sys.argv[1:]))'"
)
"""Waits less for a command to end after Ctrl-C."""


@pytest.mark.parametrize(("quietly", "command"), [(QUIETLY, "sleep 600"), (IMPATIENT, IGNORING_CTRL_C)])
def test_ctrl_c_ends_the_command_and_its_shell(quietly: str, command: str) -> None:
    shell = subprocess.Popen(
        [*WITH_CTRL_C, "bash", "-c", f"{quietly} {command} || echo went on"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert shell.stdout is not None
    assert shell.stdout.read(1) == "."
    os.killpg(shell.pid, signal.SIGINT)
    output, error = shell.communicate(timeout=30)
    assert shell.returncode == -signal.SIGINT
    assert "went on" not in output
    assert error == ""

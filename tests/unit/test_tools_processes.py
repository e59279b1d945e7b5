"""Tests of the supervisor, which ends all processes that a command started, and before that the unused ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tools.emulators import binaries, processes
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.emulators.processes import Descendants
from tools.emulators.project import ROOT

SLEEPER = "import time; time.sleep(600)"
# Starts a process in a session of its own and prints its id.
DETACHER = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True).pid, flush=True)
"""
# A command whose child starts a detached process and ends at once, before the supervisor can see the relation.
COMMAND = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {DETACHER!r}])
print("started", flush=True)
"""
SUPERVISOR = "import os, sys; from tools.emulators.supervisor import run; sys.exit(run(sys.argv[1:], os.environ, str))"
WITHOUT_ADOPTION = (
    "from tools.emulators import processes; processes._adopt_orphans = lambda: False; "
    "processes._REST_PER_LOOK_WITHOUT_ADOPTION = 0; " + SUPERVISOR
)
LOOKING_OFTEN = "from tools.emulators import processes; processes._REST_PER_LOOK = 0; " + SUPERVISOR
# Starts each script from a shell, as the CLI starts functions, and prints the id of the script's process.
SHELLS = f"""
import subprocess, sys
for script in {{scripts}}:
    shell = ["/bin/sh", "-c", '"$0" "$1" && true', sys.executable, script]
    print(subprocess.Popen(shell, stdout=subprocess.PIPE, text=True).stdout.readline(), end="", flush=True)
{SLEEPER}
"""

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, orphans cannot be adopted")


@contextmanager
def supervised(command: str, supervisor: str = SUPERVISOR) -> Iterator["subprocess.Popen[str]"]:
    """Run a script under a supervisor."""
    with subprocess.Popen(
        [sys.executable, "-c", supervisor, sys.executable, "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def read_process(supervisor: "subprocess.Popen[str]") -> psutil.Process:
    """Return the process whose id is the next line that the command prints."""
    assert supervisor.stdout is not None
    return psutil.Process(int(supervisor.stdout.readline()))


def wait_until_gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + 20
    while not is_gone(process):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@only_linux
@pytest.mark.parametrize("end", ["the command ends", "SIGTERM", "the command is killed"])
def test_orphan_in_its_own_session_ends_with_the_command(end: str) -> None:
    wait = "" if end == "the command ends" else SLEEPER
    with supervised(COMMAND + wait) as supervisor:
        orphan = read_process(supervisor)
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "started\n"
        if end == "SIGTERM":
            supervisor.terminate()
        elif end == "the command is killed":
            [command] = [child for child in psutil.Process(supervisor.pid).children() if child != orphan]
            command.kill()
        code = supervisor.wait(30)
    assert code == (-signal.SIGKILL % 256 if end == "the command is killed" else 0)
    assert is_gone(orphan)


def test_known_descendants_end_if_orphans_cannot_be_adopted() -> None:
    with supervised(DETACHER + "import time; time.sleep(1)", WITHOUT_ADOPTION) as supervisor:
        child = read_process(supervisor)
        assert supervisor.wait(30) == 0
    assert is_gone(child)


@only_linux
def test_function_ends_when_its_shell_has_ended(tmp_path: Path) -> None:
    """The CLI still uses a function whose shell lives. Other orphans may be of use to whoever started them."""
    function, other = tmp_path / "functions-framework", tmp_path / "other"
    for script in (function, other):
        script.write_text(f"import os; print(os.getpid(), flush=True); {SLEEPER}")
    scripts = [str(script) for script in (function, function, function, other)]
    with supervised(SHELLS.format(scripts=scripts), LOOKING_OFTEN) as running:
        first, second, used, orphan = (read_process(running) for _ in scripts)
        end_shell(orphan)
        end_shell(first)
        wait_until_gone(first)
        end_shell(second)
        wait_until_gone(second)  # by a later look than the first one, which has seen all the others
        assert [is_gone(process) for process in (used, orphan)] == [False, False]


def end_shell(process: psutil.Process) -> None:
    shell = process.parent()
    assert shell is not None
    shell.terminate()


def test_other_processes_are_not_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as other:
        with supervised("") as supervisor:
            assert supervisor.wait(30) == 0
        assert other.poll() is None
        other.kill()


@only_linux
def test_ended_orphans_leave_no_zombies() -> None:
    orphans = "import os, time\nfor _ in range(3): os.system('sleep 0.1 &')\nprint(os.getpid(), flush=True)\n"
    with supervised(orphans + SLEEPER) as supervisor:
        command = read_process(supervisor)
        deadline = time.monotonic() + 20
        while psutil.Process(supervisor.pid).children() != [command] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert psutil.Process(supervisor.pid).children() == [command]


@only_linux
def test_supervising_takes_at_most_1_percent_of_a_processor() -> None:
    with supervised(DETACHER + SLEEPER) as supervisor:
        read_process(supervisor)
        process = psutil.Process(supervisor.pid)
        before, start = process.cpu_times(), time.monotonic()
        time.sleep(2)
        after, end = process.cpu_times(), time.monotonic()
    assert after.user + after.system - before.user - before.system <= 0.01 * (end - start)


def test_looking_takes_at_most_1_percent_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine cannot adopt orphans, and a look takes 30 ms."""
    now = 0.0
    looking = 0.0

    def look(_: Descendants) -> list[psutil.Process]:
        nonlocal now, looking
        now += 0.03
        looking += 0.03
        return []

    monkeypatch.setattr(processes, "_adopt_orphans", lambda: False)
    monkeypatch.setattr(Descendants, "look", look)
    monkeypatch.setattr("time.monotonic", lambda: now)
    with subprocess.Popen(["true"]) as command:
        descendants = Descendants(command)
        while now < 600:
            descendants.watch()
            now += 0.2
    assert 5 < looking <= 6.03


def test_emulator_that_does_not_start_raises_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "firestore_jar", lambda: tmp_path / "no.jar")
    with pytest.raises(RuntimeError, match=r"(?s)did not start.*no\.jar"), FirestoreEmulator():
        pass

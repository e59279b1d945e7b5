"""Nothing that was started survives."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tools.emulators import binaries
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.emulators.processes import ProcessTree

SLEEPER = "import time; time.sleep(600)"
# A parent that starts a child in a session of its own, says which, and waits to be told to die.
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
print(child.pid, flush=True)
sys.stdin.read()
"""


def start_parent() -> tuple["subprocess.Popen[str]", psutil.Process]:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, psutil.Process(int(parent.stdout.readline()))


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("parent_dies_first", [False, True])
def test_a_detached_grandchild_dies_with_the_tree(parent_dies_first: bool) -> None:
    parent, child = start_parent()
    with parent:
        tree = ProcessTree(parent.pid)
        tree.look()
        if parent_dies_first:
            parent.kill()
            parent.wait()
            assert child.is_running()
        tree.kill()
    assert is_gone(child)


def test_processes_of_others_are_left_alone() -> None:
    (parent, child), (other, other_child) = start_parent(), start_parent()
    with parent, other:
        ProcessTree(parent.pid).kill()
        assert is_gone(child)
        assert other.poll() is None
        assert other_child.is_running()
        ProcessTree(other.pid).kill()


def test_an_emulator_that_does_not_start_raises_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "firestore_jar", lambda: tmp_path / "no.jar")
    with pytest.raises(RuntimeError, match=r"(?s)did not start.*no\.jar"), FirestoreEmulator():
        pass

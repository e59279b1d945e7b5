"""The Makefile's installation, with stand-ins for Python and npm that note what they are asked to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.emulators.project import ROOT

STAMPS = [".venv/.installed", "functions/venv/.installed", "node_modules/.installed"]
PYTHON = """#!/bin/sh
case "$*" in
  "-m venv --clear "*) rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m pip install "*) echo "$0 $*" >> calls && test ! -e pip-fails ;;
  "-m tools."*) echo "$*" >> calls ;;
esac
"""
NPM = """#!/bin/sh
test "$1" = ci || exit 0
echo "npm ci" >> calls
mkdir -p node_modules
test ! -e npm-fails
"""


class Clone:
    """A fresh clone on a machine of our making."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "functions").mkdir()
        for name in ("Makefile", "requirements-dev.txt", "functions/requirements.txt", "package.json"):
            shutil.copy(ROOT / name, directory / name)
        shutil.copy(ROOT / "package-lock.json", directory)
        self.bin = directory / "bin"
        self.bin.mkdir()
        for name in ("make", "bash", "sh", "awk", "echo", "touch", "rm", "mkdir", "cp"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.command("python3.11", PYTHON)
        self.command("node", "#!/bin/sh\n")
        self.command("npm", NPM)

    def command(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def make(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        (self.directory / "calls").write_text("")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(
            ["make", *arguments],
            cwd=self.directory,
            env={**environment, "PATH": str(self.bin), "PYTHON": "python3.11"},
            check=False,
            capture_output=True,
            text=True,
        )

    @property
    def calls(self) -> list[str]:
        return (self.directory / "calls").read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_the_second_run_installs_nothing(clone: Clone) -> None:
    assert clone.make("start").returncode == 0
    assert len(clone.calls) == 4
    assert clone.calls[-2:] == ["npm ci", "-m tools.emulators.start"]
    assert clone.make("start").returncode == 0
    assert clone.calls == ["-m tools.emulators.start"]


def test_a_changed_lock_file_reinstalls_its_environment_alone(clone: Clone) -> None:
    clone.make("start")
    requirements = clone.directory / "functions" / "requirements.txt"
    stamp = clone.directory / "functions" / "venv" / ".installed"
    newer = stamp.stat().st_mtime + 10
    os.utime(requirements, (newer, newer))
    clone.make("start")
    assert [call.split()[0] for call in clone.calls] == ["functions/venv/bin/python", "-m"]


@pytest.mark.parametrize(("failure", "calls_again"), [("pip-fails", 4), ("npm-fails", 2)])
def test_an_install_that_breaks_off_is_done_again(clone: Clone, failure: str, calls_again: int) -> None:
    (clone.directory / failure).touch()
    assert clone.make("start").returncode != 0
    assert "-m tools.emulators.start" not in clone.calls
    (clone.directory / failure).unlink()
    assert clone.make("start").returncode == 0
    assert len(clone.calls) == calls_again


@pytest.mark.parametrize(
    ("interpreter", "remedy"),
    [("python3.11", "make PYTHON=/path/to/python3.11"), ("node", "nodejs.org"), ("npm", "nodejs.org")],
)
@pytest.mark.parametrize("fate", ["missing", "refused"])
def test_a_missing_interpreter_is_one_message_before_anything_is_installed(
    clone: Clone, interpreter: str, remedy: str, fate: str
) -> None:
    if fate == "missing":
        (clone.bin / interpreter).unlink()
    else:
        clone.command(interpreter, "#!/bin/sh\necho 'a long story' >&2\nexit 1\n")
    run = clone.make("start")
    assert run.returncode != 0
    assert clone.calls == []
    message, make_error = run.stderr.splitlines()
    assert remedy in message
    assert make_error.startswith("make: *** ")


def test_every_stamp_lies_in_what_it_vouches_for(clone: Clone) -> None:
    clone.make("start")
    assert [str(path.relative_to(clone.directory)) for path in sorted(clone.directory.rglob(".installed"))] == STAMPS

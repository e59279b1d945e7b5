"""Tests of the Makefile's installation. Fakes of Python, uv and npm write down how they are called."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.emulators.project import ROOT

STAMPS = [".venv/.installed", "functions/venv/.installed", "node_modules/.installed"]
# The last argument of `python -m venv` is the directory. Installing uv with pip copies the fake uv.
PYTHON = f"""#!/bin/sh
case "$*" in
  "-m tools.quietly "*) exec {sys.executable} "$@" ;;
  "-m venv "*) for directory; do :; done; mkdir -p "$directory/bin" && cp "$0" "$directory/bin/python" ;;
  "-m pip config list") cat pip-config ;;
  "-m pip install uv=="*) echo "pip install uv" >> calls && cp bin/uv .venv/bin/uv && test ! -e pip-fails ;;
  "-m pip "*) echo "$*" >> calls && test ! -e pip-fails ;;
  "-m tools."* | "-m pytest"*) echo "$*" >> calls ;;
esac
"""
UV = """#!/bin/sh
echo "uv $* from ${UV_DEFAULT_INDEX:-PyPI}" >> calls
test ! -e uv-fails
"""
NPM = """#!/bin/sh
test "$1" = ci || exit 0
echo "npm ci" >> calls
echo "the chatter of npm"
mkdir -p node_modules
test ! -e npm-fails
"""
UV_TOOLS = "uv pip install --python .venv --requirement requirements-dev.txt from PyPI"
UV_FUNCTIONS = "uv pip install --python functions/venv --requirement functions/requirements.txt from PyPI"
START = "-m tools.emulators.start"


class Clone:
    """A fresh clone, on a machine with only the fake commands and a few basic ones."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "functions").mkdir()
        for name in ("Makefile", "requirements-dev.txt", "functions/requirements.txt", "package.json"):
            shutil.copy(ROOT / name, directory / name)
        shutil.copy(ROOT / "package-lock.json", directory)
        (directory / "tools").mkdir()
        for name in ("__init__.py", "quietly.py"):
            shutil.copy(ROOT / "tools" / name, directory / "tools")
        (directory / "pip-config").touch()
        self.bin = directory / "bin"
        self.bin.mkdir()
        for name in ("make", "bash", "sh", "cat", "cp", "grep", "mkdir", "rm", "sed", "sleep", "tail", "touch"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.command("python3.11", PYTHON)
        self.command("node", "#!/bin/sh\n")
        self.command("npm", NPM)
        self.command("uv", UV)

    def command(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def make(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        (self.directory / "calls").write_text("")
        # The variables of the make that runs these tests would change the result.
        own = ("MAKE", "TESTS", "DATE", "SEED", "PROJECT", "DATABASE")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
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


def test_first_run_installs_everything_and_second_run_nothing(clone: Clone) -> None:
    first = clone.make("start")
    assert first.returncode == 0
    assert sorted(clone.calls[:-1]) == sorted(["pip install uv", UV_TOOLS, UV_FUNCTIONS, "npm ci"])
    assert clone.calls[-1] == START
    assert "chatter" not in first.stdout + first.stderr
    assert clone.make("start").returncode == 0
    assert clone.calls == [START]


def test_make_test_accepts_date_seed_and_tests(clone: Clone) -> None:
    clone.make("test")
    assert clone.calls[-1] == "-m pytest --numprocesses 2"
    clone.make("test", "DATE=2028-02-29T23:59", "SEED=17", "TESTS=tests/e2e tests/unit")
    on_date = "-m tools.on_date 2028-02-29T23:59 .venv/bin/python"
    assert clone.calls == [f"{on_date} -m pytest --numprocesses 2 --order-seed 17 tests/e2e tests/unit"]


def test_make_audit_passes_the_database_by_its_name(clone: Clone) -> None:
    """Without its name, the database would be taken for the project where PROJECT is missing."""
    clone.make("audit")
    assert clone.calls[-1] == "-m tools.audit"
    clone.make("audit", "DATABASE=drill")
    assert clone.calls == ["-m tools.audit --database=drill"]
    clone.make("audit", "PROJECT=a-project", "DATABASE=drill")
    assert clone.calls == ["-m tools.audit a-project --database=drill"]


def test_changed_requirements_reinstall_only_their_environment(clone: Clone) -> None:
    clone.make("start")
    requirements = clone.directory / "functions" / "requirements.txt"
    stamp = clone.directory / "functions" / "venv" / ".installed"
    newer = stamp.stat().st_mtime + 10
    os.utime(requirements, (newer, newer))
    clone.make("start")
    assert clone.calls == [UV_FUNCTIONS, START]


def test_python_and_node_packages_are_installed_in_parallel(clone: Clone) -> None:
    """Each fake waits until the other has started."""
    wait = "for i in 1 2 3 4 5 6 7 8 9 10; do grep -q '{0}' calls && exit; sleep 1; done; exit 1\n"
    clone.command("uv", UV + wait.format("npm ci"))
    clone.command("npm", NPM + wait.format("uv pip"))
    assert clone.make("start").returncode == 0
    assert not any("-m pip --python" in call for call in clone.calls)


@pytest.mark.parametrize(("failure", "call"), [("pip-fails", "pip install uv"), ("npm-fails", "npm ci")])
def test_failed_installation_is_shown_and_restarted_from_scratch(clone: Clone, failure: str, call: str) -> None:
    (clone.directory / failure).touch()
    run = clone.make("start")
    assert run.returncode != 0
    assert "failed with exit code 1" in run.stderr
    assert ("the chatter of npm" in run.stderr) == (failure == "npm-fails")
    assert START not in clone.calls
    leftover = clone.directory / (".venv" if failure == "pip-fails" else "node_modules") / "leftover"
    leftover.touch()
    (clone.directory / failure).unlink()
    assert clone.make("start").returncode == 0
    assert call in clone.calls
    assert not leftover.exists()


def test_pip_installs_if_uv_fails(clone: Clone) -> None:
    (clone.directory / "uv-fails").touch()
    run = clone.make("lint")
    assert clone.calls[:3] == [
        "pip install uv",
        UV_TOOLS,
        "-m pip --python .venv install --requirement requirements-dev.txt",
    ]
    assert "uv pip install" in run.stderr
    assert (clone.directory / ".venv" / ".installed").exists()


def test_uv_uses_the_index_of_pip_unless_it_has_its_own(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone.directory / "pip-config").write_text(
        "global.extra-index-url='https://extra.example/simple'\n"
        "global.index-url='https://mirror.example/simple'\n"
        "global.timeout='60'\n"
    )
    clone.make("lint")
    assert clone.calls[1].endswith(" from https://mirror.example/simple")
    (clone.directory / ".venv" / ".installed").unlink()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own.example/simple")
    clone.make("lint")
    assert clone.calls[1].endswith(" from https://own.example/simple")


def test_targets_of_symlinks_are_not_changed(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in (".venv", "functions/venv", "node_modules"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "precious").touch()
        (clone.directory / name).symlink_to(elsewhere / name)
    assert clone.make("start").returncode == 0
    for name in (".venv", "functions/venv", "node_modules"):
        assert [path.name for path in (elsewhere / name).iterdir()] == ["precious"]
        assert not (clone.directory / name).is_symlink()


@pytest.mark.parametrize(
    ("interpreter", "remedy"),
    [("python3.11", "make PYTHON=/path/to/python3.11"), ("node", "nodejs.org"), ("npm", "nodejs.org")],
)
@pytest.mark.parametrize("state", ["missing", "refused"])
def test_missing_interpreter_stops_make_before_installing(
    clone: Clone, interpreter: str, remedy: str, state: str
) -> None:
    if state == "missing":
        (clone.bin / interpreter).unlink()
    else:
        clone.command(interpreter, "#!/bin/sh\necho 'a long story' >&2\nexit 1\n")
    run = clone.make("start")
    assert run.returncode != 0
    assert clone.calls == []
    message, make_error = run.stderr.splitlines()
    assert remedy in message
    assert make_error.startswith("make: *** ")


def test_every_stamp_is_in_the_directory_it_stands_for(clone: Clone) -> None:
    clone.make("start")
    assert [str(path.relative_to(clone.directory)) for path in sorted(clone.directory.rglob(".installed"))] == STAMPS

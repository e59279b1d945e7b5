"""Runs a command and all processes that it starts on another date: `make test DATE=…`.

libfaketime is preloaded into every process: Python, Node and Java. The clock starts at the date and runs at its normal
speed. Timers and monotonic clocks stay real, so that waits take their normal time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from math import ceil
from pathlib import Path

from tools.emulators import binaries, java
from tools.emulators.project import Problem

LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"
TOLERANCE_SECONDS = 60


def environment(moment: datetime, library: Path) -> dict[str, str]:
    """Return the environment in which a process and its children see ``moment`` as the current time."""
    # Rounded up, so that the clock never shows a time before the moment.
    ahead_seconds = ceil((moment - datetime.now(UTC)).total_seconds())
    return {
        **os.environ,
        "LD_PRELOAD": " ".join([str(library), *os.environ.get("LD_PRELOAD", "").split()]),
        # An offset, because a fixed time would start again in every new process.
        "FAKETIME": f"{ahead_seconds:+}",
        "DONT_FAKE_MONOTONIC": "1",
        # Without it, Java's timed waits return at once.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        # Otherwise libfaketime locks file times, and a process killed with the lock would block all others.
        "NO_FAKE_STAT": "1",
        # File times are real, so on a later date pytest takes the directories of other runs for old ones to delete.
        "PYTEST_DEBUG_TEMPROOT": str(_temporary_root(moment)),
    }


def _temporary_root(moment: datetime) -> Path:
    root = Path(tempfile.gettempdir()) / f"pytest-on-{moment:%Y-%m-%d}"
    root.mkdir(exist_ok=True)
    return root


def libfaketime() -> Path:
    """Return the path of libfaketime's shared library. Raises Problem if it is not installed."""
    package = find_spec("libfaketime")
    if package is None or package.origin is None:
        raise Problem("libfaketime is not installed. requirements-dev.in installs it on Linux on x86-64 only.")
    return Path(package.origin).parent / LIBRARY


def check(moment: datetime, variables: dict[str, str]) -> None:
    """Raise Problem if a process with these variables does not see ``moment`` as the current time."""
    clock = [sys.executable, "-c", "import time; print(time.time())"]
    result = subprocess.run(clock, env=variables, capture_output=True, text=True, check=False)
    seen = float(result.stdout) if result.returncode == 0 else 0
    if abs(seen - moment.timestamp()) > TOLERANCE_SECONDS:
        raise Problem(f"libfaketime does not work here: {result.stderr.strip() or datetime.fromtimestamp(seen, UTC)}")


def date(text: str) -> datetime:
    """Parse a date or a time. It is in UTC unless it has a time zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main(arguments: Sequence[str]) -> None:
    """Replace this process with the command, or exit with status 2 if the clock cannot be changed."""
    parser = argparse.ArgumentParser(prog="python -m tools.on_date", description=__doc__)
    parser.add_argument("date", type=date, metavar="DATE", help="YYYY-MM-DD or YYYY-MM-DDTHH:MM, in UTC")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        # Download before the date changes, because certificates may not be valid on another date.
        java.require()
        binaries.firestore_jar()
        variables = environment(options.date, libfaketime())
        check(options.date, variables)
    except Problem as problem:
        parser.exit(2, f"Cannot run on another date. {problem}\n")
    os.execvpe(options.command[0], options.command, variables)


if __name__ == "__main__":
    main(sys.argv[1:])

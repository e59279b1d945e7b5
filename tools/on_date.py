"""Runs a command, and everything that it starts, on another date: `make test DATE=…`.

The clock is libfaketime's, preloaded into every process: Python, Node and Java. It runs on from the date at its
usual speed. Timers and monotonic clocks are real, so that every wait takes as long as always.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from math import ceil
from pathlib import Path

from tools.emulators import binaries, java
from tools.emulators.project import Problem

LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"
EXACT_TO_SECONDS = 60


def environment(moment: datetime, library: Path) -> dict[str, str]:
    """Return the variables that make it ``moment`` now, for a process and all that it starts."""
    ahead_seconds = ceil((moment - datetime.now(UTC)).total_seconds())  # never before the moment
    return {
        **os.environ,
        "LD_PRELOAD": " ".join([str(library), *os.environ.get("LD_PRELOAD", "").split()]),
        # An offset, not a moment: a moment would start again in every process.
        "FAKETIME": f"{ahead_seconds:+}",
        "DONT_FAKE_MONOTONIC": "1",
        # Without it, Java's timed waits return at once.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        # Its lock on files' times would stop all processes where one is killed while it holds it.
        "NO_FAKE_STAT": "1",
    }


def libfaketime() -> Path:
    """Return libfaketime's shared library. Raises Problem where it is not installed."""
    package = find_spec("libfaketime")
    if package is None or package.origin is None:
        raise Problem("libfaketime is not installed: requirements-dev.in has it for Linux on x86-64 only.")
    return Path(package.origin).parent / LIBRARY


def check(moment: datetime, variables: dict[str, str]) -> None:
    """Raise Problem where a process that has these variables does not see ``moment`` as now."""
    clock = [sys.executable, "-c", "import time; print(time.time())"]
    done = subprocess.run(clock, env=variables, capture_output=True, text=True, check=False)
    seen = float(done.stdout) if done.returncode == 0 else 0
    if abs(seen - moment.timestamp()) > EXACT_TO_SECONDS:
        raise Problem(f"libfaketime does not work here: {done.stderr.strip() or datetime.fromtimestamp(seen, UTC)}")


def date(text: str) -> datetime:
    """Return a date or a time, in UTC unless it names its zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main(arguments: Sequence[str]) -> None:
    """Become the command, or exit with 2 where the clock cannot be set."""
    parser = argparse.ArgumentParser(prog="python -m tools.on_date", description=__doc__)
    parser.add_argument("date", type=date, metavar="DATE", help="YYYY-MM-DD or YYYY-MM-DDTHH:MM, in UTC")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    try:
        # Downloads need today's date, at which certificates are valid.
        java.require()
        binaries.firestore_jar()
        variables = environment(options.date, libfaketime())
        check(options.date, variables)
    except Problem as problem:
        parser.exit(2, f"Nothing can run on another date here. {problem}\n")
    os.execvpe(options.command[0], options.command, variables)


if __name__ == "__main__":
    main(sys.argv[1:])

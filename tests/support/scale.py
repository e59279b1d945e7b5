"""How much of the long checks runs: a part of each in `make test`, all of it where FULL=1 is set."""

import os
from typing import TypeVar

T = TypeVar("T")

FULL = os.environ.get("FULL") == "1"


def scaled(part: T, full: T) -> T:
    """Return ``full`` where FULL=1 is set, and ``part`` otherwise."""
    return full if FULL else part

"""Scales the long tests: `make test` runs a part of each, and FULL=1 runs all of it."""

import os
from typing import TypeVar

import pytest

T = TypeVar("T")

FULL = os.environ.get("FULL") == "1"

only_full = pytest.mark.skipif(not FULL, reason="runs with FULL=1")


def scaled(part: T, full: T) -> T:
    """Return ``full`` if FULL=1 is set, else ``part``."""
    return full if FULL else part

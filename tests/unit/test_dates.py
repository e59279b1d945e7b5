"""Tests that no result depends on the day of the run: files that use the system clock contain no dates."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.emulators.project import ROOT

DATE = re.compile(r"\b2\d{3}-(?:W\d\d|\d\d-\d\d)|\b(?:date|datetime|fromisocalendar)\(\s*2\d{3}\b")
CLOCK = re.compile(r"\.now\((?:UTC|tz)|\.today\(|\btime\.time\(|\bDate\.now\(|\bnew Date\(\)|\bSystemClock\(\)")
ON_THE_SYSTEM_CLOCK = ("tests/e2e", "tests/fuzz", "tools")
"""Everything in these directories uses the system clock. Its dates come from the seed or from this clock."""


def files() -> Iterator[Path]:
    for directory in ("simulation", "tests", "tools"):
        for suffix in ("py", "mjs"):
            yield from (ROOT / directory).rglob(f"*.{suffix}")


def dates_beside_a_clock(file: str, text: str) -> list[str]:
    """Return the dates in a file that uses the system clock, or nothing for other files."""
    on_system_clock = file.startswith(ON_THE_SYSTEM_CLOCK) or CLOCK.search(text)
    return DATE.findall(text) if on_system_clock else []


def test_files_that_use_the_system_clock_contain_no_dates() -> None:
    named = {
        file: dates
        for path in files()
        if (dates := dates_beside_a_clock(file := str(path.relative_to(ROOT)), path.read_text("utf-8")))
    }
    assert named == {}


@pytest.mark.parametrize("date", [f"'{2026}-W46'", f'"{2031}-02-28T12:00:00Z"', f"datetime({2026}, 11, 9, tzinfo=UTC)"])
def test_date_beside_the_system_clock_is_found(date: str) -> None:
    assert dates_beside_a_clock("tests/e2e/client/some.test.mjs", f"const week = {date};")
    assert dates_beside_a_clock("tests/unit/test_some.py", f"assert Week.of(datetime.now(UTC)) == {date}")
    assert not dates_beside_a_clock("tests/unit/test_some.py", f"clock = ManualClock({date})")

"""Tests of the file that keeps the functions' log for `make logs`."""

import json
from pathlib import Path

import pytest

from tools.emulators.log_file import NAME, LogFile

LINE = '\x1b[90m>  \x1b[39m {"event": "REQUEST_ENDED", "severity": "INFO", "number": %d}\x1b[39m\n'


def test_lines_of_the_functions_log_are_kept_with_their_time(tmp_path: Path) -> None:
    log = LogFile(tmp_path)
    log.clear()
    for line in (
        LINE % 1,
        "functions: All emulators ready\n",
        '>  {"event": "half',
        '>  {"event": 1} "event": \n',
        LINE % 2,
    ):
        log.add(line)
    assert [entry.get("number") for entry in log.entries()] == [1, None, 2]
    assert all(entry["time"] for entry in log.entries())
    log.clear()
    assert list(log.entries()) == []


def test_log_is_bounded_and_drops_the_oldest_lines(tmp_path: Path) -> None:
    log = LogFile(tmp_path, bytes_max=1_000)
    log.clear()
    for number in range(1_000):
        log.add(LINE % number)
    numbers = [entry["number"] for entry in log.entries()]
    assert numbers == list(range(numbers[0], 1_000))
    assert len(numbers) > 5
    assert sum(file.stat().st_size for file in (tmp_path / NAME).parent.iterdir()) < 3_000


def test_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    log = LogFile(tmp_path)
    log.clear()
    (tmp_path / NAME).write_text(json.dumps({"event": "A"}) + '\n{"event"', encoding="utf-8")
    assert list(log.entries()) == [{"event": "A"}]


def test_nothing_was_started_yet(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(LogFile(tmp_path).entries())

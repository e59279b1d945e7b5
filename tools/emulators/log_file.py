"""Keeps the functions' log of the running emulators in a bounded file, for `make logs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NAME = ".local/functions.log"
BYTES_MAX = 5_000_000
"""The size at which a file is full. One full file is kept besides the current one."""


class LogFile:
    """The log of one start. Beyond twice BYTES_MAX, the oldest lines are dropped."""

    def __init__(self, directory: Path, *, bytes_max: int = BYTES_MAX) -> None:
        self._path = directory / NAME
        self._full = self._path.with_suffix(".1.log")
        self._bytes_max = bytes_max

    def clear(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_bytes(b"")
        self._full.unlink(missing_ok=True)

    def add(self, line: str) -> None:
        """Keep a line of the CLI's output, with the time, if it is a line of the functions' log."""
        start = line.find('{"')
        if start < 0 or '"event": ' not in line:
            return
        try:
            entry, _ = json.JSONDecoder().raw_decode(line, start)
        except ValueError:
            return
        if self._path.stat().st_size >= self._bytes_max:
            self._path.replace(self._full)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "time": datetime.now(UTC).isoformat()}) + "\n")

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the kept lines, oldest first. Raises FileNotFoundError if nothing was started here yet."""
        for path in [*([self._full] if self._full.exists() else []), self._path]:
            with path.open(encoding="utf-8") as file:
                for line in file:
                    if line.endswith("\n"):  # the last line may be half written
                        yield json.loads(line)

"""The clock of the emulator, which tests move forward."""

import time


class MovableClock:
    def __init__(self) -> None:
        self._moved_seconds = 0.0

    def now(self) -> float:
        """Return the Unix time in seconds."""
        return time.time() + self._moved_seconds

    def advance(self, seconds: float) -> None:
        self._moved_seconds += seconds

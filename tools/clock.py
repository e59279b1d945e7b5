"""A clock that stands still but for what sleeps, and is set by hand."""

from datetime import datetime, timedelta


class ManualClock:
    """For seeds and tests: no time passes that nobody asked for."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

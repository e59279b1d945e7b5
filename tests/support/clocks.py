"""A clock for tests: it moves only when somebody sleeps, or by hand."""

from datetime import UTC, datetime, timedelta


class TestClock:
    __test__ = False

    def __init__(self, at: datetime = datetime(2026, 11, 18, 12, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

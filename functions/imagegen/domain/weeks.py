"""ISO 8601 weeks in UTC, such as ``2026-W46``. A week starts on Monday at 00:00."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import total_ordering
from typing import Self

from imagegen.dataclass import dataclass


@total_ordering
@dataclass(frozen=True)
class Week:
    """A week, identified by its Monday. ``str(week)`` is its name."""

    monday: date

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """Return the week that contains ``moment``."""
        day = moment.astimezone(UTC).date()
        return cls(day - timedelta(days=day.weekday()))

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the week with this name. Raises ValueError if it is not the name of a week in the years 2000 to 2999.

        So every week is far from both ends of Python's calendar.
        """
        match = re.fullmatch(r"(2\d{3})-W(\d{2})", name)
        try:
            year, number = map(int, match.groups() if match else ())
            return cls(date.fromisocalendar(year, number, 1))
        except ValueError:
            raise ValueError(f"{name!r} is not an ISO week like 2026-W46") from None

    def __str__(self) -> str:
        year, number, _ = self.monday.isocalendar()
        return f"{year:04}-W{number:02}"

    def __lt__(self, other: "Week") -> bool:
        return self.monday < other.monday

    def __sub__(self, weeks: int) -> "Week":
        return Week(self.monday - timedelta(weeks=weeks))

    def __add__(self, weeks: int) -> "Week":
        return self - -weeks

    @property
    def start(self) -> datetime:
        return datetime(self.monday.year, self.monday.month, self.monday.day, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after the week."""
        return self.start + timedelta(weeks=1)

    @property
    def days(self) -> list[str]:
        """The seven days, Monday first, such as ``2026-11-09``."""
        return [str(self.monday + timedelta(days=offset)) for offset in range(7)]

"""Tests of ISO weeks, especially around New Year."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from imagegen.domain.weeks import Week


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        (datetime(2026, 11, 16, tzinfo=UTC), "2026-W47"),
        (datetime(2026, 11, 15, 23, 59, 59, 999999, tzinfo=UTC), "2026-W46"),
        (datetime(2027, 1, 3, 12, tzinfo=UTC), "2026-W53"),
        (datetime(2024, 12, 30, tzinfo=UTC), "2025-W01"),
        (datetime(2026, 11, 16, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2026-W46"),
    ],
)
def test_week_of_a_moment_is_in_utc(moment: datetime, name: str) -> None:
    assert str(Week.of(moment)) == name


def test_week_runs_from_monday_to_monday() -> None:
    week = Week.parse("2026-W46")
    assert week.start == datetime(2026, 11, 9, tzinfo=UTC)
    assert week.end == datetime(2026, 11, 16, tzinfo=UTC)
    assert (week.days[0], week.days[-1], len(week.days)) == ("2026-11-09", "2026-11-15", 7)


def test_adding_weeks_crosses_years() -> None:
    assert str(Week.parse("2027-W01") - 1) == "2026-W53"
    assert str(Week.parse("2026-W53") + 1) == "2027-W01"


@pytest.mark.parametrize(
    "name", ["2026-W54", "2026-W00", "2026W46", "2026-46", "", "2026-W46 ", "0001-W01", "1999-W52", "9999-W52"]
)
def test_parse_refuses_invalid_weeks(name: str) -> None:
    with pytest.raises(ValueError, match="is not an ISO week like 2026-W46"):
        Week.parse(name)

"""Tests of the forecast of next week's credits."""

import random

import pytest

from imagegen.domain.weeks import Week
from imagegen.reports.forecast import WEEKS_USED, forecast

FIRST = Week.parse("2026-W36")


def weeks(*credits: int) -> dict[Week, int]:
    return {FIRST + number: of_week for number, of_week in enumerate(credits)}


@pytest.mark.parametrize(
    ("credits", "expected"), [([1000] * 6, 1000), ([1000, 1100, 1210, 1331, 1464], 1611), ([800, 400, 200, 100], 50)]
)
def test_level_and_growth_are_continued(credits: list[int], expected: int) -> None:
    made = forecast(weeks(*credits))
    assert made is not None
    assert made.week == FIRST + len(credits)
    assert made.credits == pytest.approx(expected, rel=0.01)
    assert made.low < made.credits < made.high


def test_missing_week_does_not_change_the_trend() -> None:
    credits = weeks(1000, 1100, 1210, 1331, 1464, 1611)
    del credits[FIRST + 2]
    made = forecast(credits)
    assert made is not None
    assert made.credits == pytest.approx(1772, rel=0.01)


def test_three_weeks_or_erratic_weeks_give_no_forecast() -> None:
    assert forecast(weeks(1000, 1000, 1000)) is None
    assert forecast(weeks(0, 5000, 0, 5000)) is None


def test_only_the_latest_weeks_are_used() -> None:
    assert forecast(weeks(5, *[1000] * WEEKS_USED)) == forecast({FIRST + n: 1000 for n in range(1, WEEKS_USED + 1)})


def test_interval_contains_90_percent_of_weeks() -> None:
    rng = random.Random(46)
    inside = []
    for _ in range(1_000):
        growth, scatter = rng.uniform(0.95, 1.1), rng.uniform(0.03, 0.2)
        credits = [round(2_000 * growth**week * rng.lognormvariate(0, scatter)) for week in range(9)]
        made = forecast(weeks(*credits[:8]))
        assert made is not None
        inside.append(made.low <= credits[8] <= made.high)
    assert 0.88 <= sum(inside) / len(inside) <= 0.92

"""Tests of how often the anomaly detector raises a false alarm, on many simulated weeks."""

import random
from statistics import fmean

import pytest

from imagegen.reports.anomalies import (
    ALL_REQUESTS,
    Counts,
    Scope,
    Subject,
    find,
)
from tests.support.anomalies import PRICE, STYLE, WEEK, noisy, search, week, weeks


@pytest.mark.parametrize("mean", [2, 10, 40])
def test_weekly_rhythm_and_growth_raise_no_alarm(mean: float) -> None:
    found = [
        anomaly
        for seed in range(25)
        for growth in (0.0, 0.05)
        for anomaly in search(STYLE, *map(week, weeks(seed, mean, growth=growth))).anomalies
    ]
    assert len(found) <= 1, found


def test_irregular_users_hardly_ever_raise_an_alarm() -> None:
    chance = random.Random(9)
    users = {
        Subject(Scope.USER, f"user-{number}"): [
            [Counts(count, 0, PRICE * count)]
            for count in (noisy(chance, 20, dispersion=0.5) for _ in range(number % 10 + 4))
        ]
        for number in range(200)
    }
    found = find(
        WEEK,
        {user: counted[-1] for user, counted in users.items()},
        {user: counted[:-1] for user, counted in users.items()},
    ).anomalies
    assert len(found) <= 1, found


def test_band_contains_almost_all_quiet_days() -> None:
    inside = [
        band.low <= count <= band.high
        for seed in range(40)
        for counts in [weeks(seed, 30)]
        for band, count in zip(search(ALL_REQUESTS, *map(week, counts)).bands, counts[-1], strict=True)
    ]
    assert 0.975 <= fmean(inside) < 1
    assert len(inside) == 7 * 40


def test_many_quiet_series_hardly_ever_raise_an_alarm() -> None:
    subjects = [Subject(Scope.STYLE, f"{number}") for number in range(30)]
    reports_with_any = 0
    for seed in range(10):
        counted = {subject: list(map(week, weeks(100 * seed + number, 15))) for number, subject in enumerate(subjects)}
        findings = find(
            WEEK,
            {subject: of_subject[-1] for subject, of_subject in counted.items()},
            {subject: of_subject[:-1] for subject, of_subject in counted.items()},
        )
        assert findings.series_tested == 30
        reports_with_any += bool(findings.anomalies)
    assert reports_with_any <= 1

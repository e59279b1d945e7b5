"""Tests of quantiles computed from counts, against the sorted numbers."""

import random
from itertools import pairwise

import pytest

from imagegen.reports.quantiles import Range, interpolated, locate, octaves, parts, rank


def quantile(share: float, numbers: list[int]) -> float:
    """Return a quantile as the report finds it: first the octave, then a part of the octave."""

    def counted(ranges: list[Range]) -> list[int]:
        return [sum(part.low <= n and (part.high is None or n < part.high) for n in numbers) for part in ranges]

    place = locate(rank(share, len(numbers)), octaves(), counted(octaves()))
    fine = parts(place.range)
    return interpolated(locate(place.rank, fine, counted(fine)))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("spread", [0.1, 0.5, 1.5])
@pytest.mark.parametrize("count", [1, 7, 1_000])
def test_quantile_is_within_its_error_bound(count: int, spread: float, share: float) -> None:
    rng = random.Random(f"{count} {spread}")
    numbers = sorted(round(rng.lognormvariate(8.5, spread)) for _ in range(count))
    true = numbers[rank(share, count) - 1]
    assert quantile(share, numbers) == pytest.approx(true, rel=2 ** (1 / 16) - 1)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 10, 2**20])
def test_small_and_huge_numbers_have_a_range(number: int) -> None:
    assert quantile(0.5, [number]) == pytest.approx(number, abs=1)


def test_ranges_have_no_gaps() -> None:
    ranges = octaves()
    assert (ranges[0].low, ranges[-1].high) == (0, None)
    for octave, following in pairwise(ranges):
        assert octave.high == following.low
    for octave in ranges:
        fine = parts(octave)
        assert (fine[0].low, fine[-1].high, len(fine) <= 16) == (octave.low, octave.high, True)
        assert all(part.high == following.low for part, following in pairwise(fine))


@pytest.mark.parametrize(("share", "count", "nearest"), [(0.5, 1, 1), (0.5, 4, 2), (0.95, 20, 19), (0.95, 21, 20)])
def test_rank_is_the_nearest_rank(share: float, count: int, nearest: int) -> None:
    assert rank(share, count) == nearest

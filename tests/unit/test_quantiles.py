"""Tests of quantiles that are estimated from counts."""

import random
from collections.abc import Callable
from math import ceil

import pytest

from imagegen.reports.quantiles import EDGES, Range, estimates

SHARES = (0.5, 0.95)
WORST_ERROR = 2 ** (1 / 16) - 1
rng = random.Random(46)


def uniform(count: int, high: int) -> list[int]:
    return [rng.randrange(high) for _ in range(count)]


def lognormal(count: int, seconds: float) -> list[int]:
    return [round(1000 * seconds * rng.lognormvariate(0, 0.5)) for _ in range(count)]


def counting(numbers: list[int]) -> tuple[Callable[[Range], int], list[int]]:
    """Return a function that counts the numbers in a range, and the list of its results."""
    results: list[int] = []

    def count(range: Range) -> int:
        results.append(sum(range.low <= number and (range.high is None or number < range.high) for number in numbers))
        return results[-1]

    return count, results


def estimated(numbers: list[int]) -> tuple[list[float], list[int]]:
    count, results = counting(numbers)
    return estimates(SHARES, len(numbers), sum(numbers) / len(numbers), count), results


@pytest.mark.parametrize(
    "numbers",
    [
        [0],
        [1],
        [7, 7, 7],
        [0, 0, 0, 1_000_000],
        [1_000] * 99 + [500_000],
        uniform(500, 20),
        uniform(500, 60_000),
        uniform(30, 1_000_000),
        lognormal(1_000, 4),
        lognormal(1_000, 0.02),
        [*lognormal(50, 1), *lognormal(50, 60)],
        list(range(1, 1_000, 7)),
    ],
    ids=lambda numbers: f"{len(numbers)}-up-to-{max(numbers)}",
)
def test_estimate_is_within_the_stated_error(numbers: list[int]) -> None:
    found, results = estimated(numbers)
    for share, estimate in zip(SHARES, found, strict=True):
        exact = sorted(numbers)[ceil(share * len(numbers)) - 1]
        assert abs(estimate - exact) <= max(1, WORST_ERROR * exact)
    assert len(results) <= 2 * 17


def test_usual_times_take_few_counts_of_few_numbers() -> None:
    for seconds in (0.5, 2, 4, 30):
        numbers = lognormal(2_000, seconds)
        _, results = estimated(numbers)
        assert len(results) <= 12
        assert sum(results) < 1.2 * len(numbers)


def test_number_without_an_upper_limit_is_estimated_as_the_last_edge() -> None:
    assert estimated([5_000_000] * 3)[0] == [EDGES[-1]] * 2


def test_counts_that_change_meanwhile_still_end() -> None:
    for _ in range(200):
        found = estimates(SHARES, 50, rng.uniform(0, 100_000), lambda _: rng.randrange(80))
        assert all(0 <= estimate <= EDGES[-1] for estimate in found)

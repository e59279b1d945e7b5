"""Estimates quantiles of numbers that the server counts by ranges, without reading the numbers.

The search looks for the range that contains the quantile, among ranges that are a sixteenth of an octave wide. An
octave goes from a power of two to the next. It begins near the mean, moves away from it in growing steps until it has
passed the quantile, and then bisects.

The true value (nearest rank) lies in the same range as the estimate. So the error is below 2^(1/16) - 1 = 4.5 % of the
value, or below 1 if the ranges are narrower than 1.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import ceil

from imagegen.dataclass import dataclass

OCTAVES = 20
PARTS = 16


@dataclass(frozen=True)
class Range:
    """Integers from ``low`` to below ``high``. A range with ``high`` None has no end."""

    low: int
    high: int | None


EDGES = [0, *sorted({round(2 ** (part / PARTS)) for part in range(PARTS * OCTAVES + 1)})]
"""The lower ends of the ranges. The last range starts at 2^20 (17 minutes in ms) and has no end."""


def estimates(shares: Sequence[float], total: int, mean: float, count: Callable[[Range], int]) -> list[float]:
    """Return the quantile at each share (above 0, up to 1) of ``total`` numbers, in ascending order of the shares.

    ``count`` returns how many of the numbers are in a range. It is called at most 17 times for each share, and about
    five times if most of the numbers are within an octave or two. It counts ranges with few numbers.
    """
    above = {0: total, len(EDGES): 0}  # how many numbers are at or above an edge, as far as it has been counted
    return [_estimate(share, total, (number + 1) * mean, above, count) for number, share in enumerate(shares)]


def _estimate(share: float, total: int, guess: float, above: dict[int, int], count: Callable[[Range], int]) -> float:
    rank = total + 1 - max(1, ceil(share * total))  # from the largest number, which has rank 1
    low = max(edge for edge, numbers in above.items() if numbers >= rank)
    high = min(edge for edge in above if edge > low)
    edge, step = bisect_right(EDGES, guess) - 1, 1
    while high - low > 1:
        if not low < edge < high:
            edge = (low + high) // 2
        if edge - low < high - edge and high < len(EDGES):  # few numbers are in the tail
            above[edge] = above[low] - count(_between(low, edge))
        else:
            above[edge] = above[high] + count(_between(edge, high))
        is_above = above[edge] >= rank  # the quantile is at or above the edge
        low, high = (edge, high) if is_above else (low, edge)
        edge, step = (edge + step if is_above else edge - step), 2 * step
    return _interpolated(_between(low, high), above[low] - above[high], above[low] - rank + 1)


def _between(low: int, high: int) -> Range:
    return Range(EDGES[low], EDGES[high] if high < len(EDGES) else None)


def _interpolated(range: Range, numbers: int, rank: int) -> float:
    """Return the ``rank``-th smallest of the ``numbers`` in the range, assuming that they are spread evenly."""
    if range.high is None:
        return range.low
    numbers = max(numbers, 1)
    return range.low + (range.high - range.low) * (min(rank, numbers) - 0.5) / numbers

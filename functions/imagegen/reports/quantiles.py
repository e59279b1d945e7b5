"""Estimates quantiles of numbers that the server counts by ranges, without reading the numbers.

1. Find the octave that contains the quantile. An octave goes from a power of two to the next.
2. Find the sixteenth of the octave that contains the quantile, and interpolate in it.

The true value (nearest rank) lies in the same sixteenth. So the error is below 2^(1/16) - 1 = 4.5 % of the value, or
below 1 if the sixteenths are narrower than 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

OCTAVES = 20
PARTS = 16


@dataclass(frozen=True)
class Range:
    """Integers from ``low`` to below ``high``. A range with ``high`` None has no end."""

    low: int
    high: int | None


@dataclass(frozen=True)
class Position:
    """The position of a quantile: the ``rank``-th smallest (from 1) of the ``count`` numbers in ``range``."""

    range: Range
    count: int
    rank: int


def octaves() -> list[Range]:
    """Return the ranges 0, 1, 2 to 3, 4 to 7, and so on. The last starts at 2^20 (17 minutes in ms) and has no end."""
    return [*_between([0, *(2**power for power in range(OCTAVES + 1))]), Range(2**OCTAVES, None)]


def parts(octave: Range) -> list[Range]:
    """Divide an octave into up to sixteen ranges of equal ratio. An octave without an end is not divided."""
    if octave.high is None or octave.low == 0:
        return [octave]
    edges = {round(octave.low * 2 ** (part / PARTS)) for part in range(PARTS + 1)}
    return _between(sorted(edges))


def locate(rank: int, ranges: Sequence[Range], counts: Sequence[int]) -> Position:
    """Return the position of the ``rank``-th smallest number, from 1. Raises ValueError if there are fewer numbers."""
    for range, count in zip(ranges, counts, strict=True):
        if rank <= count:
            return Position(range, count, rank)
        rank -= count
    raise ValueError("there are fewer numbers than that")


def rank(share: float, count: int) -> int:
    """Return the nearest rank of the quantile at ``share`` (above 0, up to 1) of ``count`` numbers."""
    return max(1, ceil(share * count))


def interpolated(position: Position) -> float:
    """Return the value at the position, assuming that the numbers are spread evenly over the range."""
    low, high = position.range.low, position.range.high
    return low if high is None else low + (high - low) * (position.rank - 0.5) / position.count


def _between(edges: Sequence[int]) -> list[Range]:
    return [Range(low, high) for low, high in pairwise(edges)]

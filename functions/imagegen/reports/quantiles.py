"""Quantiles of a number that only the server sees: it counts how many lie in each of some ranges.

Two rounds: first the octave (from a power of two to the next) in which the quantile lies, then the sixteenth of that
octave, in which it is interpolated. The true value (the nearest rank's) lies in the same sixteenth, so the error is
below 2^(1/16) - 1 = 4.5 % of it, or below 1 where the sixteenths are narrower than 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

OCTAVES = 20
PARTS = 16


@dataclass(frozen=True)
class Range:
    """Integers from ``low`` to below ``high``; None: without an end."""

    low: int
    high: int | None


@dataclass(frozen=True)
class Place:
    """Where a quantile lies: the ``rank``-th smallest (from 1) of the ``count`` numbers in ``range``."""

    range: Range
    count: int
    rank: int


def octaves() -> list[Range]:
    """All integers from 0: 0, 1, 2 to 3, 4 to 7, and so on; the last from 2^20 (17 minutes in ms), without end."""
    return [*_between([0, *(2**power for power in range(OCTAVES + 1))]), Range(2**OCTAVES, None)]


def parts(octave: Range) -> list[Range]:
    """An octave in up to sixteen ranges, each as much longer than the one before; one without an end stays whole."""
    if octave.high is None or octave.low == 0:
        return [octave]
    edges = {round(octave.low * 2 ** (part / PARTS)) for part in range(PARTS + 1)}
    return _between(sorted(edges))


def locate(rank: int, ranges: Sequence[Range], counts: Sequence[int]) -> Place:
    """Where the ``rank``-th smallest of the counted numbers lies. ``rank`` is from 1 to the sum of ``counts``."""
    for place, count in zip(ranges, counts, strict=True):
        if rank <= count:
            return Place(place, count, rank)
        rank -= count
    raise ValueError("there are fewer numbers than that")


def rank(share: float, count: int) -> int:
    """The nearest rank of the quantile at ``share`` (above 0, up to 1) of ``count`` numbers."""
    return max(1, ceil(share * count))


def interpolated(place: Place) -> float:
    """The value, if the numbers lie evenly in their range."""
    low, high = place.range.low, place.range.high
    return low if high is None else low + (high - low) * (place.rank - 0.5) / place.count


def _between(edges: Sequence[int]) -> list[Range]:
    return [Range(low, high) for low, high in pairwise(edges)]

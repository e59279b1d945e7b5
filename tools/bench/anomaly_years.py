"""Generates the synthetic years of `make bench-anomalies`, and plants events into them."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

WEEKS = 52
DAYS = 7 * WEEKS
FAILURE_RATE = 0.05
FAILURE_CORRELATION = 0.005
"""The variation of the failure rate from day to day. Its standard deviation is 1.5 %."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Series(StrEnum):
    REQUESTS = "requests"
    FAILURES = "failures"


@dataclass(frozen=True)
class Year:
    """A year of daily counts. ``usual`` is the mean of each day, and ``deviation`` its standard deviation."""

    usual: Floats
    deviation: Floats
    requests: Integers
    failed: Integers


@dataclass(frozen=True)
class Event:
    """An event that is planted from a random day of a random week on.

    ``size`` is in standard deviations for requests, and a rate for failures. The event lasts ``days`` days, and grows
    during the first ``ramp`` of them.
    """

    name: str
    series: Series
    size: float
    days: int = 1
    ramp: int = 0
    after_outbreak: bool = False

    @property
    def weeks(self) -> int:
        """The number of weeks that the event spans."""
        return -(-self.days // 7)


def year(rng: Generator, mean: float) -> Year:
    """Generate a year of negative-binomial counts with a weekly rhythm, quieter weekends and changing growth.

    ``mean`` is the mean count per day.
    """
    rhythm = np.exp(rng.normal(0, 0.1, 7))
    rhythm[5:] *= rng.uniform(0.5, 1.0)
    day = np.arange(DAYS)
    growth = rng.uniform(-0.005, 0.025) + 0.01 * np.sin(2 * np.pi * (day / DAYS + rng.uniform()))
    usual = np.exp(np.cumsum(growth / 7)) * rhythm[day % 7]
    usual *= mean / usual.mean()
    dispersion = rng.uniform(0.01, 0.08)
    requests = rng.poisson(rng.gamma(1 / dispersion, usual * dispersion))
    failed = rng.binomial(requests, _rates(rng, FAILURE_RATE, DAYS))
    return Year(usual, np.sqrt(usual + dispersion * usual**2), requests, failed)


def plant(rng: Generator, quiet: Year, event: Event, first: int) -> Year:
    """Return the year with ``event`` planted from day ``first`` on."""
    requests, failed = quiet.requests.copy(), quiet.failed.copy()
    during = slice(first, first + event.days)
    if event.after_outbreak:
        earlier = first - 7 * rng.integers(2, 9) + rng.integers(0, 5)
        outbreak = slice(earlier, earlier + 3)
        requests[outbreak] += rng.poisson(8 * quiet.deviation[outbreak])
    if event.series is Series.FAILURES:
        failed[during] = rng.binomial(requests[during], _rates(rng, event.size, event.days))
    else:
        rise = np.minimum(1.0, np.arange(1, event.days + 1) / max(event.ramp, 1))
        requests[during] += rng.poisson(event.size * rise * quiet.deviation[during])
    return replace(quiet, requests=requests, failed=failed)


def _rates(rng: Generator, mean: float, days: int) -> Floats:
    precision = 1 / FAILURE_CORRELATION - 1
    return rng.beta(mean * precision, (1 - mean) * precision, days)

"""`make bench-anomalies`: how well the weekly report's detector finds what was planted, compared with simpler ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tools.anomaly_methods import METHODS, WEEKS_COMPARED
from tools.anomaly_years import WEEKS, Event, Floats, Series, plant, year

MEANS = (2, 10, 35, 60, 500)
FALSE_ALERTS = 0.01
EVENTS = (
    Event("spike of 3 sd", Series.REQUESTS, 3),
    Event("spike of 4 sd", Series.REQUESTS, 4),
    Event("spike of 6 sd", Series.REQUESTS, 6),
    Event("spike of 6 sd after an outbreak", Series.REQUESTS, 6, after_outbreak=True),
    Event("drift by 1 sd", Series.REQUESTS, 1, days=42, ramp=21),
    Event("drift by 2 sd", Series.REQUESTS, 2, days=42, ramp=21),
    Event("failures 5 to 15 %, 3 days", Series.FAILURES, 0.15, days=3),
    Event("failures 5 to 40 %, 3 days", Series.FAILURES, 0.40, days=3),
)
SEED = 20_261_109


@dataclass(frozen=True)
class Job:
    """Some years of one mean: without an event to calibrate, or with one."""

    mean: int
    event: Event | None
    years: Sequence[int]
    seed: int


@dataclass(frozen=True)
class Outcome:
    """Scores of a job by method and series: years x weeks x (the seven days, and the week as a whole).

    ``starts``: of each year, the day of the first of these weeks on which the event begins.
    """

    job: Job
    scores: Mapping[tuple[str, Series], Floats]
    starts: Sequence[int]


def run(job: Job) -> Outcome:
    """All methods' scores: of every week of a year without an event, of the event's weeks of one with it."""
    found: dict[tuple[str, Series], list[list[Floats]]] = {
        key: [] for key in product(METHODS, [job.event.series] if job.event else Series)
    }
    starts = []
    for number in job.years:
        rng = np.random.default_rng([job.seed, job.mean, EVENTS.index(job.event) + 1 if job.event else 0, number])
        data, weeks, start = year(rng, job.mean), range(WEEKS_COMPARED, WEEKS), 0
        if job.event:
            first = int(rng.integers(WEEKS_COMPARED, WEEKS - job.event.weeks))
            start = int(rng.integers(0, 7 * job.event.weeks - job.event.days + 1))
            data, weeks = plant(rng, data, job.event, 7 * first + start), range(first, first + job.event.weeks)
        starts.append(start)
        for (name, series), values in found.items():
            values.append([METHODS[name](data, series, week) for week in weeks])
    return Outcome(job, {key: np.array(values) for key, values in found.items()}, starts)


def thresholds(quiet: Outcome, unit: int) -> Mapping[tuple[str, Series], float]:
    """What a share of ``FALSE_ALERTS`` of the quiet days (``unit`` 1) or weeks (``unit`` 7) exceeds, by method."""
    return {
        key: float(np.quantile(values.max(axis=2) if unit == 7 else values[:, :, :7], 1 - FALSE_ALERTS))
        for key, values in quiet.scores.items()
    }


def days_to_detection(values: Floats, start: int, event: Event, threshold: float) -> int | None:
    """From the beginning of the event to the end of the first of its days that is flagged; 1 is the same day.

    What speaks of the week as a whole is known at its end, and says nothing of a spike of one day.
    """
    for day in range(start, start + event.days):
        week, weekday = divmod(day, 7)
        if values[week, weekday] > threshold:
            return day - start + 1
        if event.days > 1 and (weekday == 6 or day == start + event.days - 1) and values[week, 7] > threshold:
            return 7 * (week + 1) - start
    return None

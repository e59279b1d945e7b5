"""`make bench-anomalies`: measures how well the weekly report's detector finds planted events.

The other methods in `anomaly_methods` are measured in the same way, for comparison.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np
from rich.console import Console
from rich.progress import track

from tools.bench.anomaly_methods import METHODS, WEEKS_COMPARED
from tools.bench.anomaly_tables import PAGE, tables, up_to_date
from tools.bench.anomaly_years import WEEKS, Event, Floats, Series, plant, year
from tools.emulators.project import ROOT

MEANS = (2, 10, 35, 60, 500)
FALSE_ALERTS = 0.01
EVENTS = (
    Event("spike of 3 sd", Series.REQUESTS, 3),
    Event("spike of 4 sd", Series.REQUESTS, 4),
    Event("spike of 6 sd", Series.REQUESTS, 6),
    Event("6 sd after an outbreak", Series.REQUESTS, 6, after_outbreak=True),
    Event("drift by 1 sd", Series.REQUESTS, 1, days=42, ramp=21),
    Event("drift by 2 sd", Series.REQUESTS, 2, days=42, ramp=21),
    Event("failures 5 to 15 %", Series.FAILURES, 0.15, days=3),
    Event("failures 5 to 40 %", Series.FAILURES, 0.40, days=3),
)
SEED = 20_261_109
YEARS_AT_ONCE = 10


@dataclass(frozen=True)
class Job:
    """Some years with one mean. ``event`` is None for the quiet years that set the thresholds."""

    mean: int
    event: Event | None
    years: Sequence[int]
    seed: int


@dataclass(frozen=True)
class Outcome:
    """The scores of a job by method and series. The axes are years, weeks, and (seven days, then the whole week).

    ``starts`` has, for each year, the day on which the event begins, counted from the first of these weeks.
    """

    job: Job
    scores: Mapping[tuple[str, Series], Floats]
    starts: Sequence[int]


def run(job: Job) -> Outcome:
    """Score a job with all methods: every week of each quiet year, or the weeks of the event in each other year."""
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
    """Return the score that a share of ``FALSE_ALERTS`` of the quiet days or weeks exceeds, by method and series.

    ``unit`` is 1 for days and 7 for weeks.
    """
    return {
        key: float(np.quantile(values.max(axis=2) if unit == 7 else values[:, :, :7], 1 - FALSE_ALERTS))
        for key, values in quiet.scores.items()
    }


def days_to_detection(values: Floats, start: int, event: Event, threshold: float) -> int | None:
    """Return the days from the start of the event to the end of its first flagged day, or None if no day is flagged.

    1 means that the first day is flagged. The score of the whole week is known at its end, and is not used for a spike
    of one day.
    """
    for day in range(start, start + event.days):
        week, weekday = divmod(day, 7)
        if values[week, weekday] > threshold:
            return day - start + 1
        if event.days > 1 and (weekday == 6 or day == start + event.days - 1) and values[week, 7] > threshold:
            return 7 * (week + 1) - start
    return None


@dataclass(frozen=True)
class Row:
    """The results of each method for an event: the share of events found, and the mean days to detection.

    An event that is not found counts with all days of its weeks. ``found`` and ``days`` use thresholds by week.
    ``found_by_day`` uses thresholds by day, and is empty for a drift.
    """

    mean: int
    event: Event
    found: Mapping[str, float]
    days: Mapping[str, float]
    found_by_day: Mapping[str, float]


@dataclass(frozen=True)
class Nominal:
    """The share of quiet days on which the deployed tests go below a p-value."""

    mean: int
    p_value: float
    share: float


def rows(outcomes: Sequence[Outcome]) -> tuple[list[Row], list[Nominal]]:
    """Return a row for each mean and event, in this order, and the shares of the deployed tests' p-values.

    The thresholds of a row come from the quiet years with the same mean.
    """
    found = []
    nominal = []
    for mean in sorted({outcome.job.mean for outcome in outcomes}):
        quiet = _joined([outcome for outcome in outcomes if outcome.job.mean == mean and not outcome.job.event])
        by_week, by_day = thresholds(quiet, 7), thresholds(quiet, 1)
        spikes = quiet.scores["ours", Series.REQUESTS][:, :, :7]  # scores of p-values corrected for seven days
        nominal += [Nominal(mean, p, float(np.mean(spikes >= -np.log10(7 * p)))) for p in (1e-2, 1e-3)]
        for event in EVENTS:
            of_event = [outcome for outcome in outcomes if outcome.job.mean == mean and outcome.job.event == event]
            if of_event:
                found.append(_row(_joined(of_event), event, by_week, by_day))
    return found, nominal


def _row(
    outcome: Outcome,
    event: Event,
    by_week: Mapping[tuple[str, Series], float],
    by_day: Mapping[tuple[str, Series], float],
) -> Row:
    missed = 7 * event.weeks
    delays = {
        name: [
            days_to_detection(values, start, event, by_week[name, series])
            for values, start in zip(scores, outcome.starts, strict=True)
        ]
        for (name, series), scores in outcome.scores.items()
    }
    on_its_days = {
        name: [
            bool(values[:, :7].ravel()[start : start + event.days].max() > by_day[name, series])
            for values, start in zip(scores, outcome.starts, strict=True)
        ]
        for (name, series), scores in outcome.scores.items()
    }
    return Row(
        outcome.job.mean,
        event,
        {name: fmean(delay is not None for delay in of_method) for name, of_method in delays.items()},
        {name: fmean(missed if delay is None else delay for delay in of_method) for name, of_method in delays.items()},
        {name: fmean(of_method) for name, of_method in on_its_days.items()} if event.weeks == 1 else {},
    )


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        outcomes[0].job,
        {key: np.concatenate([outcome.scores[key] for outcome in outcomes]) for key in outcomes[0].scores},
        [start for outcome in outcomes for start in outcome.starts],
    )


def jobs(seed: int, quiet_years: int, events: int, means: Sequence[int] = MEANS) -> list[Job]:
    """Return jobs for ``quiet_years`` quiet years and ``events`` years with each event, for each mean."""
    return [
        Job(mean, event, range(first, min(first + YEARS_AT_ONCE, number)), seed)
        for mean in means
        for event, number in [(None, quiet_years), *((event, events) for event in EVENTS)]
        for first in range(0, number, YEARS_AT_ONCE)
    ]


def main(arguments: Sequence[str], console: Console) -> int:
    parser = ArgumentParser(prog="python -m tools.bench.anomalies", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=SEED, help="use another seed to tune parameters; nothing is written"
    )
    parser.add_argument(
        "--quiet-years", type=int, default=60, help="quiet years for the thresholds, for each mean (60)"
    )
    parser.add_argument("--events", type=int, default=200, help="years with each event, for each mean (200)")
    options = parser.parse_args(arguments)
    planned = jobs(options.seed, options.quiet_years, options.events)
    with ProcessPoolExecutor() as pool:
        outcomes = list(track(pool.map(run, planned), "Years", len(planned), console=console, transient=True))
    found, nominal = rows(outcomes)
    for shown in tables(found):
        console.print(shown)
    if options.seed == SEED:
        PAGE.write_text(up_to_date(PAGE.read_text("utf-8"), found, nominal), "utf-8")
        console.print(f"Written: {PAGE.relative_to(ROOT)}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))

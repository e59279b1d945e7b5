"""Counts a week's requests on the server, day by day, and saves the progress."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from imagegen.documents.generations import REQUESTS
from imagegen.domain.catalog import Catalog, Kind
from imagegen.domain.generation import Status
from imagegen.domain.weeks import Week
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, OutcomeUnknown, Put, Query, Sum, Totals, Where
from imagegen.reports.model import OTHER, Daily, DayCounts, Processing, Tally, total
from imagegen.reports.progress import NOTHING_COUNTED, PROGRESS_PATH, progress_data, progress_of
from imagegen.reports.quantiles import Position, Range, interpolated, locate, octaves, parts, rank
from imagegen.services.unreadable import read_or_log

PARALLEL_QUERIES = 8
PROGRESS_KEPT = timedelta(minutes=15)
"""Longer than the scheduler waits before it tries again. A later run counts all days again."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Counting:
    """Counts with aggregation queries, which are billed as one read for every 1,000 index entries or part of them."""

    database: Database
    clock: Clock

    def days(self, week: Week, catalog: Catalog) -> dict[str, DayCounts]:
        """Return the counts of each day of the week. Continues an interrupted run. Raises DatabaseUnavailable."""
        done = self._load_progress(week)
        for day in week.days:
            if day not in done:
                done[day] = self._day(day, catalog)
                self._save_progress(done)
        return {day: done[day] for day in week.days}

    def processing(self, week: Week, completed: int) -> Processing:
        """Return the quantiles of ``processingMs`` of the week's ``completed`` requests. Ignores requests without it.

        See ``reports.quantiles`` for the error of the quantiles. Raises DatabaseUnavailable.
        """
        if not completed:
            return Processing()
        ranges = octaves()
        counts = self._processed(week, ranges)
        timed = sum(counts)
        if not timed:
            return Processing()
        median, p95 = (locate(rank(share, timed), ranges, counts) for share in (0.5, 0.95))
        refined = {octave: self._processed(week, parts(octave)) for octave in {median.range, p95.range}}
        return Processing(timed, *(_refined(position, refined[position.range]) for position in (median, p95)))

    def trial_credits(self, week: Week) -> int:
        """Return how many of the week's deducted credits came from trial buckets. Raises DatabaseUnavailable."""
        # Requests without trial credits need not be counted: their credits were all paid.
        used = Query(REQUESTS, (Where("week", "==", str(week)), Where("paidFrom.trial", ">=", 1)))
        [totals] = self.database.totals(Sum(used, ("paidFrom.trial",)))
        return totals.sums[0]

    def _day(self, day: str, catalog: Catalog) -> DayCounts:
        by_status = self._by_status((Where("day", "==", day),), list(Status))
        # To save queries, skip statuses that no request of the day has, and all options if there is no request.
        statuses = [status for status, totals in by_status.items() if totals.count]
        options = [(kind, option.name) for kind in Kind for option in catalog.options(kind)] if statuses else []

        def counted(option: tuple[Kind, str]) -> Tally:
            kind, name = option
            return _tally(self._by_status((Where("day", "==", day), Where(kind.value, "==", name)), statuses))

        tallies = dict(zip(options, self._in_parallel(counted, options), strict=True))
        return DayCounts(
            _tally(by_status),
            {kind: {name: tally for (of, name), tally in tallies.items() if of is kind} for kind in Kind},
        )

    def _by_status(self, where: tuple[Where, ...], statuses: Sequence[Status]) -> dict[Status, Totals]:
        questions = [
            Sum(Query(REQUESTS, (*where, Where("status", "==", status.value))), ("cost",)) for status in statuses
        ]
        return dict(zip(statuses, self.database.totals(*questions), strict=True))

    def _processed(self, week: Week, ranges: Sequence[Range]) -> list[int]:
        completed = (Where("week", "==", str(week)), Where("status", "==", Status.COMPLETED.value))

        def counted(part: Range) -> int:
            bounds = [Where("processingMs", ">=", part.low)]
            if part.high is not None:
                bounds.append(Where("processingMs", "<", part.high))
            [totals] = self.database.totals(Sum(Query(REQUESTS, (*completed, *bounds))))
            return totals.count

        return self._in_parallel(counted, ranges)

    def _load_progress(self, week: Week) -> dict[str, DayCounts]:
        [stored] = self.database.read(PROGRESS_PATH)
        at, days = read_or_log(progress_of, stored) or NOTHING_COUNTED
        is_fresh = at >= self.clock.now() - PROGRESS_KEPT
        return {day: days[day] for day in week.days if is_fresh and day in days}

    def _save_progress(self, days: Mapping[str, DayCounts]) -> None:
        """Save the progress. Concurrent runs share one document, so each may overwrite the other's progress."""
        with suppress(CommitRefused, OutcomeUnknown):  # a resumed run then counts this day again
            self.database.commit(Put(PROGRESS_PATH, progress_data(self.clock.now(), days)))

    def _in_parallel(self, ask: Callable[[A], B], questions: Iterable[A]) -> list[B]:
        with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
            return list(pool.map(ask, questions))


def daily(days: Mapping[str, DayCounts], kind: Kind) -> dict[str, Daily]:
    """Return the days of each option, and of the requests whose option is not in the catalog, if there are any."""
    names = dict.fromkeys(name for day in days.values() for name in day.options[kind])
    by_name: dict[str, Daily] = {
        name: [day.options[kind].get(name, Tally()) for day in days.values()] for name in names
    }
    rest = [day.total - sum(day.options[kind].values(), Tally()) for day in days.values()]
    return {**by_name, OTHER: rest} if total(rest).requests else by_name


def _refined(position: Position, counts: Sequence[int]) -> float:
    ranges = parts(position.range)
    found = sum(counts)
    return interpolated(locate(min(position.rank, found), ranges, counts)) if found else interpolated(position)


def _tally(by_status: Mapping[Status, Totals]) -> Tally:
    ended = (Status.COMPLETED, Status.FAILED, Status.CANCELED)
    completed, failed, canceled = (by_status.get(status, Totals(0, (0,))) for status in ended)
    return Tally(
        requests=sum(totals.count for totals in by_status.values()),
        completed=completed.count,
        failed=failed.count,
        canceled=canceled.count,
        credits_deducted=sum(totals.sums[0] for totals in by_status.values()),
        credits_refunded=failed.sums[0] + canceled.sums[0],
    )

"""Counts a week's requests on the server, day by day, and remembers the days that are done."""

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
from imagegen.reports.progress import PROGRESS_PATH, progress_data, progress_of
from imagegen.reports.quantiles import Place, Range, interpolated, locate, octaves, parts, rank

QUERIES_AT_ONCE = 8
PROGRESS_KEPT = timedelta(minutes=15)
"""More than the scheduler waits before it tries again; a run that starts later counts anew."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Counting:
    """Every number is an aggregation query: billed as one read for each started 1,000 index entries."""

    database: Database
    clock: Clock

    def days(self, week: Week, catalog: Catalog) -> dict[str, DayCounts]:
        """Each day of the week. A run that broke off in the last minutes is continued. Raises DatabaseUnavailable."""
        done = self._progress(week)
        for day in week.days:
            if day not in done:
                done[day] = self._day(day, catalog)
                self._remember(done)
        return {day: done[day] for day in week.days}

    def processing(self, week: Week, completed: int) -> Processing:
        """The quantiles of ``processingMs`` of the week's ``completed`` requests; those without it do not count.

        See ``reports.quantiles`` for the error. Raises DatabaseUnavailable.
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
        return Processing(timed, *(_refined(place, refined[place.range]) for place in (median, p95)))

    def trial_credits(self, week: Week) -> int:
        """The part of the week's deducted credits that came from trial buckets. Raises DatabaseUnavailable."""
        # Only the requests that have such a part are looked at: the rest of the deducted credits was paid.
        used = Query(REQUESTS, (Where("week", "==", str(week)), Where("paidFrom.trial", ">=", 1)))
        [totals] = self.database.totals(Sum(used, "paidFrom.trial"))
        return totals.sum

    def _day(self, day: str, catalog: Catalog) -> DayCounts:
        by_status = self._by_status((Where("day", "==", day),), list(Status))
        # What nobody asked for on that day, and statuses that nothing has, are known to be empty.
        statuses = [status for status, totals in by_status.items() if totals.count]
        options = [(kind, option.name) for kind in Kind for option in catalog.options(kind)] if statuses else []

        def counted(option: tuple[Kind, str]) -> Tally:
            kind, name = option
            return _tally(self._by_status((Where("day", "==", day), Where(kind.value, "==", name)), statuses))

        tallies = dict(zip(options, self._at_once(counted, options), strict=True))
        return DayCounts(
            _tally(by_status),
            {kind: {name: tally for (of, name), tally in tallies.items() if of is kind} for kind in Kind},
        )

    def _by_status(self, where: tuple[Where, ...], statuses: Sequence[Status]) -> dict[Status, Totals]:
        questions = [Sum(Query(REQUESTS, (*where, Where("status", "==", status.value))), "cost") for status in statuses]
        return dict(zip(statuses, self.database.totals(*questions), strict=True))

    def _processed(self, week: Week, ranges: Sequence[Range]) -> list[int]:
        completed = (Where("week", "==", str(week)), Where("status", "==", Status.COMPLETED.value))

        def counted(part: Range) -> int:
            bounds = [Where("processingMs", ">=", part.low)]
            if part.high is not None:
                bounds.append(Where("processingMs", "<", part.high))
            [totals] = self.database.totals(Sum(Query(REQUESTS, (*completed, *bounds)), None))
            return totals.count

        return self._at_once(counted, ranges)

    def _progress(self, week: Week) -> dict[str, DayCounts]:
        [stored] = self.database.read(PROGRESS_PATH)
        at, days = progress_of(stored)
        is_fresh = at >= self.clock.now() - PROGRESS_KEPT
        return {day: days[day] for day in week.days if is_fresh and day in days}

    def _remember(self, days: Mapping[str, DayCounts]) -> None:
        """There is one such document; runs of two weeks at once only take each other's chance to resume."""
        with suppress(CommitRefused, OutcomeUnknown):  # then a run that has to resume counts this day again
            self.database.commit(Put(PROGRESS_PATH, progress_data(self.clock.now(), days)))

    def _at_once(self, ask: Callable[[A], B], questions: Iterable[A]) -> list[B]:
        with ThreadPoolExecutor(QUERIES_AT_ONCE) as pool:
            return list(pool.map(ask, questions))


def daily(days: Mapping[str, DayCounts], kind: Kind) -> dict[str, Daily]:
    """Each option's days, and the rest of the totals where there is one."""
    names = dict.fromkeys(name for day in days.values() for name in day.options[kind])
    by_name: dict[str, Daily] = {
        name: [day.options[kind].get(name, Tally()) for day in days.values()] for name in names
    }
    rest = [day.total - sum(day.options[kind].values(), Tally()) for day in days.values()]
    return {**by_name, OTHER: rest} if total(rest).requests else by_name


def _refined(place: Place, counts: Sequence[int]) -> float:
    ranges = parts(place.range)
    found = sum(counts)
    return interpolated(locate(min(place.rank, found), ranges, counts)) if found else interpolated(place)


def _tally(by_status: Mapping[Status, Totals]) -> Tally:
    ended = (Status.COMPLETED, Status.FAILED, Status.CANCELED)
    completed, failed, canceled = (by_status.get(status, Totals(0, 0)) for status in ended)
    return Tally(
        requests=sum(totals.count for totals in by_status.values()),
        completed=completed.count,
        failed=failed.count,
        canceled=canceled.count,
        credits_deducted=sum(totals.sum for totals in by_status.values()),
        credits_refunded=failed.sum + canceled.sum,
    )

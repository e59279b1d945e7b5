"""Counts the requests of days on the server, in total and by option, with few queries."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from imagegen.dataclass import dataclass
from imagegen.documents.fields import Fields
from imagegen.documents.generations import REQUESTS, TALLIED
from imagegen.domain.catalog import Catalog, Kind
from imagegen.domain.generation import OPEN, REFUNDED, FailureReason, Status
from imagegen.domain.weeks import Week
from imagegen.ports.database import Database, Query, Snapshot, Sum, Totals, Where
from imagegen.reports.model import DayCounts, Processing, Tally, total
from imagegen.reports.quantiles import Range, estimates
from imagegen.services.unreadable import read_or_log

PAGE_SIZE = 500

COST_MAX = 10**9
"""The largest cost of a request that is counted. No price comes near it."""

WHOLE_DAY = (Where("hour", ">=", 0), Where("hour", "<", 24))
"""A condition that every request meets. It lets the database divide a count that takes too long, down to an hour."""

UNFINISHED = Where("status", "in", OPEN)

Options = Mapping[Kind, Sequence[str]]
"""The names of the catalog's options."""


@dataclass(frozen=True)
class Counting:
    """Counts with aggregation queries, which are billed as one read for every 1,000 index entries or part of them.

    One query counts an option's requests of a day and sums their ``TALLIED`` fields. Two kinds of days are read
    instead, one request after the other:

    - days with so few requests that reading them costs no more
    - days with requests that the sums do not cover, because an earlier version stored or settled them
    - days whose sums are impossible, because a request has a wrong value
    """

    database: Database

    def days(self, days: Sequence[str], catalog: Catalog) -> dict[str, DayCounts]:
        """Return the counts of each day. Raises DatabaseUnavailable.

        Several days are counted together, because some queries serve all of them.
        """
        options = {kind: list(dict.fromkeys(option.name for option in catalog.options(kind))) for kind in Kind}
        stored, unfinished, refunded, *found = self.database.totals(
            stored_on(days),
            stored_on(days, UNFINISHED),
            replace(stored_on(days, Where("status", "in", REFUNDED)), fields=("cost",)),
            *(_tallied_on([day]) for day in days),
        )
        totals = dict(zip(days, map(_tally, found), strict=True))
        if stored.count <= len(days) * (1 + sum(map(len, options.values()))):  # the number of further queries
            return self._read(days, options)
        tallied = total(list(totals.values()))
        is_covered = (
            tallied.requests == stored.count
            and tallied.failed + tallied.canceled == refunded.count + unfinished.count
            and (tallied.credits_refunded,) == refunded.sums
        )
        counts = self._ended(totals, options) if is_covered and not unfinished.count else None
        if counts is None and is_covered and len(days) == 1:
            counts = {day: self._unfinished(day, options) for day in days}
        if counts is not None and all(counted.is_possible for counted in counts.values()):
            return self._with_refused(counts)
        if len(days) > 1:
            return {day: self.days([day], catalog)[day] for day in days}
        return self._read(days, options)

    def processing(self, week: Week) -> Processing:
        """Return the quantiles of ``processingMs`` of the week's completed requests. Ignores requests without it.

        See ``reports.quantiles`` for the error of the quantiles. Raises DatabaseUnavailable.
        """
        completed = (Where("week", "==", str(week)), Where("status", "==", Status.COMPLETED.value))

        def timed(range: Range, *fields: str) -> Totals:
            end = () if range.high is None else (Where("processingMs", "<", range.high),)
            query = Query(REQUESTS, (*completed, Where("processingMs", ">=", range.low), *end))
            [totals] = self.database.totals(Sum(query, fields))
            return totals

        every = timed(Range(0, None), "processingMs")
        if not every.count:
            return Processing()
        mean = every.sums[0] / every.count
        return Processing(every.count, *estimates((0.5, 0.95), every.count, mean, lambda range: timed(range).count))

    def trial_credits(self, week: Week) -> int:
        """Return how many of the week's deducted credits came from trial buckets. Raises DatabaseUnavailable."""
        # Requests without trial credits need not be counted: their credits were all paid.
        used = Query(REQUESTS, (Where("week", "==", str(week)), Where("paidFrom.trial", ">=", 1)))
        [totals] = self.database.totals(Sum(used, ("paidFrom.trial",)))
        return totals.sums[0]

    def _with_refused(self, counted: dict[str, DayCounts]) -> dict[str, DayCounts]:
        """Return the counts with the numbers of refused requests. This is one query if there are none."""
        failed = [day for day, counts in counted.items() if counts.total.failed]
        if not failed or not self.database.totals(_refused_on(failed))[0].count:
            return counted
        asked: list[tuple[str, Kind | None, str]] = [(day, None, "") for day in failed]
        asked += [
            (day, kind, name)
            for day in failed
            for kind, tallies in counted[day].options.items()
            for name, tally in tallies.items()
            if tally.failed
        ]
        found = self.database.totals(
            *(_refused_on([day], *([] if kind is None else [_is(kind, name)])) for day, kind, name in asked)
        )
        refused = {of: totals.count for of, totals in zip(asked, found, strict=True)}
        return {
            day: DayCounts(
                replace(counts.total, refused=refused.get((day, None, ""), 0)),
                {
                    kind: {
                        name: replace(tally, refused=refused.get((day, kind, name), 0))
                        for name, tally in tallies.items()
                    }
                    for kind, tallies in counts.options.items()
                },
            )
            for day, counts in counted.items()
        }

    def _ended(self, totals: Mapping[str, Tally], options: Options) -> dict[str, DayCounts] | None:
        """Return the counts of days whose requests have all ended, with one query less for each day and kind.

        The remainder of a day is the last option of each kind, unless requests have options that are not in the
        catalog. One count of that option on all days tells: a remainder is never too small, so if their sum is right,
        each of them is. If it is not right, return None. This does not happen with a single day.
        """
        days = tuple(day for day, tally in totals.items() if tally.requests)
        asked: list[tuple[tuple[str, ...], Kind, str]] = [
            ((day,), kind, name) for day in days for kind, names in options.items() for name in names[:-1]
        ]
        asked += [(days, kind, names[-1]) for kind, names in options.items()]
        found = self.database.totals(*(_tallied_on(on, _is(kind, name)) for on, kind, name in asked))
        tallies = dict(zip(asked, map(_tally, found), strict=True))
        for kind, (*others, last) in options.items():
            if len(days) == 1:
                continue  # the last option has been counted
            for day in days:
                tallies[(day,), kind, last] = totals[day] - total([tallies[(day,), kind, name] for name in others])
            if total([tallies[(day,), kind, last] for day in days]) != tallies[days, kind, last]:
                return None
        return {
            day: DayCounts(
                totals[day],
                {
                    kind: {name: tallies[(day,), kind, name] for name in names if day in days}
                    for kind, names in options.items()
                },
            )
            for day in totals
        }

    def _unfinished(self, day: str, options: Options) -> DayCounts:
        """Return the counts of a day with unfinished requests, which the sums do not tell from canceled ones."""
        asked = [(kind, name) for kind, names in options.items() for name in names]
        conditions = [(), *((_is(kind, name),) for kind, name in asked)]
        found = self.database.totals(
            *(_tallied_on([day], *where) for where in conditions),
            *(stored_on([day], *where, UNFINISHED) for where in conditions),
        )
        pairs = zip(found[: len(conditions)], found[len(conditions) :], strict=True)
        all_requests, *tallies = [_tally(tallied, unfinished.count) for tallied, unfinished in pairs]
        by_option = dict(zip(asked, tallies, strict=True))
        return DayCounts(
            all_requests,
            {kind: {name: by_option[kind, name] for name in names} for kind, names in options.items()},
        )

    def _read(self, days: Sequence[str], options: Options) -> dict[str, DayCounts]:
        """Return the counts of days, from the documents of their requests. Log and leave out unreadable ones."""
        totals: dict[str, Tally] = defaultdict(Tally)
        by_option: dict[tuple[str, Kind, str], Tally] = defaultdict(Tally)
        for document in self._documents(days):
            if (counted := read_or_log(_counted, document)) is not None:
                day, chosen, tally = counted
                totals[day] += tally
                for kind, name in chosen.items():
                    by_option[day, kind, name] += tally
        return {
            day: DayCounts(
                totals[day],
                {
                    kind: {name: by_option[day, kind, name] for name in names if totals[day].requests}
                    for kind, names in options.items()
                },
            )
            for day in days
        }

    def _documents(self, days: Sequence[str]) -> Iterator[Snapshot]:
        """Yield the requests of the days, in the order of their ids, without keeping them all in memory."""
        page: Sequence[Snapshot] = ()
        while True:
            after = (page[-1].id,) if page else None
            query = Query(REQUESTS, (_on(days),), "__name__", ascending=True, start_after=after, limit=PAGE_SIZE)
            yield from (page := self.database.find(query))
            if len(page) < PAGE_SIZE:
                return


def stored_on(days: Sequence[str], *where: Where) -> Sum:
    """Return the query for the number of requests of the days that meet the conditions."""
    return Sum(Query(REQUESTS, (_on(days), *where)))


def _refused_on(days: Sequence[str], *where: Where) -> Sum:
    """Return the query for the number of requests of the days that a content policy refused."""
    return stored_on(days, *where, Where("error.reason", "==", FailureReason.CONTENT_REFUSED.value))


def _tallied_on(days: Sequence[str], *where: Where) -> Sum:
    """Return the query for the sums of the requests of the days that meet the conditions."""
    return Sum(Query(REQUESTS, (_on(days), *where, *WHOLE_DAY)), TALLIED)


def _on(days: Sequence[str]) -> Where:
    return Where("day", "in", tuple(days))


def _is(kind: Kind, name: str) -> Where:
    return Where(kind.value, "==", name)


def _tally(totals: Totals, unfinished: int = 0) -> Tally:
    """Return the totals as a tally. Of its requests, ``unfinished`` have not ended."""
    cost, completed, failed, refunded = totals.sums
    canceled = totals.count - completed - failed - unfinished
    return Tally(totals.count, completed, failed, canceled, cost, refunded)


def _counted(document: Snapshot) -> tuple[str, dict[Kind, str], Tally]:
    """Return the day, the options and the tally of one request. Raises Unreadable."""
    fields = Fields.of(document)
    status, cost = fields.read("status", Status), fields.amount("cost", limit=COST_MAX)
    tally = Tally(
        requests=1,
        completed=int(status is Status.COMPLETED),
        failed=int(status is Status.FAILED),
        canceled=int(status is Status.CANCELED),
        credits_deducted=cost,
        credits_refunded=cost if status in REFUNDED else 0,
        refused=int(_is_refused(fields)),
    )
    return fields.read("day", str), {kind: fields.read(kind.value, str) for kind in Kind}, tally


def _is_refused(fields: Fields) -> bool:
    """Return whether a content policy refused the request."""
    if fields.optional("error", dict) is None:
        return False
    return fields.map("error").read("reason", FailureReason) is FailureReason.CONTENT_REFUSED

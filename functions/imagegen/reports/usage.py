"""Counts each day once: stores the counts of days whose requests have all ended, in ``dailyUsage``."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.documents.generations import REQUESTS
from imagegen.domain.catalog import Kind
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, OutcomeUnknown, Put, Query, Snapshot, Sum, Where
from imagegen.reports.counting import Counting, stored_on
from imagegen.reports.documents import counters
from imagegen.reports.model import OTHER, Daily, DayCounts, Tally, total
from imagegen.reports.reading import tally_of
from imagegen.services.catalog import Catalogs
from imagegen.services.unreadable import read_or_log

DAILY_USAGE = "dailyUsage"

DAYS_LOOKED_BACK = 8
"""The days that a daily run counts if they have not been counted: the days of the weekly report, and one more."""

STORED_WITHIN = timedelta(minutes=5)
"""Longer than it takes to store a request, from the time that its creation is recorded as."""


@dataclass(frozen=True)
class DailyUsage:
    database: Database
    catalogs: Catalogs
    counting: Counting
    clock: Clock

    def of(self, days: Sequence[str]) -> dict[str, DayCounts]:
        """Return the counts of each day: as stored, or else counted now.

        Store the counts that are final. Raises DatabaseUnavailable and ServiceUnavailable.
        """
        known = self._stored(days)
        if missing := [day for day in days if day not in known]:
            counted = self.counting.days(missing, self.catalogs.load())
            self._store(counted)
            known |= counted
        return {day: known[day] for day in days}

    def count_days_before(self, scheduled_at: datetime) -> int:
        """Count those of the last days before ``scheduled_at`` that have not been counted.

        Return the number of days that are counted for good. Raises DatabaseUnavailable and ServiceUnavailable.
        """
        today = scheduled_at.astimezone(UTC).date()
        counted = self.of([str(today - timedelta(days=back)) for back in range(DAYS_LOOKED_BACK, 0, -1)])
        return sum(self._is_final(day, counts) for day, counts in counted.items())

    def _stored(self, days: Sequence[str]) -> dict[str, DayCounts]:
        """Return the stored counts of days whose number of requests has not changed since.

        An ended request never changes, so the number tells whether a request was stored or deleted late.
        """
        documents = self.database.read(*map(usage_path, days))
        found = {document.id: read_or_log(usage_of, document) for document in documents if document.exists}
        known = {day: counts for day, counts in found.items() if counts}
        if not known:
            return {}
        after = str(date.fromisoformat(max(known)) + timedelta(days=1))
        period = (Where("day", ">=", min(known)), Where("day", "<", after))  # faster than a list of days
        [stored] = self.database.totals(Sum(Query(REQUESTS, period)))
        if stored.count == sum(counts.total.requests for counts in known.values()):
            return known
        by_day = dict(zip(known, self.database.totals(*(stored_on([day]) for day in known)), strict=True))
        return {day: counts for day, counts in known.items() if counts.total.requests == by_day[day].count}

    def _store(self, counted: dict[str, DayCounts]) -> None:
        final = [
            Put(usage_path(day), usage_data(day, counts))
            for day, counts in counted.items()
            if self._is_final(day, counts)
        ]
        if final:
            with suppress(CommitRefused, OutcomeUnknown):  # a later run then counts these days again
                self.database.commit(*final)

    def _is_final(self, day: str, counts: DayCounts) -> bool:
        """Return whether all requests of the day have ended, and no more can come."""
        end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        return not counts.total.processing and end + STORED_WITHIN <= self.clock.now()


def usage_path(day: str) -> str:
    return f"{DAILY_USAGE}/{day}"


def usage_data(day: str, counts: DayCounts) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "day": day,
        "total": counters(counts.total),
        **{
            kind.collection: [{"name": name, **counters(tally)} for name, tally in by_name.items()]
            for kind, by_name in counts.options.items()
        },
    }


def usage_of(document: Snapshot) -> DayCounts:
    """Return the stored counts of a day. Raises Unreadable."""
    fields = Fields.of(document)
    options = {
        kind: {option.read("name", str): tally_of(option) for option in fields.maps(kind.collection)} for kind in Kind
    }
    counts = DayCounts(tally_of(fields.map("total")), options)
    if not counts.is_possible:  # the options have more than the total
        fields.refuse("total")
    return counts


def daily(days: Iterable[DayCounts], kind: Kind) -> dict[str, Daily]:
    """Return the days of each option, and of the requests whose option is not in the catalog, if there are any."""
    days = list(days)
    names = dict.fromkeys(name for day in days for name in day.options[kind])
    by_name: dict[str, Daily] = {name: [day.options[kind].get(name, Tally()) for day in days] for name in names}
    rest = [day.rest(kind) for day in days]
    return {**by_name, OTHER: rest} if total(rest).requests else by_name

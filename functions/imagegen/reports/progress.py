"""Converts the progress of an unfinished report to and from its Firestore document."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from imagegen.documents.fields import Fields
from imagegen.domain.catalog import Kind
from imagegen.ports.database import Put, Snapshot
from imagegen.reports.documents import counters, refusing, tally_of
from imagegen.reports.model import DayCounts

PROGRESS_PATH = "reportProgress/latest"
"""The only progress document. A finished run empties it."""

NO_PROGRESS = Put(PROGRESS_PATH, {})

NOTHING_COUNTED: tuple[datetime, dict[str, DayCounts]] = (datetime.min.replace(tzinfo=UTC), {})


def progress_data(at: datetime, days: Mapping[str, DayCounts]) -> dict[str, Any]:
    return {
        "savedAt": at,
        "days": {
            day: {
                "total": counters(counts.total),
                **{
                    kind.collection: [{"name": name, **counters(tally)} for name, tally in by_name.items()]
                    for kind, by_name in counts.options.items()
                },
            }
            for day, counts in days.items()
        },
    }


def progress_of(document: Snapshot) -> tuple[datetime, dict[str, DayCounts]]:
    """Return the time of the last save and the counted days. Without an unfinished run, there are no days.

    Raises Unreadable.
    """
    data = document.data
    if not data:
        return NOTHING_COUNTED
    with refusing(document):
        days = {
            day: DayCounts(
                tally_of(counts["total"]),
                {kind: {option["name"]: tally_of(option) for option in counts[kind.collection]} for kind in Kind},
            )
            for day, counts in data["days"].items()
        }
        return Fields.of(document).read("savedAt", datetime), days

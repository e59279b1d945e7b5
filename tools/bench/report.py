"""`make bench-report`: compares the cost of a busy week's report with a scan of the week's requests.

Both run on Google's Firestore emulator, on the same database, one after the other. The billed reads are computed from
the calls on the wire and their results. The emulator is slower than production, because it has no indexes: for each
count, it reads every document of a collection.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from google.cloud.firestore import FieldFilter
from rich.console import Console

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend, providers
from imagegen.documents.generations import REQUESTS
from imagegen.ports.database import Query, Sum, Where
from imagegen.reports.model import Report
from tests.support.wire import ObservedClient
from tools.bench import data
from tools.bench.tables import publish
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.fakes import NO_LIMITS, AcceptingSender, ManualClock, TaskList
from tools.seed import history

PROJECT = "demo-bench"
WEEK = history.weeks()[-1]
REQUESTS_MADE = 100_000
USERS = 2_000

WHOLE_WEEK = (Where("week", "==", str(WEEK)),)
FEW = (Where("day", "==", WEEK.days[0]), Where("style", "==", "anime"), Where("status", "==", "failed"))

T = TypeVar("T")


def main(console: Console) -> None:
    with FirestoreEmulator() as emulator:
        os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.host
        with console.status(f"Writing {REQUESTS_MADE:,} requests of {USERS:,} users"):
            data.fill(PROJECT, WEEK, REQUESTS_MADE, USERS)
        client = ObservedClient(PROJECT)
        with console.status("Writing the report"):
            report, report_reads, report_seconds = measured(client, lambda: write_report(client))
        with console.status("Scanning the week"):
            scanned, scan_reads, scan_seconds = measured(client, lambda: scan(client))
        counts = [measured(client, partial(count, client, where)) for where in (WHOLE_WEEK, FEW)]
    assert report.total.requests == scanned["requests"] == REQUESTS_MADE, "the report and the scan differ"
    assert report.total.failed == scanned["failed"]
    rows = [
        ("the weekly report", f"{report_reads:,}", f"{report_seconds:,.0f} s"),
        ("a scan of the week's requests", f"{scan_reads:,}", f"{scan_seconds:,.0f} s"),
        ("report to scan", f"1 : {scan_reads / report_reads:.0f}", f"{report_seconds / scan_seconds:.0f} : 1"),
        *((f"one count, of {found:,} requests", f"{reads:,}", f"{seconds:.1f} s") for found, reads, seconds in counts),
    ]
    columns = (f"{REQUESTS_MADE:,} requests in one week", "billed reads", "wall time on the emulator")
    publish(console, "report", columns, rows)


def measured(client: ObservedClient, work: Callable[[], T]) -> tuple[T, int, float]:
    """Run ``work``. Return its result, its billed reads and its duration in seconds."""
    client.wire.reset()
    started = time.monotonic()
    result = work()
    return result, client.wire.billed_reads, time.monotonic() - started


def write_report(client: ObservedClient) -> Report:
    clock, rng = ManualClock(WEEK.end), random.Random(1)
    # A count takes long on the emulator, which has no indexes.
    database = FirestoreDatabase(client, totals_timeout_seconds=600)
    generators = providers(clock, rng)
    backend = Backend.on(database, TaskList(), AcceptingSender(), generators, clock, rng, lambda: "", NO_LIMITS)
    return backend.reports.run(WEEK)


def scan(client: ObservedClient) -> Counter[str]:
    """Count the week's requests by reading each once, as a report without aggregation queries must do at least."""
    counts: Counter[str] = Counter()
    of_week = client.collection(REQUESTS).where(filter=FieldFilter("week", "==", str(WEEK)))
    for document in of_week.stream():
        counts["requests"] += 1
        counts[document.get("status")] += 1
        counts[document.get("model")] += document.get("cost")
    return counts


def count(client: ObservedClient, where: tuple[Where, ...]) -> int:
    """Run one aggregation query. The report makes hundreds of these."""
    [totals] = FirestoreDatabase(client).totals(Sum(Query(REQUESTS, where)))
    return totals.count


if __name__ == "__main__":
    main(Console())

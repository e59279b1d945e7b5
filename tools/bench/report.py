"""`make bench-report`: compares the cost of a busy week's report with a scan of the week's requests.

All run on Google's Firestore emulator, on the same database, one after the other. The billed reads are computed from
the calls on the wire and their results. The emulator is slower than production, because it has no indexes: for each
count, it reads every document of a collection.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from google.cloud.firestore import FieldFilter
from rich.console import Console

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend, providers
from imagegen.documents.generations import REQUESTS
from imagegen.reports.documents import report_path
from imagegen.reports.model import Report
from imagegen.reports.usage import STORED_WITHIN
from imagegen.services.images.storage import Images
from tests.support.wire import ObservedClient
from tools.bench import data
from tools.bench.tables import publish
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.fakes import NO_LIMITS, AcceptingSender, AuthAccountList, FileStore, ManualClock, TaskList
from tools.seed import history

WEEK = history.weeks()[-1]
SIZES = {10_000: 200, 100_000: 2_000}
"""The numbers of users, by the number of their requests."""

COLUMNS = ("requests in one week", "billed reads", "queries", "wall time on the emulator")

T = TypeVar("T")


def main(console: Console) -> None:
    with FirestoreEmulator() as emulator:
        os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.host
        rows = [row for requests, users in SIZES.items() for row in compare(console, requests, users)]
    publish(console, "report", COLUMNS, rows)


def compare(console: Console, requests: int, users: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a week with this number of requests."""
    client = ObservedClient(f"demo-bench-{requests}")
    with console.status(f"Writing {requests:,} requests of {users:,} users"):
        data.fill(client.project, WEEK, requests, users)
    methods: dict[str, Callable[[], Report | Counter[str]]] = {
        "no day counted before": lambda: write_report(client),
        "all days counted before": lambda: write_report(client),
        "a scan of the requests": lambda: scan(client),
    }
    results: list[Report | Counter[str]] = []
    for name, method in methods.items():
        with console.status(f"{requests:,} requests: {name}"):
            result, cost = measured(client, method)
        results.append(result)
        yield f"{requests:,}: {name}", *cost
        client.document(report_path(WEEK)).delete()
    first, second, scanned = results
    assert isinstance(first, Report), "the first run is a report"
    assert first == second, "the counted days change the report"
    assert isinstance(scanned, Counter), "the last run is a scan"
    assert first.total.requests == scanned["requests"] == requests, "the report and the scan differ"
    assert first.total.failed == scanned["failed"], "the report and the scan differ"


def measured(client: ObservedClient, work: Callable[[], T]) -> tuple[T, tuple[str, str, str]]:
    """Run ``work``. Return its result, and its billed reads, queries and duration."""
    client.wire.reset()
    started = time.monotonic()
    result = work()
    seconds = time.monotonic() - started
    return result, (f"{client.wire.billed_reads:,}", f"{len(client.wire.queries):,}", f"{seconds:,.1f} s")


def write_report(client: ObservedClient) -> Report:
    clock, rng = ManualClock(WEEK.end + STORED_WITHIN), random.Random(1)
    # A count takes long on the emulator, which has no indexes.
    database = FirestoreDatabase(client, totals_timeout_seconds=600)
    generators = providers(clock, rng)
    queue, sender, images = TaskList(), AcceptingSender(), Images(FileStore())
    auth_accounts = AuthAccountList()
    backend = Backend.on(
        database, queue, sender, generators, images, clock, rng, lambda: "", NO_LIMITS, auth_accounts=auth_accounts
    )
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


if __name__ == "__main__":
    main(Console())

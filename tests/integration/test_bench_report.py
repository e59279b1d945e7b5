"""Tests of the report's benchmark with few requests."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend
from imagegen.documents.generations import REQUESTS, TALLIED
from imagegen.ports.database import Query, Sum, Where
from imagegen.reports.counting import WHOLE_DAY
from tests.support.invariants import violations
from tests.support.wire import ObservedClient
from tools.bench import data, report, tables
from tools.bench.report import WEEK


def test_benchmark_database_is_valid_and_both_methods_agree(client: ObservedClient) -> None:
    data.fill(client.project, WEEK, requests=120, users=6)
    assert violations(client) == []
    written, (reads, queries, _) = report.measured(client, lambda: report.write_report(client))
    scanned, (scan_reads, _, _) = report.measured(client, lambda: report.scan(client))
    assert written.total.requests == scanned["requests"] == int(scan_reads) == 120
    assert written.total.failed == scanned["failed"] > 0
    assert written.total.credits_deducted == sum(scanned[model] for model in ("Model A", "Model B"))
    assert written.trial_credits == 6 * 10
    assert written.users.active == 6
    assert written.reconciliation is not None
    assert written.reconciliation.difference == 0
    assert int(queries) <= 130
    assert int(reads) <= int(queries) + 50  # the catalog, the reports before, the days and the biggest users


def test_counts_that_take_too_long_are_divided_and_exact(
    client: ObservedClient, backend: Backend, database: FirestoreDatabase
) -> None:
    data.fill(client.project, WEEK, requests=150, users=6)
    counted = backend.usage.counting.days(WEEK.days, data.CATALOG)
    busiest = max(day.total.requests for day in counted.values())
    client.wire.largest_count = busiest  # a count of several days is divided by day
    client.wire.reset()
    assert backend.usage.counting.days(WEEK.days, data.CATALOG) == counted
    divided = [read for read in client.wire.reads if read.found > busiest]
    assert divided
    for day, counts in counted.items():  # a count of one day is divided by hour
        client.wire.largest_count = counts.total.requests // 2
        [totals] = database.totals(Sum(Query(REQUESTS, (Where("day", "in", (day,)), *WHOLE_DAY)), TALLIED))
        assert (totals.count, totals.sums[0]) == (counts.total.requests, counts.total.credits_deducted)


def test_benchmark_writes_its_results_to_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, firestore_host: str
) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- report: written by `make bench-report` -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_host)  # restored after the benchmark sets its own
    monkeypatch.setattr(tables, "PAGE", page)
    monkeypatch.setattr(report, "SIZES", {40: 3})
    printed = StringIO()
    report.main(Console(file=printed, width=100))
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "| 40: a scan of the requests | 40 | 1 |" in page.read_text()
    assert "old" not in lines
    assert "all days counted before" in printed.getvalue()

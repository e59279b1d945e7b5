"""`make report`: triggers the weekly report in the running suite, and prints it for a person."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from google.cloud import firestore
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from imagegen.database import Snapshot
from imagegen.domain.catalog import Kind
from imagegen.domain.generation import Usage
from imagegen.domain.report import Report, Tally
from imagegen.domain.weeks import Week
from imagegen.records import REQUESTS, report_path
from imagegen.report_records import report_of
from tools import running
from tools.project import Problem, Project
from tools.start import REGION

TRIGGER_TIMEOUT_SECONDS = 120
COLUMNS = ("Requests", "Done", "Failed", "Success", "Deducted", "Refunded", "Net")


def main(arguments: Sequence[str], console: Console) -> int:
    """Report the week of the first argument, or else the newest complete one that has requests."""
    try:
        project = Project.load(Path.cwd())
        client = running.client(project)
        week = past_week(arguments[0]) if arguments else newest_week(client)
        trigger(project, week)
        document = client.document(report_path(week)).get()
        report = report_of(Snapshot(document.reference.path, document.to_dict() or {}, document.update_time))
    except (Problem, ValueError) as problem:
        console.print(str(problem), style="red", markup=False, highlight=False)
        return 1
    show(report, console)
    return 0


def past_week(name: str) -> Week:
    """The week called ``name``. Raises ValueError where there is none, and Problem where it is not over."""
    week = Week.parse(name)
    if week >= Week.of(datetime.now(UTC)):
        raise Problem(f"The week {week} is not over yet.")
    return week


def newest_week(client: firestore.Client) -> Week:
    """The newest week before this one that has requests. Raises Problem where there is none."""
    newest = (
        client.collection(REQUESTS)
        .where(filter=firestore.FieldFilter("week", "<", str(Week.of(datetime.now(UTC)))))
        .order_by("week", direction=firestore.Query.DESCENDING)
        .limit(1)
        .get()
    )
    if not newest:
        raise Problem("There are no requests before this week. Start the suite with the seed: make start")
    return Week.parse(newest[0].get("week"))


def trigger(project: Project, week: Week) -> None:
    """Run the scheduled function as the scheduler does on the Monday after ``week``. Raises Problem."""
    # The emulator knows a scheduled function by its name and the number of its reload.
    url = f"http://{project.ports()['functions']}/{project.id}/{REGION}/scheduleWeeklyReport-0"
    scheduled_at = (week.end + timedelta(hours=6)).isoformat()
    answer = requests.post(
        url, headers={"X-CloudScheduler-ScheduleTime": scheduled_at}, timeout=TRIGGER_TIMEOUT_SECONDS
    )
    if answer.status_code != requests.codes.ok:  # 204: its triggers are switched off
        raise Problem(f"The report failed with {answer.status_code}: {answer.text}")


def show(report: Report, console: Console) -> None:
    """Print a report."""
    console.print(f"\n[bold]Week {report.week}[/]  {report.week.days[0]} to {report.week.days[-1]}\n")
    for anomaly in report.anomalies:
        console.print(f"[yellow]![/] {escape(anomaly.message)}")
    if not report.anomalies:
        console.print("Nothing unusual.")
    books = report.reconciliation
    if books and books.difference:
        console.print(f"[red]![/] Balances and ledgers differ by {books.difference} credits: run make audit.")
    elif books:
        console.print(f"\nThe books balance: {books.balances} credits in all wallets, and in all ledgers.")
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right")
    days = {f"{day} {datetime.fromisoformat(day):%a}": tally for day, tally in report.days.items()}
    options = {kind.value.capitalize(): report.options[kind] for kind in Kind}
    for title, tallies in {"Day": days, **options}.items():
        table.add_row(f"[bold]{title}")
        for name, tally in tallies.items():
            table.add_row(f"  {escape(name)}", *_cells(tally))
        table.add_section()
    table.add_row("[bold]Biggest users")
    for user_id, used in report.top_users:
        table.add_row(f"  {escape(user_id)}", *_user_cells(used))
    table.add_section()
    table.add_row("[bold]Total", *_cells(report.total), style="bold")
    console.print(table)


def _cells(tally: Tally) -> list[str]:
    rate = "-" if tally.success_rate is None else f"{tally.success_rate:.1%}"
    credits = (tally.credits_deducted, tally.credits_refunded, tally.credits_net)
    return [f"{tally.requests}", f"{tally.completed}", f"{tally.failed}", rate, *(f"{number}" for number in credits)]


def _user_cells(used: Usage) -> list[str]:
    """The counters that the money path keeps; it keeps none of completed requests."""
    net = used.credits_deducted - used.credits_refunded
    return [
        f"{used.requests}",
        "",
        f"{used.failed}",
        "",
        f"{used.credits_deducted}",
        f"{used.credits_refunded}",
        f"{net}",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))

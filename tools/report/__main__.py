"""`make report`: runs the weekly report in the running emulators, prints it, and writes a page with charts."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from google.cloud import firestore
from rich.console import Console

from imagegen.documents.generations import REQUESTS
from imagegen.domain.weeks import Week
from imagegen.ports.database import Snapshot
from imagegen.reports.documents import report_path
from imagegen.reports.reading import report_of
from tools.emulators.client import operator_client
from tools.emulators.project import Problem, Project
from tools.emulators.start import REGION
from tools.report.page import page
from tools.report.terminal import show

TRIGGER_TIMEOUT_SECONDS = 120


def main(arguments: Sequence[str], console: Console) -> int:
    """Report the week named by the first argument, or else the newest finished week that has requests.

    Return exit code 0, or 1 if there is no such week, the emulators are not running, or the report failed.
    """
    try:
        project = Project.load(Path.cwd())
        client = operator_client(project)
        week = past_week(arguments[0]) if arguments else newest_week(client)
        trigger(project, week)
        document = client.document(report_path(week)).get()
        report = report_of(Snapshot(document.reference.path, document.to_dict() or {}, document.update_time))
    except (Problem, ValueError) as problem:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    show(report, console)
    target = Path.cwd() / ".local" / f"report-{week}.html"
    target.parent.mkdir(exist_ok=True)
    target.write_text(page(report), "utf-8")
    console.print(f"\nWith charts: [bold]{target.relative_to(Path.cwd())}[/]", highlight=False, soft_wrap=True)
    return 0


def past_week(name: str) -> Week:
    """Return the week called ``name``. Raises ValueError if it is not a week, and Problem if it is not over."""
    week = Week.parse(name)
    if week >= Week.of(datetime.now(UTC)):
        raise Problem(f"The week {week} is not over yet.")
    return week


def newest_week(client: firestore.Client) -> Week:
    """Return the newest finished week that has requests. Raises Problem if there is none."""
    newest = (
        client.collection(REQUESTS)
        .where(filter=firestore.FieldFilter("week", "<", str(Week.of(datetime.now(UTC)))))
        .order_by("week", direction=firestore.Query.DESCENDING)
        .limit(1)
        .get()
    )
    if not newest:
        raise Problem("There are no requests before this week. Start the emulators with the sample data: make start")
    return Week.parse(newest[0].get("week"))


def trigger(project: Project, week: Week) -> None:
    """Run the scheduled function as the scheduler does on the Monday after ``week``. Raises Problem if it fails."""
    # The emulator appends the number of its reload to the name of a scheduled function.
    url = f"http://{project.ports()['functions']}/{project.id}/{REGION}/scheduleWeeklyReport-0"
    scheduled_at = (week.end + timedelta(hours=6)).isoformat()
    answer = requests.post(
        url, headers={"X-CloudScheduler-ScheduleTime": scheduled_at}, timeout=TRIGGER_TIMEOUT_SECONDS
    )
    if answer.status_code != requests.codes.ok:  # a 204 means that triggers are switched off
        raise Problem(f"The report failed with {answer.status_code}: {answer.text}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))

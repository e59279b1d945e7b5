"""Tests of `make report`, which prints and draws the weekly report of the running suite."""

import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from google.cloud import firestore
from rich.console import Console

from imagegen.documents.generations import REQUESTS
from imagegen.domain.weeks import Week
from tests.support.live import Live
from tests.support.weeks import QUIET_WEEK
from tools.docs.examples import CHART, chart, report, report_block
from tools.docs.write import OPERATING
from tools.emulators.suite import Suite, workspace
from tools.report.__main__ import main
from tools.seed import history

LAST_WEEK = history.weeks()[-1]
LABEL = re.compile(r'aria-label="([^"]*)"')
"""The label of each bar of an SVG. The position of a bar depends on the machine's fonts."""


@pytest.fixture(scope="module")
def newest_report(live: Live) -> str:
    """Return the printed report of the newest complete week that has requests."""
    before = newest_complete_week(live.operator)
    printed = report(live.suite.project.directory)
    after = newest_complete_week(live.operator)  # differs from before if a week has just ended
    assert printed.returncode == 0, printed.stdout + printed.stderr
    assert week_of(printed.stdout) in {before, after}
    return printed.stdout


@pytest.fixture(scope="module")
def seed_report(suite: Suite, newest_report: str) -> str:
    """Return the printed report of the sample data's last week. It is the newest unless a week has just ended."""
    return (
        newest_report
        if week_of(newest_report) == str(LAST_WEEK)
        else report(suite.project.directory, str(LAST_WEEK)).stdout
    )


def newest_complete_week(operator: firestore.Client) -> str:
    weeks: set[str] = {request.get("week") for request in operator.collection(REQUESTS).select(["week"]).stream()}
    return max(week for week in weeks if week < str(Week.of(datetime.now(UTC))))


def week_of(printed: str) -> str:
    [week] = [line.split()[1] for line in printed.splitlines() if line.startswith("Week ")]
    return week


def test_the_report_is_printed_and_written_as_a_page(suite: Suite, seed_report: str) -> None:
    assert "…" not in seed_report  # nothing is cut off at 80 columns
    assert f"Week {LAST_WEEK}  {LAST_WEEK.days[0]} to {LAST_WEEK.days[-1]}" in seed_report
    assert f"! {history.source('history')['spike']['user']} (user): " in seed_report
    page = Path(".local") / f"report-{LAST_WEEK}.html"
    assert str(page) in seed_report
    assert (suite.project.directory / page).read_text("utf-8").count("<svg ") == 4
    [total] = [line.split() for line in seed_report.splitlines() if line.strip().startswith("Total")]
    made = [planned for planned in history.plan() if Week.of(planned.at) == LAST_WEEK]
    failed = sum(planned.fails for planned in made)
    assert total[:4] == ["Total", str(len(made)), str(failed), f"{1 - failed / len(made):.1%}"]


def test_the_docs_show_the_current_report(seed_report: str) -> None:
    assert "\n".join(report_block(seed_report)) in OPERATING.read_text("utf-8"), "run: make examples"


def test_the_readme_shows_the_current_chart(suite: Suite, seed_report: str) -> None:
    page = suite.project.directory / ".local" / f"report-{LAST_WEEK}.html"
    drawn, shown = chart(page.read_text("utf-8")), CHART.read_text("utf-8")
    assert LABEL.findall(drawn) == LABEL.findall(shown) != [], "run: make examples"


def test_a_given_week_is_reported(suite: Suite) -> None:
    printed = report(suite.project.directory, str(QUIET_WEEK))
    assert printed.returncode == 0, printed.stdout + printed.stderr
    assert "…" not in printed.stdout  # nothing is cut off at 80 columns
    assert f"Week {QUIET_WEEK}" in printed.stdout


@pytest.mark.parametrize(
    ("week", "error"),
    [
        ("nonsense", "'nonsense' is not an ISO week like "),
        # The current week may end before the report runs, so use the next week.
        (str(Week.of(datetime.now(UTC)) + 1), "is not over yet"),
    ],
    ids=["invalid", "not over"],
)
def test_a_week_that_cannot_be_reported_is_an_error(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, week: str, error: str
) -> None:
    monkeypatch.chdir(suite.project.directory)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", suite.firestore_host)  # the command sets it
    printed = StringIO()
    assert main([week], Console(file=printed, width=80)) == 1
    assert error in printed.getvalue()


def test_without_running_emulators_the_error_names_make_start(tmp_path: Path) -> None:
    printed = report(workspace(tmp_path / "project", seed=None))
    assert printed.returncode == 1
    assert "make start" in printed.stdout
    assert "Traceback" not in printed.stderr

"""`make report`: the running suite's weekly report, for a person."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.cloud import firestore

from imagegen.documents.generations import REQUESTS
from imagegen.domain.weeks import Week
from tests.support.live import Live
from tests.support.weeks import QUIET_WEEK
from tools.docs.examples import CHART, chart, report, report_block
from tools.docs.write import OPERATING
from tools.emulators.suite import Suite, workspace
from tools.seed import history

LAST_WEEK = history.weeks()[-1]
LABEL = re.compile(r'aria-label="([^"]*)"')
"""What an SVG says of each bar; where exactly it is drawn depends on the machine's fonts."""


@pytest.fixture(scope="module")
def newest(live: Live) -> str:
    """Return the printed report of the newest complete week that has requests."""
    before = newest_complete_week(live.operator)
    printed = report(live.suite.project.directory)
    after = newest_complete_week(live.operator)  # another one where a week has just ended
    assert printed.returncode == 0, printed.stderr
    assert week_of(printed.stdout) in {before, after}
    return printed.stdout


@pytest.fixture(scope="module")
def last(suite: Suite, newest: str) -> str:
    """Return the printed report of the seed's last week, which is the newest unless a later week has just ended."""
    return newest if week_of(newest) == str(LAST_WEEK) else report(suite.project.directory, str(LAST_WEEK)).stdout


def newest_complete_week(operator: firestore.Client) -> str:
    weeks: set[str] = {request.get("week") for request in operator.collection(REQUESTS).select(["week"]).stream()}
    return max(week for week in weeks if week < str(Week.of(datetime.now(UTC))))


def week_of(printed: str) -> str:
    [week] = [line.split()[1] for line in printed.splitlines() if line.startswith("Week ")]
    return week


def test_the_report_is_printed_and_written_as_a_page(suite: Suite, last: str) -> None:
    assert "…" not in last  # it fits 80 columns
    assert f"Week {LAST_WEEK}  {LAST_WEEK.days[0]} to {LAST_WEEK.days[-1]}" in last
    assert f"! {history.source('history')['spike']['user']} (user): " in last
    page = Path(".local") / f"report-{LAST_WEEK}.html"
    assert str(page) in last
    assert (suite.project.directory / page).read_text("utf-8").count("<svg ") == 4
    [total] = [line.split() for line in last.splitlines() if line.strip().startswith("Total")]
    made = [planned for planned in history.plan() if Week.of(planned.at) == LAST_WEEK]
    failed = sum(planned.fails for planned in made)
    assert total[:4] == ["Total", str(len(made)), str(failed), f"{1 - failed / len(made):.1%}"]


def test_the_docs_show_it(last: str) -> None:
    assert "\n".join(report_block(last)) in OPERATING.read_text("utf-8"), "run: make examples"


def test_the_readme_shows_its_chart(suite: Suite, last: str) -> None:
    page = suite.project.directory / ".local" / f"report-{LAST_WEEK}.html"
    drawn, shown = chart(page.read_text("utf-8")), CHART.read_text("utf-8")
    assert LABEL.findall(drawn) == LABEL.findall(shown) != [], "run: make examples"


def test_with_a_week_it_is_that_one(suite: Suite) -> None:
    printed = report(suite.project.directory, str(QUIET_WEEK))
    assert printed.returncode == 0, printed.stderr
    assert "…" not in printed.stdout  # it fits 80 columns
    assert f"Week {QUIET_WEEK}" in printed.stdout


def test_what_is_no_week_is_said_to_be_none(suite: Suite) -> None:
    printed = report(suite.project.directory, "nonsense")
    assert printed.returncode == 1
    assert "'nonsense' is not an ISO week like " in printed.stdout


def test_a_week_that_is_not_over_is_not_reported(suite: Suite) -> None:
    # Not this week, which may be over by the time of the report.
    printed = report(suite.project.directory, str(Week.of(datetime.now(UTC)) + 1))
    assert printed.returncode == 1
    assert "is not over yet" in printed.stdout


def test_without_a_running_suite_it_says_how_to_start_one(tmp_path: Path) -> None:
    printed = report(workspace(tmp_path / "project", seed=None))
    assert printed.returncode == 1
    assert "make start" in printed.stdout
    assert "Traceback" not in printed.stderr

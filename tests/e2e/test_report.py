"""`make report`: the running suite's weekly report, for a person."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from imagegen.domain.weeks import Week
from tools.emulators.project import ROOT
from tools.emulators.suite import Suite, workspace
from tools.seed import history


def report(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What `make report` runs, in the project at ``directory``."""
    return subprocess.run(
        [sys.executable, "-m", "tools.report", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_without_a_week_it_is_the_newest_complete_one_that_has_requests(suite: Suite) -> None:
    printed = report(suite.project.directory)
    assert printed.returncode == 0, printed.stderr
    assert "…" not in printed.stdout  # it fits 80 columns
    assert "Week 2026-W46  2026-11-09 to 2026-11-15" in printed.stdout
    assert "! user-chidi (user): " in printed.stdout
    page = suite.project.directory / ".local" / "report-2026-W46.html"
    assert ".local/report-2026-W46.html" in printed.stdout
    assert page.read_text("utf-8").count("<svg ") == 4
    [total] = [line.split() for line in printed.stdout.splitlines() if line.strip().startswith("Total")]
    made = [planned for planned in history.plan() if str(Week.of(planned.at)) == "2026-W46"]
    failed = sum(planned.fails for planned in made)
    assert total[:4] == ["Total", str(len(made)), str(failed), f"{1 - failed / len(made):.1%}"]


def test_with_a_week_it_is_that_one(suite: Suite) -> None:
    printed = report(suite.project.directory, "2026-W44")
    assert printed.returncode == 0, printed.stderr
    assert "…" not in printed.stdout  # it fits 80 columns
    assert "Week 2026-W44" in printed.stdout
    assert "Model B (model): " in printed.stdout
    assert "of the requests failed" in " ".join(printed.stdout.split())


def test_what_is_no_week_is_said_to_be_none(suite: Suite) -> None:
    printed = report(suite.project.directory, "nonsense")
    assert printed.returncode == 1
    assert "'nonsense' is not an ISO week like 2026-W46" in printed.stdout


def test_a_week_that_is_not_over_is_not_reported(suite: Suite) -> None:
    printed = report(suite.project.directory, str(Week.of(datetime.now(UTC))))
    assert printed.returncode == 1
    assert "is not over yet" in printed.stdout


def test_without_a_running_suite_it_says_how_to_start_one(tmp_path: Path) -> None:
    printed = report(workspace(tmp_path / "project", seed=None))
    assert printed.returncode == 1
    assert "make start" in printed.stdout
    assert "Traceback" not in printed.stderr

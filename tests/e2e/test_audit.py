"""`make audit`: exit codes for scripts, findings for people."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.live import Live
from tools.project import ROOT
from tools.suite import Suite, workspace


def audit(directory: Path) -> "subprocess.CompletedProcess[str]":
    """What `make audit` runs, in the project at ``directory``."""
    return subprocess.run(
        [sys.executable, "-m", "tools.audit"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_books_that_balance_are_said_to(suite: Suite) -> None:
    printed = audit(suite.project.directory)
    assert (printed.returncode, printed.stdout) == (0, "Every invariant holds.\n")


def test_a_finding_is_printed_with_its_documents(suite: Suite, live: Live) -> None:
    user = live.operator.document(f"users/{live.add_user(paid=5)}")
    user.update({"credits.paid": 6})
    printed = audit(suite.project.directory)
    assert printed.returncode == 1
    assert "BALANCE: The balance is" in printed.stdout
    assert user.path in printed.stdout
    user.update({"credits.paid": 5})
    assert audit(suite.project.directory).returncode == 0


def test_without_a_running_suite_it_says_so(tmp_path: Path) -> None:
    printed = audit(workspace(tmp_path / "project", seed=None))
    assert printed.returncode == 2
    assert "make start" in printed.stdout

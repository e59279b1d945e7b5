"""Tests of the commands `make audit` and `make repair`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.buying import create, lost_webhooks, press_button, session_of
from tests.support.live import Live
from tools.emulators.project import ROOT
from tools.emulators.suite import Suite, workspace


def audit(directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command of `make audit` in the project at ``directory``."""
    return run(directory, "audit")


def run(directory: Path, tool: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", f"tools.{tool}", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_findings_are_printed_until_they_are_repaired(suite: Suite, live: Live) -> None:
    user = live.operator.document(f"users/{live.add_user(paid=5)}")
    user.update({"credits.paid": 6})
    purchase = create(live, live.add_user(), "lost")
    with lost_webhooks(live):
        press_button(live, session_of(purchase), "pay")
    printed = audit(suite.project.directory)
    assert printed.returncode == 1
    assert "BALANCE: The balance is" in printed.stdout
    assert user.path in printed.stdout
    assert "PAYMENT: The payment provider says paid, 50 credits granted" in printed.stdout
    assert f"purchases/{purchase['purchaseId']}" in printed.stdout
    stored = live.operator.document("audits/latest").get().to_dict() or {}
    assert (stored["kind"], user.id in {finding["userId"] for finding in stored["findings"]}) == ("full", True)
    repaired = run(suite.project.directory, "repair", "rebuild", user.id)
    assert repaired.returncode == 0, repaired.stderr
    reconciled = run(suite.project.directory, "repair", "reconcile", purchase["purchaseId"])
    assert "is paid. Granted: 50 credits." in reconciled.stdout, reconciled.stderr
    printed = audit(suite.project.directory)
    assert (printed.returncode, printed.stdout) == (0, "Every invariant holds.\n")
    assert live.operator.document("audits/latest").get().get("findingCount") == 0


def test_correction_is_made_from_the_command_line(suite: Suite, live: Live) -> None:
    user = live.add_user(paid=5)
    arguments = ("correct", user, "--paid", "-2", "--key", f"test-{user}", "--reason", "a test")
    for _ in range(2):
        assert run(suite.project.directory, "repair", *arguments).returncode == 0
    assert live.credits(user) == 3
    refused = run(suite.project.directory, "repair", "correct", user, "--paid", "-9", "--key", "k", "--reason", "r")
    assert refused.returncode == 2
    assert "below zero" in refused.stderr
    assert live.credits(user) == 3


def test_audit_without_running_emulators_exits_with_2(tmp_path: Path) -> None:
    printed = audit(workspace(tmp_path / "project", seed=None))
    assert printed.returncode == 2
    assert "make start" in printed.stdout

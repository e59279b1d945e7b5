"""`make ops PROJECT=…`: sets up the metrics, alerts, dashboard and backups of a deployed project with gcloud.

ops/metrics, ops/alerts and ops/dashboard.json are in the formats of Cloud Logging and Cloud Monitoring. You can repeat
the command: it creates what is missing, and updates the rest. Exit codes: 0, or 2 if gcloud failed.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.emulators.project import ROOT, Problem

OPS = ROOT / "ops"
DATABASE = "(default)"
DAILY, WEEKLY = "7d", "14w"
"""The time that daily and weekly backups are kept. Firestore keeps a backup for 14 weeks at most."""

Run = Callable[[Sequence[str]], str]
"""Runs a command of gcloud and returns its output. Raises Problem."""


def gcloud(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # without stdin, because nobody would see a question
            ["gcloud", *command], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
    except FileNotFoundError:
        raise Problem("gcloud is not installed: https://cloud.google.com/sdk/docs/install") from None
    except subprocess.TimeoutExpired:
        raise Problem(f"gcloud did not answer: {shlex.join(command)}") from None
    except subprocess.CalledProcessError as error:
        raise Problem(f"gcloud {shlex.join(command)}\n{error.stderr.strip()}") from None
    return done.stdout


class Setup:
    """The setup of one project. A dry run prints the commands for a project that has nothing yet, and runs none."""

    def __init__(self, project: str, channels: str, *, dry_run: bool, run: Run = gcloud) -> None:
        self._project = project
        self._channels = channels
        self._dry_run = dry_run
        self._run = run

    def apply(self) -> None:
        """Set everything up. Raises Problem."""
        self._metrics()
        self._alerts()  # after the metrics that they use
        self._dashboard()
        self._backups()

    def _metrics(self) -> None:
        known = {metric["name"] for metric in self._listed("logging", "metrics", "list")}
        for path in sorted((OPS / "metrics").glob("*.json")):
            verb = "update" if path.stem in known else "create"
            self._do("logging", "metrics", verb, path.stem, f"--config-from-file={_shown(path)}")

    def _alerts(self) -> None:
        known = {
            policy["userLabels"]["imagegen"]: policy
            for policy in self._listed("alpha", "monitoring", "policies", "list")
            if "imagegen" in policy.get("userLabels", {})
        }
        for path in sorted((OPS / "alerts").glob("*.json")):
            file = f"--policy-from-file={_shown(path)}"
            existing = known.get(path.stem)
            if existing is None:
                channels = [f"--notification-channels={self._channels}"] if self._channels else []
                self._do("alpha", "monitoring", "policies", "create", file, *channels)
                continue
            # The file names no channels, so the policy would lose those that you have set.
            channels_now = self._channels or ",".join(existing.get("notificationChannels", []))
            channels = [f"--set-notification-channels={channels_now}"] if channels_now else []
            self._do("alpha", "monitoring", "policies", "update", existing["name"], file, *channels)

    def _dashboard(self) -> None:
        path = OPS / "dashboard.json"
        dashboard = json.loads(path.read_text("utf-8"))
        known = self._listed("monitoring", "dashboards", "list")
        existing = next((one for one in known if one["displayName"] == dashboard["displayName"]), None)
        if existing is None:
            self._do("monitoring", "dashboards", "create", f"--config-from-file={_shown(path)}")
            return
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({**dashboard, "name": existing["name"], "etag": existing["etag"]}, file)
            file.flush()
            self._do("monitoring", "dashboards", "update", existing["name"], f"--config-from-file={file.name}")

    def _backups(self) -> None:
        """Turn on point-in-time recovery, and schedule a backup each day and each week."""
        database = f"--database={DATABASE}"
        described = self._read("firestore", "databases", "describe", database) or {}
        if described.get("pointInTimeRecoveryEnablement") != "POINT_IN_TIME_RECOVERY_ENABLED":
            self._do("firestore", "databases", "update", database, "--enable-pitr")
        schedules = self._listed("firestore", "backups", "schedules", "list", database)
        create = ("firestore", "backups", "schedules", "create", database)
        if not any("dailyRecurrence" in schedule for schedule in schedules):
            self._do(*create, "--recurrence=daily", f"--retention={DAILY}")
        if not any("weeklyRecurrence" in schedule for schedule in schedules):
            self._do(*create, "--recurrence=weekly", "--day-of-week=SUN", f"--retention={WEEKLY}")

    def _listed(self, *command: str) -> Sequence[Mapping[str, Any]]:
        return self._read(*command) or []

    def _read(self, *command: str) -> Any:
        if self._dry_run:
            return None
        return json.loads(self._run([*command, f"--project={self._project}", "--format=json"]))

    def _do(self, *command: str) -> None:
        complete = [*command, f"--project={self._project}", "--quiet"]
        print(shlex.join(["gcloud", *complete]))
        if not self._dry_run:
            self._run(complete)


def _shown(path: Path) -> str:
    """Return the path as you can type it in the project's folder, or the whole path elsewhere."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def main(arguments: Sequence[str], run: Run = gcloud) -> int:
    parser = argparse.ArgumentParser(
        prog="ops", description="Set up alerts, a dashboard and backups. See docs/operating.md."
    )
    parser.add_argument("project")
    parser.add_argument("--channels", default="", help="the notification channels of the alerts, separated by commas")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, and run none")
    options = parser.parse_args(arguments)
    try:
        Setup(options.project, options.channels, dry_run=options.dry_run, run=run).apply()
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2
    if options.dry_run:
        print("\nNothing was run. What exists already is updated instead of created.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Tests of ops/: every filter names what the code logs, and the script that applies the files can be repeated."""

import ast
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from imagegen.events import Event
from tests.support.logged_fields import logged_fields
from tools import ops
from tools.emulators.project import ROOT, Problem

METRICS = {path.stem: json.loads(path.read_text("utf-8")) for path in (ops.OPS / "metrics").glob("*.json")}
ALERTS = {path.stem: json.loads(path.read_text("utf-8")) for path in (ops.OPS / "alerts").glob("*.json")}
DASHBOARD = json.loads((ops.OPS / "dashboard.json").read_text("utf-8"))
SUBJECTS = {
    "calls-failed",
    "request-error-ratio",
    "refunds",
    "refund-impossible",
    "sweeper-findings",
    "sweeper-incomplete",
    "sweeper-silent",
    "queue-age",
    "tasks-not-queued",
    "webhook-failures",
    "provider-misconfigured",
    "provider-hangs",
    "images-not-stored",
    "catalog-not-loaded",
    "report-anomalies",
    "audit-findings",
    "audit-silent",
    "account-data",
    "purchases-differ",
    "sales-fail",
}


def found(node: Any, key: str) -> list[str]:
    """Return all values of a key, however deep."""
    if isinstance(node, list):
        return [value for inner in node for value in found(inner, key)]
    if not isinstance(node, dict):
        return []
    own = [node[key]] if isinstance(node.get(key), str) else []
    return own + [value for inner in node.values() for value in found(inner, key)]


LOG_FILTERS = {name: found(content, "filter") for name, content in (METRICS | ALERTS).items()}
QUERIES = {name: found(alert, "query") for name, alert in ALERTS.items()}
QUERIES["dashboard"] = found(DASHBOARD, "prometheusQuery")


def events_in(text: str) -> set[str]:
    return set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', text))


@pytest.mark.parametrize("name", [name for name, filters in LOG_FILTERS.items() if filters])
def test_filters_name_events_and_fields_that_are_logged(name: str) -> None:
    fields = logged_fields()
    for text in LOG_FILTERS[name]:
        assert text.startswith('resource.type="cloud_run_revision" AND jsonPayload.event')
        events = events_in(text)
        assert events <= set(Event)
        used = set(re.findall(r"jsonPayload\.(\w+)", text + json.dumps(METRICS.get(name, {}))))
        for event in events:
            assert used - {"event"} <= fields[event], f"{event} is logged with {sorted(fields[event])}"
        assert events or used == {"event"}


@pytest.mark.parametrize("name", [name for name, queries in QUERIES.items() if queries])
def test_queries_name_metrics_and_labels_of_ops(name: str) -> None:
    for query in QUERIES[name]:
        selectors = re.findall(r"logging_googleapis_com:user_(\w+?)(_sum|_bucket)?\{([^}]*)\}", query)
        assert selectors
        for metric, suffix, matchers in selectors:
            descriptor = METRICS[metric]["metricDescriptor"]
            assert (descriptor["valueType"] == "DISTRIBUTION") is bool(suffix)
            labels = {label["key"] for label in descriptor["labels"]}
            matched = dict(re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', matchers))
            assert matched.pop("monitored_resource") == "cloud_run_revision"
            assert matched.keys() <= labels
            assert set(re.findall(r"by \((\w+)\)", query)) <= labels | {"le"}
            for value in matched.get("event", "").split("|"):
                assert not value or value in Event.__members__


def test_events_of_warnings_are_logged_as_warnings() -> None:
    """The metric counts lines with severity WARNING and above."""
    text = "".join(path.read_text("utf-8") for path in (ROOT / "functions" / "imagegen").rglob("*.py"))
    for queries in QUERIES.values():
        for query in queries:
            for names in re.findall(r'imagegen_warnings\{[^}]*event=~"([^"]*)"', query):
                for event in names.split("|"):
                    assert not re.search(rf"events\.info\(\s*Event\.{event}\b", text)


def test_every_error_has_a_policy() -> None:
    """Also the errors that a sweep logs for a document that it could not recover."""
    logged = set()
    for path in (ROOT / "functions" / "imagegen").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        for call in calls:
            named = [one.attr for one in call.args if isinstance(one, ast.Attribute) and one.attr in Event.__members__]
            if ast.unparse(call.func) in ("events.error", "events.exception", "Part"):
                logged |= set(named)
    matched = {event for name in ALERTS for query in QUERIES[name] for event in re.findall("[A-Z]+(?:_[A-Z]+)+", query)}
    matched |= {event for name in ALERTS for filter in LOG_FILTERS[name] for event in events_in(filter)}
    assert len(logged) > 20
    assert logged <= matched


def test_operators_find_every_policy_in_the_docs() -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    _, _, table = text.partition("| alert | when |")
    listed = re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\|([^|]*)\|", table.partition("\n\n")[0], re.MULTILINE)))
    assert sorted(listed) == sorted(ALERTS)


def test_every_subject_has_a_policy_that_says_what_to_do() -> None:
    assert ALERTS.keys() == SUBJECTS
    for name, alert in ALERTS.items():
        assert alert["userLabels"] == {"imagegen": name}
        assert len(alert["documentation"]["content"]) > 20
        for page, anchor in re.findall(r"(docs/\w+\.md)(?:#([\w-]+))?", alert["documentation"]["content"]):
            headings = re.findall("^#+ (.*)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in slugs
        is_log_match = "conditionMatchedLog" in alert["conditions"][0]
        assert ("notificationRateLimit" in alert["alertStrategy"]) is is_log_match  # Cloud Monitoring requires it


class Project:
    """A fake gcloud: the commands so far, and what they have created."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.metrics: list[dict[str, Any]] = []
        self.policies: list[dict[str, Any]] = []
        self.dashboards: list[dict[str, Any]] = []
        self.schedules: list[dict[str, Any]] = []
        self.database: dict[str, Any] = {}

    def __call__(self, command: Sequence[str]) -> str:
        assert "--project=shop" in command
        words = [word for word in command if not word.startswith("--")]
        option = {name: value for name, _, value in (word.partition("=") for word in command) if name.startswith("--")}
        match words:
            case [*_, "list"]:
                kind = {"metrics": self.metrics, "policies": self.policies, "dashboards": self.dashboards}
                return json.dumps(kind.get(words[-2], self.schedules))
            case [*_, "describe"]:
                return json.dumps(self.database)
        self.commands.append(list(command))
        match words:
            case [*_, "metrics", "create", name]:
                self.metrics.append({"name": name})
            case [*_, "policies", "create"]:
                policy = json.loads(Path(option["--policy-from-file"]).read_text("utf-8"))
                channels = {"notificationChannels": ["theirs"]}
                self.policies.append({**policy, **channels, "name": f"policies/{len(self.policies)}"})
            case [*_, "dashboards", "create"]:
                self.dashboards.append({"displayName": "imagegen", "name": "dashboards/1", "etag": "abc"})
            case [*_, "dashboards", "update", "dashboards/1"]:
                written = json.loads(Path(option["--config-from-file"]).read_text("utf-8"))
                assert (written["etag"], written["displayName"]) == ("abc", "imagegen")
            case [*_, "databases", "update"]:
                self.database["pointInTimeRecoveryEnablement"] = "POINT_IN_TIME_RECOVERY_ENABLED"
            case [*_, "schedules", "create"]:
                self.schedules.append({f"{option['--recurrence']}Recurrence": {}})
        return ""


def test_everything_is_created_once_and_then_updated(capsys: pytest.CaptureFixture[str]) -> None:
    project = Project()
    assert ops.main(["shop"], project) == 0
    assert (len(project.metrics), len(project.policies)) == (len(METRICS), len(ALERTS))
    assert [list(schedule) for schedule in project.schedules] == [["dailyRecurrence"], ["weeklyRecurrence"]]

    project.commands.clear()
    assert ops.main(["shop"], project) == 0

    assert not any("create" in command or "databases" in command for command in project.commands)
    policies = [command for command in project.commands if "policies" in command]
    assert len(policies) == len(ALERTS)
    assert all("--set-notification-channels=theirs" in command for command in policies), "an update must keep them"
    assert len(project.commands) == len(METRICS) + len(ALERTS) + 1


def test_dry_run_prints_the_commands_and_runs_none(capsys: pytest.CaptureFixture[str]) -> None:
    project = Project()
    assert ops.main(["shop", "--dry-run", "--channels=mine"], project) == 0
    printed = capsys.readouterr().out
    assert project.commands == []
    assert printed.count("gcloud ") == len(METRICS) + len(ALERTS) + 1 + 3
    assert printed.count("--notification-channels=mine") == len(ALERTS)
    assert "--enable-pitr" in printed


def test_gcloud_cannot_ask_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is not shown, so nobody would see them."""
    (tmp_path / "gcloud").write_text('#!/bin/sh\nread answer\necho "[$answer]"\n', "utf-8")
    (tmp_path / "gcloud").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    ours, theirs = os.pipe()
    os.write(theirs, b"y\n")
    stdin = os.dup(0)
    try:
        os.dup2(ours, 0)
        assert ops.gcloud(["secrets", "list"]).strip() == "[]"
    finally:
        os.dup2(stdin, 0)
        for descriptor in (ours, theirs, stdin):
            os.close(descriptor)


def test_failure_of_gcloud_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_command: Sequence[str]) -> str:
        raise Problem("not signed in")

    assert ops.main(["shop"], fail) == 2
    assert "not signed in" in capsys.readouterr().err

"""Tests of `make doctor`, which must run before anything is installed."""

import ast
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools import doctor
from tools.doctor import Finding, Status
from tools.emulators.hub import running_emulators
from tools.emulators.ports import Port
from tools.emulators.project import ROOT, Project
from tools.emulators.suite import workspace
from tools.stripe_emulator.emulator import StripeEmulator

IMPORTED = (
    "doctor",
    "emulators.binaries",
    "emulators.hub",
    "emulators.java",
    "emulators.ports",
    "emulators.project",
    "emulators.storage_rules",
)


@pytest.mark.parametrize("name", IMPORTED)
def test_doctor_needs_only_python_3_8_and_its_standard_library(name: str) -> None:
    tree = ast.parse((ROOT / "tools" / f"{name.replace('.', '/')}.py").read_text("utf-8"), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "tools.emulators":
            modules = [f"tools.emulators.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            package, _, rest = module.partition(".")
            assert rest in IMPORTED if package == "tools" else package in sys.stdlib_module_names, module


@pytest.mark.parametrize(
    ("status", "code"), [(Status.OK, 0), (Status.LATER, 0), (Status.ABSENT, 0), (Status.MISSING, 1), (Status.IN_USE, 1)]
)
def test_exit_code_is_1_only_for_problems_to_fix(
    status: Status, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter([Finding("A thing", status, "where it is")]))
    assert doctor.main() == code
    assert "A thing             where it is" in capsys.readouterr().out


@contextmanager
def serving(answers: dict[str, object], *ports: Port) -> Iterator[None]:
    """Answer GET requests to these paths with JSON, and others with 404, on each of the ports."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answers.get(self.path)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ExitStack() as stack:
        for port in ports:
            server = stack.enter_context(ThreadingHTTPServer((port.host, port.number), Handler))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
        yield


OWN = {"backends": [{"directory": "PROJECT/functions"}]}


@pytest.mark.parametrize(
    ("answers", "running"),
    [
        (
            {"/backends": OWN, "/emulators": {"functions": {"port": 5001}, "auth": {"port": 9099}}},
            {"functions", "auth"},
        ),
        (
            {
                "/backends": {"backends": [{"directory": "/elsewhere/functions"}]},
                "/emulators": {"auth": {"port": 9099}},
            },
            set(),
        ),
        ({"/backends": OWN}, set()),
        ({"/backends": {"backends": 5}}, set()),
        ({"/backends": []}, set()),
        ({}, set()),
    ],
)
def test_running_emulators_are_those_of_this_directory(
    answers: dict[str, Any], running: set[str], tmp_path: Path
) -> None:
    project = Project.load(workspace(tmp_path / "project", seed=None))
    answers = json.loads(json.dumps(answers).replace("PROJECT", str(project.directory)))
    with serving(answers, project.ports()["functions"], project.ports()["hub"]):
        found = running_emulators(project)
    assert found.keys() == running
    assert running_emulators(project) == {}


def test_stripe_runs_if_its_emulator_answers(tmp_path: Path) -> None:
    project = Project.load(workspace(tmp_path / "project", seed=None))
    own = {"backends": [{"directory": str(project.directory / "functions")}]}
    functions, hub, stripe = (project.ports()[name] for name in ("functions", "hub", "stripe"))
    with serving({"/backends": own, "/emulators": {}}, functions, hub):
        assert running_emulators(project) == {}
        with serving({"/health": {"emulator": "another"}}, stripe):
            assert running_emulators(project) == {}
        with StripeEmulator("http://127.0.0.1:1/", port=stripe.number):
            assert running_emulators(project) == {"stripe": stripe.number}


def test_port_in_use_by_another_program_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's functions emulator runs, and another program uses the port of the auth emulator."""
    project = Project.load(workspace(tmp_path / "project", seed=None))
    monkeypatch.setattr(doctor, "ROOT", project.directory)
    own = {"backends": [{"directory": str(project.directory / "functions")}]}
    functions, hub, auth = (project.ports()[name] for name in ("functions", "hub", "auth"))
    answers = {"/backends": own, "/emulators": {port.emulator: {"port": port.number} for port in (functions, hub)}}
    hosting = project.ports()["hosting"]
    with serving(answers, functions, hub, auth, hosting):
        findings = {finding.need: finding.status for finding in doctor.examine()}
    assert findings[f"port {functions.number}"] is Status.OK
    assert findings[f"port {hub.number}"] is Status.OK
    assert findings[f"port {auth.number}"] is Status.IN_USE
    assert findings[f"port {hosting.number}"] is Status.OK


def test_doctor_lists_every_requirement() -> None:
    needs = [finding.need for finding in doctor.examine()]
    for need in (
        *("Python 3.11", "Node >= 20", "npm", "Java >= 21"),
        *("Firestore emulator", "Pub/Sub emulator", "Emulator UI"),
        *(".venv", "functions/venv", "node_modules"),
        *("port 5001", "port 8080", "port 9099"),
    ):
        assert need in needs


def test_missing_or_old_interpreter_is_reported_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PYTHON", raising=False)
    findings = {finding.need: finding for finding in doctor.examine()}
    for need, remedy in {"Python 3.11": "make PYTHON=", "Node >= 20": "nodejs.org", "npm": "nodejs.org"}.items():
        assert findings[need].status is Status.MISSING
        assert remedy in findings[need].detail

    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.20.4\n")
    node.chmod(0o755)
    findings = {finding.need: finding for finding in doctor.examine()}
    assert findings["Node >= 20"].status is Status.MISSING
    assert "v18.20.4, too old" in findings["Node >= 20"].detail

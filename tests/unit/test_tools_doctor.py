"""`make doctor`, which has to work before anything else does."""

import ast
import sys
from pathlib import Path

import pytest

from tools import doctor
from tools.doctor import Finding, Status
from tools.emulators.project import ROOT

IMPORTED = ("doctor", "emulators.binaries", "emulators.java", "emulators.ports", "emulators.project")


@pytest.mark.parametrize("name", IMPORTED)
def test_it_needs_the_standard_library_and_python_3_8_alone(name: str) -> None:
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
def test_only_what_a_person_must_see_to_makes_it_fail(
    status: Status, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter([Finding("A thing", status, "where it is")]))
    assert doctor.main() == code
    assert "A thing             where it is" in capsys.readouterr().out


def test_everything_that_is_needed_is_on_the_list() -> None:
    needs = [finding.need for finding in doctor.examine()]
    for need in (
        *("Python 3.11", "Node >= 20", "npm", "Java >= 21"),
        *("Firestore emulator", "Pub/Sub emulator", "Emulator UI"),
        *(".venv", "functions/venv", "node_modules"),
        *("port 5001", "port 8080", "port 9099"),
    ):
        assert need in needs


def test_a_missing_or_old_interpreter_is_reported_with_its_remedy(
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

"""Tests of `make doctor` while the project's emulators run."""

import pytest

from tools import doctor
from tools.emulators.hub import running_emulators
from tools.emulators.project import ROOT, Project
from tools.emulators.suite import Suite


def test_doctor_accepts_ports_of_its_own_running_emulators(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "ROOT", suite.project.directory)
    assert doctor.main() == 0
    output = capsys.readouterr().out
    for name in ("functions", "firestore", "auth", "hub", "stripe"):
        assert f"used by the running {name} emulator of this project" in output


def test_emulators_of_another_directory_are_not_listed(suite: Suite) -> None:
    other = Project(ROOT, suite.project.id, suite.project.config)
    assert running_emulators(suite.project) != {}
    assert running_emulators(other) == {}

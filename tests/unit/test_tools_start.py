"""What `make start` is about to do, without doing it."""

import json
import os
import socket
from pathlib import Path

import pytest

from tools.emulators import binaries, java, start
from tools.emulators.project import ROOT, Problem, Project
from tools.emulators.suite import workspace

HERE = {
    name: binaries.Emulator(name, "Google Cloud CLI", Path("/sdk") / name) for name in ("firestore", "pubsub", "ui")
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with free ports, on a machine that has everything."""
    have(monkeypatch, *HERE)
    monkeypatch.setattr(java, "require", lambda: java.Java(Path("/jdk"), "25"))
    return Project.load(workspace(tmp_path / "project", seed=None))


def have(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(binaries, "find", lambda name: HERE[name] if name in names else None)


def test_with_everything_here_the_cli_reads_firebase_json_itself(project: Project) -> None:
    launch = start.prepare(project, [])
    assert launch.command == [str(binaries.CLI), "emulators:start"]
    assert launch.environment["FIRESTORE_EMULATOR_BINARY_PATH"] == "/sdk/firestore"
    assert launch.environment["PUBSUB_EMULATOR_BINARY_PATH"] == "/sdk/pubsub"
    assert launch.environment["PATH"].startswith("/jdk/bin:")
    assert not (project.directory / start.CONFIG).exists()


def test_what_cannot_be_had_is_left_out_with_a_line_each(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    have(monkeypatch, "firestore")
    launch = start.prepare(project, [])
    assert launch.command[2:] == ["--config", start.CONFIG]
    config = json.loads((project.directory / start.CONFIG).read_text())
    expected = {**project.emulators, "ui": {"enabled": False}}
    del expected["pubsub"]
    assert config == {**project.config, "emulators": expected}
    assert "Emulator UI" not in launch.summary()
    output = capsys.readouterr().out
    assert output.count("left out: ") == 2
    assert "left out: the Pub/Sub emulator" in output
    assert "left out: the Emulator UI" in output


def test_only_the_emulators_that_are_asked_for_are_looked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, "ui")
    for arguments in (["--only", "auth,functions"], ["--only=auth,functions:default"]):
        launch = start.prepare(project, arguments)
        assert launch.ports.keys() == {"auth", "functions", "hub", "ui"}
        assert "curl" not in launch.summary(), "there would be no database"


def test_the_seed_is_imported_unless_there_is_none_or_another_import(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start.prepare(project, []).command[2:] == []
    assert "no emulator-seed directory" in capsys.readouterr().out
    (project.directory / "emulator-seed").mkdir()
    assert start.prepare(project, []).command[2:] == ["--import=emulator-seed"]
    assert start.prepare(project, ["--import=other"]).command[2:] == ["--import=other"]
    assert start.prepare(project, ["--import", "other"]).command[2:] == ["--import", "other"]


def test_a_port_in_use_is_named_with_its_purpose_its_holder_and_the_remedy(project: Project) -> None:
    taken = project.ports()["functions"]
    with socket.create_server((taken.host, taken.number)), pytest.raises(Problem) as problem:
        start.prepare(project, [])
    message = str(problem.value)
    assert f"Port {taken.number}, which firebase.json gives to the functions emulator, is in use" in message
    assert f"by process {os.getpid()} (" in message
    assert "Stop that process (another `make start`?), or change the port in firebase.json" in message


def test_the_functions_do_not_see_our_python_path(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert "PYTHONPATH" not in start.prepare(project, []).environment


def test_a_directory_that_is_no_project_says_so(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"firebase\.json does not exist"):
        Project.load(tmp_path)
    (tmp_path / "firebase.json").write_text("{,}")
    with pytest.raises(Problem, match="no valid JSON"):
        Project.load(tmp_path)


def test_two_workspaces_share_no_port_and_differ_from_the_project_in_nothing_else(tmp_path: Path) -> None:
    configs = [json.loads((workspace(tmp_path / name) / "firebase.json").read_text()) for name in "ab"]
    emulator_sections = [config.pop("emulators") for config in configs]
    original = json.loads((ROOT / "firebase.json").read_text())
    del original["emulators"]
    assert configs == [original, original]
    ports = [
        settings[key]
        for section in emulator_sections
        for settings in section.values()
        for key in ("port", "websocketPort")
        if key in settings
    ]
    assert len(ports) == len(set(ports)) == 20


def test_a_workspace_has_the_functions_without_a_developers_own_settings(tmp_path: Path) -> None:
    functions = tmp_path / "functions"
    (functions / "imagegen").mkdir(parents=True)
    for name in ("main.py", ".env", ".env.demo-imagegen", ".env.local", "imagegen/clock.py"):
        (functions / name).touch()
    copy = workspace(tmp_path / "project", functions=functions) / "functions"
    assert {path.name for path in copy.iterdir()} == {"main.py", ".env", ".env.demo-imagegen", "imagegen"}
    assert (copy / "imagegen" / "clock.py").is_file()


def test_the_seed_of_a_workspace_is_no_link_since_the_cli_would_not_import_one(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    (seed / "firebase-export-metadata.json").touch()
    copy = workspace(tmp_path / "project", seed=seed) / start.SEED
    assert not copy.is_symlink()
    assert (copy / "firebase-export-metadata.json").is_file()

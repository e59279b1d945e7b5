"""Tests of finding the emulators that the Firebase CLI does not include."""

import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from tools.emulators import binaries
from tools.emulators.project import Problem


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up a machine without gcloud, cached emulators, network or environment variables."""
    for name in ("FIRESTORE_EMULATOR_BINARY_PATH", "PUBSUB_EMULATOR_BINARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("FIREBASE_EMULATORS_PATH", str(tmp_path / "cache"))
    monkeypatch.setattr(binaries, "LOCAL", tmp_path / "local")
    downloads = tmp_path / "downloads.json"
    downloads.write_text(
        """{
          "firestore": {"expectedSize": 136707194, "remoteUrl": "https://example.com/firestore.jar",
                        "downloadPathRelativeToCacheDir": "firestore-v1.jar"},
          "pubsub": {"expectedSize": 53029797, "remoteUrl": "https://example.com/pubsub.zip",
                     "downloadPathRelativeToCacheDir": "pubsub.zip",
                     "binaryPathRelativeToCacheDir": "pubsub/bin/pubsub"},
          "ui": {"main": {"expectedSize": 3538469, "remoteUrl": "https://example.com/ui.zip",
                          "downloadPathRelativeToCacheDir": "ui.zip",
                          "binaryPathRelativeToCacheDir": "ui/server.mjs"}}
        }"""
    )
    monkeypatch.setattr(binaries, "_DOWNLOADS", downloads)
    monkeypatch.setattr(binaries, "_is_reachable", lambda _url: False)


def touch(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def install_gcloud(tmp_path: Path) -> Path:
    """Install a gcloud in a directory with a space in its name, with a link on PATH. Return its root."""
    root = tmp_path / "google cloud sdk"
    touch(root / "bin" / "gcloud").chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gcloud").symlink_to(root / "bin" / "gcloud")
    return root


def test_emulator_is_found_in_environment_then_gcloud_then_cache_then_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert binaries.find("firestore") is None

    monkeypatch.setattr(binaries, "_is_reachable", lambda url: url == "https://example.com/firestore.jar")
    download = binaries.require_firestore()
    assert download == binaries.Emulator("firestore", "download of 136 MB by the Firebase CLI", None)
    assert download.environment() == {}

    cached = touch(tmp_path / "cache" / "firestore-v1.jar")
    assert binaries.require_firestore() == binaries.Emulator("firestore", "cache", cached)
    assert binaries.require_firestore().environment() == {}

    touch(install_gcloud(tmp_path) / "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
    launcher = tmp_path / "local" / "firestore-emulator.jar"
    assert binaries.require_firestore() == binaries.Emulator("firestore", "Google Cloud CLI", launcher)
    assert binaries.require_firestore().environment() == {"FIRESTORE_EMULATOR_BINARY_PATH": str(launcher)}

    own = touch(tmp_path / "own.jar")
    monkeypatch.setenv("FIRESTORE_EMULATOR_BINARY_PATH", str(own))
    assert binaries.require_firestore().path == own


def test_unpacked_emulator_is_cached_only_if_its_program_exists(tmp_path: Path) -> None:
    touch(tmp_path / "cache" / "ui.zip")
    assert binaries.find("ui") is None
    program = touch(tmp_path / "cache" / "ui" / "server.mjs")
    assert binaries.find("ui") == binaries.Emulator("ui", "cache", program)


def test_gcloud_without_the_component_is_skipped(tmp_path: Path) -> None:
    install_gcloud(tmp_path)
    assert binaries.find("firestore") is None
    assert binaries.find("pubsub") is None


def test_variable_that_names_a_missing_file_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_BINARY_PATH", "/no/such/file")
    with pytest.raises(Problem, match="PUBSUB_EMULATOR_BINARY_PATH names /no/such/file"):
        binaries.find("pubsub")


def test_missing_firestore_emulator_raises_with_every_remedy() -> None:
    with pytest.raises(Problem) as problem:
        binaries.firestore_jar()
    for remedy in (
        "gcloud components install cloud-firestore-emulator",
        "apt-get install google-cloud-cli-firestore-emulator",
        "internet",
        "FIRESTORE_EMULATOR_BINARY_PATH",
    ):
        assert remedy in str(problem.value)


def test_missing_emulator_is_downloaded_by_the_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_is_reachable", lambda _url: True)
    cli = touch(tmp_path / "firebase", f'#!/bin/sh\necho "$1" > {tmp_path}/called\n')
    cli.chmod(0o755)
    monkeypatch.setattr(binaries, "CLI", cli)
    with pytest.raises(Problem, match="download of the Firestore emulator failed"):
        binaries.firestore_jar()
    assert (tmp_path / "called").read_text() == "setup:emulators:firestore\n"

    cli.write_text(f"#!/bin/sh\n: > {tmp_path}/cache/firestore-v1.jar\n")
    (tmp_path / "cache").mkdir()
    assert binaries.firestore_jar() == tmp_path / "cache" / "firestore-v1.jar"


@pytest.mark.parametrize("length", [1, 60, 61, 62, 130, 131, 132, 133, 500])
def test_launcher_manifest_has_lines_of_at_most_72_bytes(length: int) -> None:
    jar = Path("/") / ("é b" + "x" * length) / "emulator.jar"
    with zipfile.ZipFile(io.BytesIO(binaries.launcher_jar(jar))) as archive:
        assert archive.namelist() == ["META-INF/MANIFEST.MF"]
        manifest = archive.read("META-INF/MANIFEST.MF")
    assert manifest.endswith(b"\r\n\r\n")
    assert all(len(line) <= 72 for line in manifest.split(b"\r\n"))
    lines = manifest.replace(b"\r\n ", b"").decode("ascii").splitlines()
    assert f"Class-Path: {jar.as_uri()}" in lines
    assert " " not in jar.as_uri(), "Class-Path is a list separated by spaces"


def test_pubsub_launcher_passes_on_its_arguments(tmp_path: Path) -> None:
    program = install_gcloud(tmp_path) / "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
    touch(program, '#!/bin/sh\necho "$@"\n').chmod(0o755)
    launcher = binaries.find("pubsub")
    assert launcher is not None
    run = subprocess.run([str(launcher.path), "--port=1", "a b"], check=True, capture_output=True, text=True)
    assert run.stdout == "--port=1 a b\n"


def test_existing_launcher_is_not_rewritten(tmp_path: Path) -> None:
    touch(install_gcloud(tmp_path) / "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
    first = binaries.firestore_jar().stat()
    assert binaries.firestore_jar().stat() == first

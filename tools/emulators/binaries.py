"""Finds the emulators that are not part of the Firebase CLI: Firestore, Pub/Sub and the UI."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.emulators.project import LOCAL, ROOT, Problem

CLI = ROOT / "node_modules" / ".bin" / "firebase"

_DOWNLOADS = ROOT / "node_modules/firebase-tools/lib/emulator/downloadableEmulatorInfo.json"
_GCLOUD_PATHS = {
    "firestore": "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar",
    "pubsub": "platform/pubsub-emulator/bin/cloud-pubsub-emulator",
}
_FIRESTORE_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_REACHABLE_TIMEOUT_SECONDS = 4
_FIRESTORE_REMEDY = """Do one of these:
  - gcloud components install cloud-firestore-emulator
    (on Debian and Ubuntu: apt-get install google-cloud-cli-firestore-emulator)
  - connect to the internet, so that the Firebase CLI can download it
  - set FIRESTORE_EMULATOR_BINARY_PATH to a cloud-firestore-emulator-v*.jar"""


@dataclass(frozen=True)
class Emulator:
    """Where an emulator comes from."""

    name: str
    source: str
    path: Path | None
    """None: the Firebase CLI downloads it when it starts."""

    def environment(self) -> dict[str, str]:
        """The variables that make the Firebase CLI use this one."""
        if self.path is None or self.source == "cache":
            return {}
        return {_variable(self.name): str(self.path)}

    def __str__(self) -> str:
        return f"{self.path} ({self.source})" if self.path else self.source


def find(name: str) -> Emulator | None:
    """Where `firestore`, `pubsub` or `ui` can be had: the environment, gcloud, cache, download.

    Raises Problem where the environment names a file that does not exist.
    """
    return _from_environment(name) or _from_gcloud(name) or _from_firebase_cli(name)


def require_firestore() -> Emulator:
    """The Firestore emulator, without which nothing works; or Problem with the remedies."""
    emulator = find("firestore")
    if emulator is None:
        raise Problem(f"The Firestore emulator was not found. {_FIRESTORE_REMEDY}")
    return emulator


def firestore_jar() -> Path:
    """A Firestore emulator for `java -jar`, downloaded first if there is no other way."""
    emulator = require_firestore()
    if emulator.path is None:
        subprocess.run([str(CLI), "setup:emulators:firestore"], check=False, cwd=str(ROOT))
        emulator = require_firestore()
    if emulator.path is None:
        raise Problem(f"The download of the Firestore emulator failed. {_FIRESTORE_REMEDY}")
    return emulator.path


def _variable(name: str) -> str:
    return f"{name.upper()}_EMULATOR_BINARY_PATH"


def _from_environment(name: str) -> Emulator | None:
    # The CLI reads the UI's variable too, but then serves empty pages.
    path = os.environ.get(_variable(name)) if name in _GCLOUD_PATHS else None
    if not path:
        return None
    if not Path(path).is_file():
        raise Problem(f"{_variable(name)} names {path}, which is no file. Correct or unset it.")
    return Emulator(name, _variable(name), Path(path))


def _from_gcloud(name: str) -> Emulator | None:
    gcloud = shutil.which("gcloud")
    if gcloud is None or name not in _GCLOUD_PATHS:
        return None
    path = Path(gcloud).resolve().parent.parent / _GCLOUD_PATHS[name]
    if not path.is_file():
        return None
    # The CLI makes what it starts executable, which fails for files of another user: it gets
    # launchers of ours.
    if name == "firestore":
        launcher = _generate("firestore-emulator.jar", launcher_jar(path))
    else:
        script = f'#!/bin/sh\nexec {shlex.quote(str(path))} "$@"\n'
        launcher = _generate("pubsub-emulator", script.encode())
    return Emulator(name, "Google Cloud CLI", launcher)


def _from_firebase_cli(name: str) -> Emulator | None:
    if not _DOWNLOADS.exists():
        return None
    downloads: dict[str, Any] = json.loads(_DOWNLOADS.read_text(encoding="utf-8"))
    details: dict[str, str] = downloads["ui"]["main"] if name == "ui" else downloads[name]
    cache = os.environ.get("FIREBASE_EMULATORS_PATH") or "~/.cache/firebase/emulators"
    file = details.get("binaryPathRelativeToCacheDir", details["downloadPathRelativeToCacheDir"])
    path = Path(cache).expanduser() / file
    if path.exists():
        return Emulator(name, "cache", path)
    if _is_reachable(details["remoteUrl"]):
        megabytes = int(details["expectedSize"]) // 1_000_000
        return Emulator(name, f"download of {megabytes} MB by the Firebase CLI", None)
    return None


def _is_reachable(url: str) -> bool:
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_REACHABLE_TIMEOUT_SECONDS):
            return True
    except OSError:
        return False


def launcher_jar(jar: Path) -> bytes:
    """A jar that holds nothing but what `java -jar` misses in gcloud's: the main class."""
    lines = [
        "Manifest-Version: 1.0",
        f"Main-Class: {_FIRESTORE_MAIN_CLASS}",
        f"Class-Path: {jar.as_uri()}",
    ]
    manifest = "".join(_wrap(line) for line in lines) + "\r\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), manifest)
    return buffer.getvalue()


def _wrap(line: str) -> str:
    """Breaks a manifest line as the jar specification demands: 72 bytes, then a space."""
    chunks = [line[:72], *(line[i : i + 71] for i in range(72, len(line), 71))]
    return "\r\n ".join(chunks) + "\r\n"


def _generate(name: str, content: bytes) -> Path:
    """Writes an executable file under .local, in one step: other suites may be starting."""
    path = LOCAL / name
    if path.exists() and path.read_bytes() == content:
        return path
    LOCAL.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=str(LOCAL), delete=False) as file:
        file.write(content)
    temporary = Path(file.name)
    temporary.chmod(0o755)
    temporary.replace(path)
    return path

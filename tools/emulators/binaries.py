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

from tools.emulators import storage_rules
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
    """An emulator's executable and its source."""

    name: str
    source: str
    path: Path | None
    """None if the Firebase CLI downloads the emulator when it starts."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make the Firebase CLI use this executable."""
        if self.path is None or self.source == "cache":
            return {}
        return {_variable(self.name): str(self.path)}

    def __str__(self) -> str:
        return f"{self.path} ({self.source})" if self.path else self.source


def find(name: str) -> Emulator | None:
    """Find the emulator `firestore`, `pubsub`, `storage` or `ui`. Return None if there is none.

    Of the Storage emulator, only the rules runtime is not part of the Firebase CLI.

    Look in this order: the environment variable, gcloud, the Firebase CLI's cache, the download. Raises Problem if the
    environment variable names a file that does not exist.
    """
    return _from_environment(name) or _from_gcloud(name) or _from_firebase_cli(name)


def require_firestore() -> Emulator:
    """Return the Firestore emulator. Raises Problem if it cannot be found; the text lists the ways to install it."""
    emulator = find("firestore")
    if emulator is None:
        raise Problem(f"The Firestore emulator was not found. {_FIRESTORE_REMEDY}")
    return emulator


def firestore_jar() -> Path:
    """Return a Firestore emulator for `java -jar`. Download it if there is no other. Raises Problem if that fails."""
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
    # The CLI also reads such a variable for the UI, but then serves empty pages.
    path = os.environ.get(_variable(name)) if name in _GCLOUD_PATHS else None
    if not path:
        return None
    if not Path(path).is_file():
        raise Problem(f"{_variable(name)} names {path}, which is not a file. Correct or unset the variable.")
    return Emulator(name, _variable(name), Path(path))


def _from_gcloud(name: str) -> Emulator | None:
    gcloud = shutil.which("gcloud")
    if gcloud is None or name not in _GCLOUD_PATHS:
        return None
    path = Path(gcloud).resolve().parent.parent / _GCLOUD_PATHS[name]
    if not path.is_file():
        return None
    # The CLI makes each emulator executable, which fails for the files of another user. So it gets
    # launchers that we write.
    if name == "firestore":
        launcher = _generate("firestore-emulator.jar", launcher_jar(path))
    else:
        script = f'#!/bin/sh\nexec {shlex.quote(str(path))} "$@"\n'
        launcher = _generate("pubsub-emulator", script.encode())
    return Emulator(name, "Google Cloud CLI", launcher)


def storage_rules_stand_in(java: Path) -> dict[str, str]:
    """Install the stand-in for the rules runtime of the Storage emulator. Return the environment that uses it."""
    return storage_rules.install(LOCAL / "emulators", java, _file(_details("storage")), _cache())


def _details(name: str) -> dict[str, str]:
    downloads: dict[str, Any] = json.loads(_DOWNLOADS.read_text(encoding="utf-8"))
    details: dict[str, str] = downloads["ui"]["main"] if name == "ui" else downloads[name]
    return details


def _file(details: dict[str, str]) -> str:
    return details.get("binaryPathRelativeToCacheDir", details["downloadPathRelativeToCacheDir"])


def _cache() -> Path:
    return Path(os.environ.get("FIREBASE_EMULATORS_PATH") or "~/.cache/firebase/emulators").expanduser()


def _from_firebase_cli(name: str) -> Emulator | None:
    if not _DOWNLOADS.exists():
        return None
    details = _details(name)
    path = _cache() / _file(details)
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
    """Return a jar that names the main class and refers to gcloud's jar, which names no main class."""
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
    """Break a manifest line as the jar specification requires: after 72 bytes, the next line starts with a space."""
    chunks = [line[:72], *(line[i : i + 71] for i in range(72, len(line), 71))]
    return "\r\n ".join(chunks) + "\r\n"


def _generate(name: str, content: bytes) -> Path:
    """Write an executable file under .local and return its path.

    The file appears in one step, because other emulators may start at the same time.
    """
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

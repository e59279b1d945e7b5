"""Runs the Firestore emulator alone, for tests that need neither the functions nor the CLI."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import requests

from tools.emulators import binaries, java
from tools.emulators.ports import free_ports
from tools.emulators.progress import wait_until


class FirestoreEmulator:
    """Google's Firestore emulator on a free loopback port. It runs while the `with` block lasts.

    `import_from` is a directory that `firebase emulators:export` wrote. `rules` is a rules file;
    without it, everything is allowed. Entering raises Problem if Java or the emulator cannot be
    found, and RuntimeError with the end of the log if the emulator does not start.
    """

    host: str
    """host:port, in the format of FIRESTORE_EMULATOR_HOST."""

    def __init__(self, import_from: Path | None = None, rules: Path | None = None) -> None:
        self._import_from = import_from
        self._rules = rules

    def __enter__(self) -> FirestoreEmulator:
        port, websocket_port = free_ports(2)
        self.host = f"127.0.0.1:{port}"
        runtime = java.require()
        command = [str(runtime.executable), *java.SHORT_RUN_OPTIONS, "-Duser.language=en", "-jar"]
        command += [str(binaries.firestore_jar()), "--host=127.0.0.1", f"--port={port}"]
        command += [f"--websocket_port={websocket_port}"]
        if self._import_from:
            command.append(f"--seed_from_export={_firestore_export(self._import_from)}")
        if self._rules:
            command.append(f"--rules={self._rules.resolve()}")
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **runtime.environment()},
            start_new_session=True,
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the emulator. Its data is lost."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _wait_until_ready(self) -> None:
        if not wait_until(self._is_ready, self._process, lambda: os.fstat(self._log.fileno()).st_size):
            self._log.seek(0)
            tail = self._log.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"The Firestore emulator did not start. The end of its log:\n{tail}")

    def _is_ready(self) -> bool:
        try:
            requests.get(f"http://{self.host}/", timeout=5)
        except requests.RequestException:
            return False
        return True


def _firestore_export(directory: Path) -> Path:
    metadata = json.loads((directory / "firebase-export-metadata.json").read_text("utf-8"))
    return directory.resolve() / str(metadata["firestore"]["metadata_file"])

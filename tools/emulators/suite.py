"""The whole emulator suite for other programs: tests, the seed script."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from tools.emulators import start
from tools.emulators.ports import free_ports
from tools.emulators.progress import wait_until
from tools.emulators.project import ROOT, Project

_STOP_TIMEOUT_SECONDS = 40


_SHARED = (".firebaserc", "firestore.rules", "firestore.indexes.json", "node_modules")


def workspace(
    directory: Path,
    functions: Path = ROOT / "functions",
    seed: Path | None = ROOT / start.SEED,
    settings: Mapping[str, str] = {},
) -> Path:
    """Makes `directory` a project like this one, but for its ports, which are free ones.

    Any number of such projects can run beside each other and beside `make start`. `seed` is
    imported at the start; None starts empty. `settings` replace those of functions/.env.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in _SHARED:
        (directory / name).symlink_to(ROOT / name)
    (directory / "functions").mkdir()
    for entry in functions.resolve().iterdir():
        # .env.local is how a developer runs the functions; it is not to decide what a test sees.
        if entry.suffix != ".local":
            (directory / "functions" / entry.name).symlink_to(entry)
    if settings:
        local = "".join(f"{name}={value}\n" for name, value in settings.items())
        (directory / "functions" / ".env.local").write_text(local, encoding="utf-8")
    if seed and seed.is_dir():
        # A copy: the CLI takes no link for a directory, and then starts empty.
        shutil.copytree(seed, directory / start.SEED)
    config = json.loads((ROOT / "firebase.json").read_text("utf-8"))
    _give_free_ports(config["emulators"])
    (directory / "firebase.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return directory


def _give_free_ports(emulators: dict[str, Any]) -> None:
    # Some have a port without being in firebase.json; the CLI would give the same to two suites.
    configured = {name for name, settings in emulators.items() if isinstance(settings, dict)}
    names = sorted(configured | {"logging", "eventarc", "tasks"})
    websocket_port, *ports = free_ports(len(names) + 1)
    for name, port in zip(names, ports, strict=True):
        emulators[name] = {**emulators.get(name, {}), "host": "127.0.0.1", "port": port}
    emulators["firestore"]["websocketPort"] = websocket_port


class Suite:
    """`make start` in a project directory, ready to use while the `with` block lasts.

    `arguments` go to `firebase emulators:start`. Entering raises RuntimeError with the output's
    end if the suite, or the functions in it, cannot be started.
    """

    def __init__(self, directory: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.project = Project.load(directory)
        self._arguments = arguments
        self._environment = environment or {}
        self._log = directory / "start.log"

    @property
    def project_id(self) -> str:
        return self.project.id

    @property
    def functions_url(self) -> str:
        """What a function's name is appended to, after a slash."""
        return f"http://{self.functions_host}/{self.project.id}/{start.REGION}"

    @property
    def functions_host(self) -> str:
        """host:port, as the client SDKs want it."""
        return self._host("functions")

    @property
    def hub_url(self) -> str:
        return f"http://{self._host('hub')}"

    @property
    def firestore_host(self) -> str:
        """host:port, as FIRESTORE_EMULATOR_HOST wants it."""
        return self._host("firestore")

    @property
    def auth_host(self) -> str:
        """host:port, as FIREBASE_AUTH_EMULATOR_HOST wants it."""
        return self._host("auth")

    def output(self) -> str:
        """What the CLI and the functions have printed so far."""
        return self._log.read_text("utf-8", errors="replace")

    def export(self, directory: Path) -> None:
        """Writes the data of all emulators, as `firebase emulators:export` does."""
        # Not by that command: it finds a suite by its project's id, of which others may run.
        request = {"path": str(directory.resolve()), "initiatedBy": "suite"}
        requests.post(f"{self.hub_url}/_admin/export", json=request, timeout=120).raise_for_status()

    def __enter__(self) -> Suite:
        temporary = self.project.directory / "tmp"
        temporary.mkdir(exist_ok=True)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.emulators.start", *self._arguments],
                cwd=self.project.directory,
                # The CLI notes in the temporary directory which suite of a project is running.
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "TMPDIR": str(temporary.resolve()),
                    **self._environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
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
        """Ends the suite as Ctrl-C does, and returns when it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(_STOP_TIMEOUT_SECONDS)

    def _wait_until_ready(self) -> None:
        if not wait_until(self._is_ready, self.process, lambda: self._log.stat().st_size):
            raise self._failure()

    def _is_ready(self) -> bool:
        output = self.output()
        if start.NOT_LOADED in output:
            raise self._failure()
        return start.READY in output

    def _failure(self) -> RuntimeError:
        return RuntimeError(f"The emulators did not start:\n{self.output()[-4000:]}")

    def _host(self, emulator: str) -> str:
        return str(self.project.ports()[emulator])

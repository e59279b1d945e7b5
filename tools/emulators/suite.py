"""The emulator suite as a context manager, for tests and tools."""

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

from tools.emulators import java, start
from tools.emulators.ports import STRIPE, free_ports
from tools.emulators.progress import wait_until
from tools.emulators.project import ROOT, STORAGE, Project

_STOP_TIMEOUT_SECONDS = 40


_LINKED = (".firebaserc", "firestore.rules", "storage.rules", "firestore.indexes.json", "node_modules", "console")


def workspace(
    directory: Path,
    functions: Path = ROOT / "functions",
    seed: Path | None = ROOT / start.SEED,
    settings: Mapping[str, str] = {},
) -> Path:
    """Set up a project in `directory` with the files of this one and free ports. Return `directory`.

    Any number of such projects can run at the same time, also next to `make start`. The emulators import `seed` at
    the start, or start empty if it is None. `settings` override those of functions/.env.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in _LINKED:
        (directory / name).symlink_to(ROOT / name)
    (directory / "functions").mkdir()
    for entry in functions.resolve().iterdir():
        # A developer's .env.local must not affect the tests.
        if entry.suffix != ".local":
            (directory / "functions" / entry.name).symlink_to(entry)
    address = {"STRIPE_API_URL": f"http://127.0.0.1:{free_ports(1)[0]}"}
    local = "".join(f"{name}={value}\n" for name, value in {**address, **settings}.items())
    (directory / "functions" / ".env.local").write_text(local, encoding="utf-8")
    shutil.copytree(ROOT / "hosting", directory / "hosting", ignore=shutil.ignore_patterns("console"))
    if seed and seed.is_dir():
        # A copy, because the CLI does not follow a link to a directory and would start empty.
        shutil.copytree(seed, directory / start.SEED)
    config, storage = (json.loads((ROOT / name).read_text("utf-8")) for name in ("firebase.json", STORAGE))
    _assign_free_ports(config["emulators"], storage["emulators"])
    for name, content in (("firebase.json", config), (STORAGE, storage)):
        (directory / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    return directory


def _assign_free_ports(emulators: dict[str, Any], storage: dict[str, Any]) -> None:
    # The CLI would give two suites the same port for an emulator that is not in firebase.json.
    configured = {name for name, settings in emulators.items() if isinstance(settings, dict)}
    names = sorted(configured | {"logging", "eventarc", "tasks"})
    websocket_port, storage["storage"]["port"], *ports = free_ports(len(names) + 2)
    for name, port in zip(names, ports, strict=True):
        emulators[name] = {**emulators.get(name, {}), "host": "127.0.0.1", "port": port}
    emulators["firestore"]["websocketPort"] = websocket_port


class Suite:
    """Runs `make start` in a project directory for the duration of a `with` block.

    `arguments` go to `firebase emulators:start`. Entering the block raises RuntimeError with the end of the output
    if the emulators or the functions cannot be started.
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
        """The URL of the functions. Append a slash and the name of a function."""
        return f"http://{self.functions_host}/{self.project.id}/{start.REGION}"

    @property
    def functions_host(self) -> str:
        """The host and port in the form that the client SDKs expect."""
        return self._host("functions")

    @property
    def hosting_url(self) -> str:
        return f"http://{self._host('hosting')}"

    @property
    def hub_url(self) -> str:
        return f"http://{self._host('hub')}"

    @property
    def firestore_host(self) -> str:
        """The host and port in the form of FIRESTORE_EMULATOR_HOST."""
        return self._host("firestore")

    @property
    def auth_host(self) -> str:
        """The host and port in the form of FIREBASE_AUTH_EMULATOR_HOST."""
        return self._host("auth")

    @property
    def storage_host(self) -> str:
        """The host and port in the form of STORAGE_EMULATOR_HOST, without its scheme."""
        return self._host("storage")

    @property
    def stripe_url(self) -> str:
        """The address of the emulator of Stripe."""
        return f"http://{self._host(STRIPE)}"

    def output(self) -> str:
        """Return the output of the CLI and the functions so far."""
        return self._log.read_text("utf-8", errors="replace")

    def export(self, directory: Path) -> None:
        """Write the data of all emulators, as `firebase emulators:export` does."""
        # `emulators:export` finds a suite by its project's id. Several suites with that id may be running.
        request = {"path": str(directory.resolve()), "initiatedBy": "suite"}
        requests.post(f"{self.hub_url}/_admin/export", json=request, timeout=120).raise_for_status()

    def __enter__(self) -> Suite:
        temporary = self.project.directory / "tmp"
        temporary.mkdir(exist_ok=True)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.emulators.start", *self._arguments],
                cwd=self.project.directory,
                # The CLI records the running suite of a project in the temporary directory.
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "TMPDIR": str(temporary.resolve()),
                    "JDK_JAVA_OPTIONS": " ".join(java.SHORT_RUN_OPTIONS),
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
        """Stop the suite as Ctrl-C does, and return when its process has ended."""
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

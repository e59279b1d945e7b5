"""One function, served as in production: by functions-framework's gunicorn, with the threads that `.env` sets."""

import os
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import psutil
import requests
from dotenv import dotenv_values

from tools.emulators.ports import free_ports
from tools.emulators.progress import wait_until
from tools.emulators.project import ROOT

FUNCTIONS = ROOT / "functions"
MEMORY_BYTES = 512 * 1024 * 1024
"""The memory of an instance, as in main.py."""

_POLL_SECONDS = 0.2


class Emulators(Protocol):
    """The emulators that a server uses: a Suite, or others."""

    @property
    def project_id(self) -> str: ...

    @property
    def firestore_host(self) -> str: ...

    @property
    def auth_host(self) -> str: ...


class Server:
    """A server of a function that uses the emulators, and a watch over its memory.

    ``settings`` override those of functions/.env. ``source`` is the file that defines the function.
    """

    def __init__(
        self,
        function: str,
        emulators: Emulators,
        log: Path,
        settings: Mapping[str, str] = {},
        source: Path = FUNCTIONS / "main.py",
    ) -> None:
        [port] = free_ports(1)
        self.host, self.port = "127.0.0.1", port
        self.url = f"http://{self.host}:{port}/"
        target = {"FUNCTION_TARGET": function, "PORT": str(port)}
        self._environment = {**_settings(), **_emulators(emulators), **settings, **target}
        self._source = source
        self._log = log
        self._ended = threading.Event()
        self._memory_max = 0

    def start(self) -> None:
        """Start the process. It does not answer yet."""
        command = ["functions-framework", "--source", str(self._source), "--host", self.host]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [FUNCTIONS / "venv" / "bin" / command[0], *command[1:]],
                cwd=FUNCTIONS,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        self.start()
        if not wait_until(self._answers, self.process, lambda: self._log.stat().st_size):
            self.process.kill()
            raise RuntimeError(f"The server did not start:\n{self._log.read_text('utf-8')[-4000:]}")
        threading.Thread(target=self._watch_memory, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def memory_max(self) -> int:
        """Return the most memory, in bytes, that the server has used since the last call."""
        most, self._memory_max = self._memory_max, 0
        return most

    def _answers(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(self.url, timeout=60).status_code < 500
        return False

    def _watch_memory(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            with suppress(psutil.NoSuchProcess):
                server = psutil.Process(self.process.pid)
                processes = [server, *server.children(recursive=True)]
                self._memory_max = max(self._memory_max, sum(process.memory_info().rss for process in processes))


def _settings() -> Mapping[str, str]:
    """Return the parameters of a deployed project, without those of the local demo project."""
    values = dotenv_values(FUNCTIONS / ".env")
    return {**os.environ, **{name: value for name, value in values.items() if value is not None}}


def _emulators(emulators: Emulators) -> Mapping[str, str]:
    return {
        "GOOGLE_CLOUD_PROJECT": emulators.project_id,
        "FIREBASE_CONFIG": f'{{"projectId": "{emulators.project_id}"}}',
        "FIRESTORE_EMULATOR_HOST": emulators.firestore_host,
        "FIREBASE_AUTH_EMULATOR_HOST": emulators.auth_host,
    }

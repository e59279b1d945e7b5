"""Reads the firebase.json and .firebaserc of a project directory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.emulators.ports import STRIPE, Port

ROOT = Path(__file__).resolve().parents[2]
STORAGE = "firebase.storage.json"
LOCAL = ROOT / ".local"
"""The directory for files that the tools generate. It is not committed."""


class Problem(Exception):
    """An error that the user can fix. Its text names the problem and the solution."""


@dataclass(frozen=True)
class Project:
    """A directory with a firebase.json and a .firebaserc."""

    directory: Path
    id: str
    config: dict[str, Any]

    @classmethod
    def load(cls, directory: Path) -> Project:
        """Read the project in ``directory``. Raises Problem if a file is missing or is not JSON.

        firebase.storage.json is added to firebase.json. It is a file of its own, because the Firebase CLI downloads the
        rules runtime of the Storage emulator wherever firebase.json has a section ``storage``.
        """
        config = _read_json(directory / "firebase.json")
        if (directory / STORAGE).exists():
            storage = _read_json(directory / STORAGE)
            config = {**config, **storage, "emulators": {**config["emulators"], **storage["emulators"]}}
        return cls(directory, _read_json(directory / ".firebaserc")["projects"]["default"], config)

    @property
    def emulators(self) -> dict[str, Any]:
        """The `emulators` section of firebase.json."""
        section: dict[str, Any] = self.config["emulators"]
        return section

    def ports(self) -> dict[str, Port]:
        """Return the ports of the emulators by name: those in firebase.json, and Stripe's where it is emulated."""
        ports = {
            name: Port(name, settings.get("host", "127.0.0.1"), settings["port"])
            for name, settings in self.emulators.items()
            if isinstance(settings, dict) and "port" in settings
        }
        parameters = self.parameters()
        address = re.fullmatch(r"http://(127\.0\.0\.1|localhost):(\d+)/?", parameters.get("STRIPE_API_URL", ""))
        if address and parameters.get("PAYMENTS_ENABLED") == "true":
            ports[STRIPE] = Port(STRIPE, "127.0.0.1", int(address[2]))
        return ports

    def parameters(self) -> dict[str, str]:
        """Return the parameters of the functions in the emulators, from the same files as the Firebase CLI."""
        return self._parameters(".env", ".env." + self.id, ".env.local", ".secret.local")

    def deployed_parameters(self) -> dict[str, str]:
        """Return the parameters of the deployed functions. Secrets are not among them."""
        return self._parameters(".env", ".env." + self.id)

    def _parameters(self, *names: str) -> dict[str, str]:
        parameters: dict[str, str] = {}
        for name in names:
            path = self.directory / "functions" / name
            if path.exists():
                lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
                pairs = (line.partition("=") for line in lines if not line.startswith("#"))
                parameters.update({key.strip(): value.strip().strip("'\"") for key, _, value in pairs if key})
        return parameters


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Run this in the directory of firebase.json.") from None
    except ValueError as error:
        raise Problem(f"{path} is not valid JSON: {error}") from None
    return content

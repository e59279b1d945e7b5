"""Reads the firebase.json and .firebaserc of a project directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.emulators.ports import Port

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
        """Return the ports in firebase.json, by emulator."""
        return {
            name: Port(name, settings.get("host", "127.0.0.1"), settings["port"])
            for name, settings in self.emulators.items()
            if isinstance(settings, dict) and "port" in settings
        }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Run this in the directory of firebase.json.") from None
    except ValueError as error:
        raise Problem(f"{path} is not valid JSON: {error}") from None
    return content

"""What the firebase.json and .firebaserc of a project directory say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.emulators.ports import Port

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
"""For files that the tools generate; never committed."""


class Problem(Exception):
    """Something that the person at the keyboard can fix; its text says what, and how."""


@dataclass(frozen=True)
class Project:
    """A directory with a firebase.json and a .firebaserc."""

    directory: Path
    id: str
    config: dict[str, Any]

    @classmethod
    def load(cls, directory: Path) -> Project:
        """Raises Problem where a file is missing or no JSON."""
        config = _read_json(directory / "firebase.json")
        return cls(directory, _read_json(directory / ".firebaserc")["projects"]["default"], config)

    @property
    def emulators(self) -> dict[str, Any]:
        """The `emulators` section of firebase.json."""
        section: dict[str, Any] = self.config["emulators"]
        return section

    def ports(self) -> dict[str, Port]:
        """The ports that firebase.json fixes, by emulator."""
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
        raise Problem(f"{path} is no valid JSON: {error}") from None
    return content

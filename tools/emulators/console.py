"""Builds the console, and allows it to reach the emulators."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.emulators.ports import Port
from tools.emulators.project import Problem

BUILD = "console/build.mjs"
OUTPUT = "hosting/console"
POLICY = "Content-Security-Policy"

_SOURCES = {"connect-src": ("auth", "functions", "firestore"), "img-src": ("hosting", "storage")}
"""The emulators that the console calls, or gets images from."""


def build(directory: Path) -> None:
    """Build the console of a project into its hosting/. Raises Problem if the source cannot be built."""
    if not (directory / BUILD).is_file():
        return
    command = ["node", BUILD, str((directory / OUTPUT).resolve())]
    built = subprocess.run(command, cwd=str(directory), capture_output=True, text=True, check=False)
    if built.returncode:
        raise Problem(f"The console could not be built:\n{built.stderr.strip()}")


def with_emulators(hosting: Mapping[str, Any], ports: Mapping[str, Port]) -> dict[str, Any]:
    """Return the section ``hosting`` of firebase.json with the emulators' addresses in its Content-Security-Policy."""
    return {**hosting, "headers": [_rule_with_emulators(rule, ports) for rule in hosting.get("headers", [])]}


def _rule_with_emulators(rule: Mapping[str, Any], ports: Mapping[str, Port]) -> dict[str, Any]:
    return {
        **rule,
        "headers": [
            {**header, "value": _policy_with_emulators(header["value"], ports)} if header["key"] == POLICY else header
            for header in rule["headers"]
        ],
    }


def _policy_with_emulators(policy: str, ports: Mapping[str, Port]) -> str:
    directives = []
    for directive in policy.split("; "):
        name = directive.partition(" ")[0]
        addresses = [f"http://{ports[emulator]}" for emulator in _SOURCES.get(name, ()) if emulator in ports]
        directives.append(" ".join([directive, *addresses]))
    return "; ".join(directives)

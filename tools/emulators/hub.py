"""Asks the running emulators for their project."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any

from tools.emulators.ports import STRIPE, Port
from tools.emulators.project import Project

_TIMEOUT_SECONDS = 5


def running_emulators(project: Project) -> dict[str, int]:
    """Return the ports of the emulators that run for the project's directory, by name. Ignore other clones."""
    ports = project.ports()
    try:
        directories = [backend["directory"] for backend in _get(ports["functions"], "/backends")["backends"]]
        if os.path.realpath(project.directory / "functions") not in map(os.path.realpath, directories):
            return {}
        running = {name: details["port"] for name, details in _get(ports["hub"], "/emulators").items()}
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return {}  # Nothing listens on the port, or a different program does.
    if STRIPE in ports and _is_stripe(ports[STRIPE]):
        running[STRIPE] = ports[STRIPE].number
    return running


def _is_stripe(port: Port) -> bool:
    try:
        return bool(_get(port, "/health") == {"emulator": STRIPE})
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _get(port: Port, path: str) -> Any:
    connection = http.client.HTTPConnection(port.host, port.number, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()

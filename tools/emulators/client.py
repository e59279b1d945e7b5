"""Connects to the Firestore emulator of `make start`."""

import os

import requests
from google.cloud import firestore

from tools.emulators.project import Problem, Project


def operator_client(project: Project) -> firestore.Client:
    """Return a client of the running Firestore emulator, not limited by security rules. Raises Problem if none runs."""
    host = str(project.ports()["firestore"])
    try:
        requests.get(f"http://{host}/", timeout=5)
    except requests.ConnectionError:
        raise Problem("The emulators are not running. Start them in another terminal: make start") from None
    os.environ["FIRESTORE_EMULATOR_HOST"] = host
    return firestore.Client(project=project.id)

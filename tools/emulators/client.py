"""The database of the suite that `make start` is running."""

import os

import requests
from google.cloud import firestore

from tools.emulators.project import Problem, Project


def operator_client(project: Project) -> firestore.Client:
    """An operator's client of the running suite. Raises Problem where none is running."""
    host = str(project.ports()["firestore"])
    try:
        requests.get(f"http://{host}/", timeout=5)
    except requests.ConnectionError:
        raise Problem("The emulators are not running. Start them in another terminal: make start") from None
    os.environ["FIRESTORE_EMULATOR_HOST"] = host
    return firestore.Client(project=project.id)

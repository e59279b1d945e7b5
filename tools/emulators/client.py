"""Connects to the Firestore emulator of `make start`, or to a deployed project."""

import os
from dataclasses import replace
from pathlib import Path

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


def client_with_parameters(deployed: str | None = None, database: str | None = None) -> firestore.Client:
    """Return a client of a deployed project, with your Google credentials, or of the running emulators if it is None.

    ``database`` names another database of the project than the default one. Add the parameters of the project's
    functions to the environment. What the environment already has is kept, such as a key of Stripe for a deployed
    project. Raises Problem if no emulator runs.
    """
    project = Project.load(Path.cwd())
    if deployed is None:
        client = operator_client(project)
        parameters = {**project.parameters(), "FUNCTIONS_EMULATOR": "true"}
    else:
        client = firestore.Client(project=deployed, database=database)
        parameters = replace(project, id=deployed).deployed_parameters()
    for name, value in parameters.items():
        os.environ.setdefault(name, value)
    return client

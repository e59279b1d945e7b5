"""`make seed`: fills new emulators with the sample data, and exports their data to `emulator-seed/`.

The backend's own services make the requests of the past weeks, on a clock that is set to the planned times.
"""

import os
import random
import shutil
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import firebase_admin
from firebase_admin import auth
from google.cloud import firestore
from rich.progress import track

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend, providers
from imagegen.domain.ledger import Credits
from imagegen.errors import GenerationFailed
from imagegen.ports.database import Put
from imagegen.services.credits.accounts import new_account
from imagegen.services.images.storage import Images
from tools.emulators.project import ROOT
from tools.emulators.suite import Suite, workspace
from tools.fakes import NO_LIMITS, AcceptingSender, AuthAccountList, FileStore, ManualClock, TaskList
from tools.seed import history

TARGET = ROOT / "emulator-seed"
SITE = "http://127.0.0.1:5000"
"""The Hosting emulator of `make start`, which serves the mock models' images."""
REPORTED_WEEKS = -1  # all but the newest week, which the user of the emulators can report with `make report`


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        directory = workspace(Path(temporary) / "project", seed=None)
        with Suite(directory, "--only", "auth,firestore") as suite:
            os.environ["FIRESTORE_EMULATOR_HOST"] = suite.firestore_host
            os.environ["FIREBASE_AUTH_EMULATOR_HOST"] = suite.auth_host
            write_accounts(suite.project_id)
            write_documents(firestore.Client(project=suite.project_id))
            exported = Path(temporary) / "export"
            suite.export(exported)
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.move(exported, TARGET)
    print(f"Written: {TARGET.relative_to(ROOT)}/")


def write_accounts(project_id: str) -> None:
    """Create an account in Firebase Auth for each user, with the id of the user's document."""
    app = firebase_admin.initialize_app(options={"projectId": project_id})
    users = history.source("users")
    for user in users["users"]:
        auth.create_user(
            uid=user["id"],
            email=email(user["id"]),
            email_verified=user.get("emailVerified", True),
            display_name=user["name"],
            password=users["password"],
            app=app,
        )
        if user.get("admin"):
            auth.set_custom_user_claims(user["id"], {"admin": True}, app=app)


def write_documents(client: firestore.Client) -> None:
    """Write the catalog, the users, their requests and the weekly reports."""
    database = FirestoreDatabase(client)
    for path, data in history.documents():
        database.commit(Put(path, data))
    users = history.source("users")
    registered = datetime.fromisoformat(users["registeredAt"])
    for user in users["users"]:
        granted = Credits(user["trial"], user["paid"])
        write_user(database, user["id"], user["name"], granted, registered)

    rng = random.Random(history.source("history")["randomSeed"])
    clock = ManualClock(registered)
    os.environ["PUBLIC_BASE_URL"] = SITE
    generators, new_id = providers(clock, rng), lambda: f"{rng.getrandbits(128):032x}"
    images = Images(FileStore())
    queue, sender, auth_accounts = TaskList(), AcceptingSender(), AuthAccountList()
    backend = Backend.on(
        database, queue, sender, generators, images, clock, rng, new_id, NO_LIMITS, auth_accounts=auth_accounts
    )
    for request in track(history.plan(), "Eight weeks of requests"):
        clock.at = max(clock.at, request.at)  # the requests run one after the other, so the clock never goes back
        with suppress(GenerationFailed):
            backend.generations.create(request.order)
    for week in history.weeks()[:REPORTED_WEEKS]:
        clock.at = week.end + timedelta(hours=6)
        backend.reports.write(clock.at)


def write_user(database: FirestoreDatabase, user_id: str, name: str, granted: Credits, at: datetime) -> None:
    """Open an account as registerUser does, with the given credits."""
    _, writes = new_account(user_id, {"displayName": name, "email": email(user_id)}, granted, at)
    database.commit(*writes)


def email(user_id: str) -> str:
    return f"{user_id}@example.com"

"""Fixtures of the integration tests: each test has its own backend and project on the Firestore emulator."""

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.adapters.generators.canvas import CanvasGenerator
from imagegen.adapters.generators.mock import MockGenerator
from imagegen.bootstrap import Backend, with_retries_and_deadlines
from imagegen.domain.ledger import Credits
from imagegen.domain.limits import Limits
from imagegen.ports.clock import Clock, SystemClock
from imagegen.ports.database import Data, Put
from imagegen.ports.payments import Payments
from imagegen.ports.task_queue import TaskQueue
from imagegen.ports.webhook_sender import WebhookSender
from imagegen.reports.alerts import Channel
from imagegen.services.images.storage import Images
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.backend import AddUser, Provider
from tests.support.faults import FaultyDatabase
from tests.support.invariants import violations
from tests.support.orders import ORDER, order
from tests.support.wire import ObservedClient
from tools.fakes import NO_LIMITS, AcceptingSender, AuthAccountList, FileStore, TaskList
from tools.seed import export, history


@pytest.fixture
def database(client: ObservedClient) -> FirestoreDatabase:
    """Return the test's own project with the seeded catalog. Its models never fail at random."""
    database = FirestoreDatabase(client)
    database.commit(*(Put(path, _never_failing(path, data)) for path, data in history.documents()))
    client.wire.reset()
    return database


def _never_failing(path: str, data: Data) -> Data:
    return {**data, "failureRate": 0.0} if path.startswith("models/") else data


# The parts of a backend. A test file overrides the parts that it tests. On a ManualClock, delays take no real time.


@pytest.fixture
def faulty(database: FirestoreDatabase) -> FaultyDatabase:
    return FaultyDatabase(database)


@pytest.fixture
def queue() -> TaskQueue:
    return TaskList()


@pytest.fixture
def receiver() -> WebhookSender:
    return AcceptingSender()


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


@pytest.fixture
def provider(clock: Clock) -> Provider:
    """Return the provider of every model. It calls the mock, unless a test replaces ``generate``."""
    mock = MockGenerator(clock, random.Random(1), "https://site.example.com")
    return Provider(mock.check, mock.generate)


@pytest.fixture
def limits() -> Limits:
    return NO_LIMITS


@pytest.fixture
def listeners() -> Sequence[Channel]:
    return ()


@pytest.fixture
def files() -> FileStore:
    return FileStore()


@pytest.fixture
def auth_accounts() -> AuthAccountList:
    return AuthAccountList()


@pytest.fixture
def payments() -> Payments | None:
    """Return the payment provider, or None where payments are off."""
    return None


@pytest.fixture
def backend(
    faulty: FaultyDatabase,
    queue: TaskQueue,
    receiver: WebhookSender,
    provider: Provider,
    clock: Clock,
    limits: Limits,
    listeners: Sequence[Channel],
    files: FileStore,
    auth_accounts: AuthAccountList,
    payments: Payments | None,
) -> Backend:
    ids, rng = itertools.count(1), random.Random(1)
    generators = with_retries_and_deadlines(clock, {"mock": provider, "canvas": CanvasGenerator()})
    images = Images(files)
    return Backend.on(
        faulty,
        queue,
        receiver,
        generators,
        images,
        clock,
        rng,
        lambda: f"id-{next(ids)}",
        limits,
        listeners,
        auth_accounts=auth_accounts,
        payments=payments,
    )


@pytest.fixture
def api(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Return the deployed functions on this test's backend, without required authentication."""
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: backend)
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    return Api()


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """Replace Firebase Auth by a fake."""
    accounts = Accounts()
    monkeypatch.setattr("firebase_admin.auth.get_user", accounts.get_user)
    monkeypatch.setattr("firebase_admin.auth.verify_id_token", accounts.verify_id_token)
    return accounts


@pytest.fixture
def add_user(client: ObservedClient, database: FirestoreDatabase) -> Iterator[AddUser]:
    """Return a function that adds users with a granted balance. Audit the database after the test."""

    def add(user_id: str = "user", *, trial: int = 0, paid: int = 0, at: datetime | None = None) -> str:
        export.write_user(database, user_id, user_id, Credits(trial, paid), at or datetime.now(UTC))
        client.wire.reset()
        return user_id

    yield add
    assert violations(client) == []


@pytest.fixture
def request_ids(api: Api, client: ObservedClient, database: FirestoreDatabase, clock: Clock) -> dict[str, Any]:
    """Add a user with two completed requests and a failed one. Return the request ids by name."""
    client.document("models/model-b").update({"failureRate": 1})
    export.write_user(database, "user", "User", Credits(2, 18), clock.now())
    first = api.result("createGenerationRequest", ORDER)["generationRequestId"]
    second = api.result("createGenerationRequest", order(size="512x512"))["generationRequestId"]
    failed = api.error("createGenerationRequest", order(model="Model B"))["details"]["generationRequestId"]
    return {"first": first, "second": second, "failed": failed}

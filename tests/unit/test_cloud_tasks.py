"""Tests of enqueueing on a real local server that hangs."""

import time
from collections.abc import Iterator

import firebase_admin
import pytest

from imagegen.adapters import cloud_tasks
from imagegen.adapters.cloud_tasks import CloudTasks
from imagegen.deadlines import LATE_CALLS_MAX
from imagegen.ports.task_queue import QueueUnavailable
from tests.support.progress import eventually
from tests.support.servers import HangingServer, hanging_server

BOUND_SECONDS = 5
"""Far more than the deadline of the tests, and far less than the SDK's own timeout of two minutes."""


@pytest.fixture
def server() -> Iterator[HangingServer]:
    with hanging_server() as server:
        yield server


@pytest.fixture
def dripping_server() -> Iterator[HangingServer]:
    with hanging_server(drips=True) as server:
        yield server


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudTasks]:
    """Yield a queue with a short deadline, and with a new Admin SDK, which reads the server's address on first use."""
    monkeypatch.setattr(cloud_tasks, "ENQUEUE_SECONDS", 0.1)
    firebase_admin.delete_app(firebase_admin.get_app())
    app = firebase_admin.initialize_app(options={"projectId": "demo-tasks"})
    yield CloudTasks()
    firebase_admin.delete_app(app)
    firebase_admin.initialize_app()


def is_refused(tasks: CloudTasks) -> bool:
    with pytest.raises(QueueUnavailable):
        tasks.put("generateImage", {"generationRequestId": "request"})
    return True


@pytest.mark.parametrize("kind", ["server", "dripping_server"])
def test_hanging_queue_is_unavailable_after_the_deadline(
    tasks: CloudTasks, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: HangingServer = request.getfixturevalue(kind)
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", server.host)
    began = time.monotonic()
    assert is_refused(tasks)
    assert time.monotonic() - began < BOUND_SECONDS
    eventually(lambda: server.reached == 1)


def test_queue_is_not_called_while_too_many_calls_hang(
    tasks: CloudTasks, dripping_server: HangingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", dripping_server.host)
    assert all(is_refused(tasks) for _ in range(3 * LATE_CALLS_MAX))
    eventually(lambda: dripping_server.reached == LATE_CALLS_MAX)


def test_calls_of_a_server_that_never_answers_end_by_themselves(
    tasks: CloudTasks, server: HangingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", server.host)
    calls = 3 * LATE_CALLS_MAX
    eventually(lambda: is_refused(tasks) and server.reached >= calls)

"""Tests of the Cloud Tasks adapter: the answers of Cloud Tasks and of its emulator, and servers that hang."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import firebase_admin
import pytest

from imagegen import (
    admin_sdk,  # noqa: F401 - initializes the SDK, which the tests initialize again
    tracing,
)
from imagegen.adapters import cloud_tasks
from imagegen.adapters.cloud_tasks import CloudTasks
from imagegen.deadlines import LATE_CALLS_MAX
from imagegen.domain.trace import trace_of
from imagegen.ports.task_queue import QueueUnavailable, task_name
from tests.support.progress import eventually
from tests.support.servers import HangingServer, hanging_server

NAME = task_name("request", 0)


@dataclass
class Answer:
    """The answer to each task. ``body`` makes its body of the task's name."""

    status: int = 200
    body: Callable[[str], str] = lambda name: json.dumps({"task": {"name": name}})
    tasks: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """Answer the requests of the SDK, in a new app, because the SDK reads the host once for each app."""
    answer = Answer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            task = json.loads(self.rfile.read(int(self.headers["content-length"])))["task"]
            answer.tasks.append(task)
            body = answer.body(task["name"]).encode()
            self.send_response(answer.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", f"127.0.0.1:{server.server_address[1]}")
        app = firebase_admin.initialize_app(options={"projectId": "demo-tasks"}, name="tasks")
        monkeypatch.setattr("firebase_admin.get_app", lambda *_: app)
        yield answer
        firebase_admin.delete_app(app)
        server.shutdown()
        thread.join()


def put() -> bool:
    return CloudTasks().put("generateImage", {"generationRequestId": "request"}, NAME)


def test_task_continues_the_trace(answer: Answer) -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    with tracing.own_work():
        assert put()
        tracing.begin(trace_of(traceparent))
        assert put()
    untraced, traced = answer.tasks
    assert traced["httpRequest"]["headers"]["traceparent"] == traceparent
    assert "traceparent" not in untraced["httpRequest"]["headers"]


def test_task_has_its_name(answer: Answer) -> None:
    assert put()
    [task] = answer.tasks
    assert task["name"] == f"projects/demo-tasks/locations/us-central1/queues/generateImage/tasks/{NAME}"


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"code": 409, "message": "The task exists already", "status": "ALREADY_EXISTS"}}',
        "A task with the same name already exists",
    ],
    ids=["Cloud Tasks", "emulator"],
)
def test_known_name_is_not_an_outage(answer: Answer, body: str) -> None:
    answer.status, answer.body = 409, lambda _: body
    assert put() is False


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_other_errors_are_an_outage(answer: Answer, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK tries again after a 500 and a 503.
    monkeypatch.setattr("firebase_admin._http_client.DEFAULT_RETRY_CONFIG.backoff_factor", 0)
    answer.status, answer.body = status, lambda _: "{}"
    with pytest.raises(QueueUnavailable):
        put()
    assert answer.tasks


def test_names_differ_by_every_part() -> None:
    assert len({task_name("a", 0), task_name("a", 1), task_name("b", 0), task_name("a"), task_name("a", "0")}) == 5
    assert task_name("a", 0) == task_name("a", 0)


# Servers that hang

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
    queue = CloudTasks()
    yield queue
    eventually(lambda: not queue._deadlines._still_late())  # so that they do not log during other tests
    firebase_admin.delete_app(app)
    firebase_admin.initialize_app()


def is_refused(tasks: CloudTasks) -> bool:
    with pytest.raises(QueueUnavailable):
        tasks.put("generateImage", {"generationRequestId": "request"}, NAME)
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
    monkeypatch.setattr("firebase_admin._http_client.DEFAULT_RETRY_CONFIG.backoff_factor", 0)
    monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", server.host)
    calls = 3 * LATE_CALLS_MAX
    eventually(lambda: is_refused(tasks) and server.reached >= calls)

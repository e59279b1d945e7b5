"""Tests that all log lines about a request, and its webhook, belong to the trace of the call that made the request."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen.ports.image_generator import GeneratorFailed, Job
from tests.support.api import Api
from tests.support.backend import AddUser, Provider
from tests.support.orders import ORDER
from tests.support.webhooks import Receiver, TimedTaskList, deliver
from tools.fakes import ManualClock

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{'5' * 32}-{'6' * 16}-01"
LABELS, NAMED = "logging.googleapis.com/labels", "logging.googleapis.com/trace"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def queue() -> TimedTaskList:
    return TimedTaskList()


@pytest.fixture
def receiver(clock: ManualClock) -> Receiver:
    return Receiver(clock)


def logged(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capfd.readouterr()
    return [json.loads(line) for line in (captured.out + captured.err).splitlines() if line.startswith("{")]


def create(api: Api, **headers: str) -> str:
    data = {**ORDER, "mode": "async", "webhookUrl": "https://hooks.example.com"}
    answer = api.call("createGenerationRequest", data, **headers)
    assert answer.status_code == 200
    created: str = answer.get_json()["result"]["generationRequestId"]
    return created


def test_worker_and_webhook_continue_the_trace_of_the_call(
    api: Api, add_user: AddUser, queue: TimedTaskList, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=20)
    capfd.readouterr()

    request_id = create(api, traceparent=TRACEPARENT)
    _, task = queue.put_so_far[0]
    # A task of a sweep has another trace. The third delivery of a task counts two retries.
    later = {"traceparent": OTHER, "X-CloudTasks-TaskRetryCount": "2"}
    assert api.call("generateWithModelA", task, **later).status_code == 200
    assert deliver(api, queue) == 200

    lines = logged(capfd)
    assert [line["event"] for line in lines] == [
        "REQUEST_QUEUED",
        "REQUEST_STARTED",
        "REQUEST_ENDED",
        "WEBHOOK_ACCEPTED",
    ]
    assert {line[NAMED].rpartition("/")[2] for line in lines} == {TRACE}
    assert {line["logging.googleapis.com/spanId"] for line in lines} == {SPAN}
    command = "printf %s user | sha256sum | cut -c1-16"  # the command of docs/operating.md
    user_hash = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    common = {"generationRequestId": request_id, "userHash": user_hash}
    assert [line[LABELS] for line in lines] == [
        {**common, "model": ORDER["model"]},
        {**common, "model": ORDER["model"], "attempt": "3"},
        {**common, "model": ORDER["model"], "attempt": "3"},
        {**common, "attempt": "1"},
    ]
    [(_, _, headers)] = receiver.received
    assert headers["traceparent"] == TRACEPARENT


def test_sweep_continues_the_trace_of_each_request(
    api: Api, add_user: AddUser, clock: ManualClock, queue: TimedTaskList, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=20)
    ids = {create(api, traceparent=TRACEPARENT): TRACE, create(api): None}
    clock.at += timedelta(days=2)
    capfd.readouterr()

    assert api.http.post("/sweepAbandonedRequests", headers={"traceparent": OTHER}).status_code == 200

    ended = [line for line in logged(capfd) if line["event"] == "REQUEST_ENDED"]
    assert {line[LABELS]["generationRequestId"]: line.get(NAMED) for line in ended} == {
        request_id: trace and f"projects/{project_of(ended)}/traces/{trace}" for request_id, trace in ids.items()
    }


def project_of(lines: list[dict[str, Any]]) -> str:
    named: str = next(line[NAMED] for line in lines if NAMED in line)
    return named.split("/")[1]


def test_log_of_a_provider_belongs_to_its_request(
    api: Api, add_user: AddUser, provider: Provider, capfd: pytest.CaptureFixture[str]
) -> None:
    """The provider runs in a thread of its own."""

    def fail(_job: Job) -> str:
        raise RuntimeError

    provider.generate = fail
    add_user(paid=20)
    capfd.readouterr()
    api.call("createGenerationRequest", ORDER, **{"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"})
    assert {line["event"]: line[NAMED].rpartition("/")[2] for line in logged(capfd)} == {
        "PROVIDER_CRASHED": TRACE,
        "REQUEST_ENDED": TRACE,
    }


def test_lines_of_the_next_call_in_a_thread_have_their_own_labels(
    api: Api, add_user: AddUser, provider: Provider, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_job: Job) -> str:
        raise GeneratorFailed("no")

    provider.generate = fail
    add_user(paid=20)
    api.call("createGenerationRequest", ORDER, traceparent=TRACEPARENT)
    capfd.readouterr()
    assert api.call("deliverWebhook", {"deliveryId": 7}).status_code == 400
    [line] = logged(capfd)
    assert line["event"] == "TASK_NOT_DONE"
    assert LABELS not in line
    assert NAMED not in line


@pytest.mark.parametrize("name", ["traceparent", "X-Cloud-Trace-Context", "X-CloudTasks-TaskRetryCount"])
@pytest.mark.parametrize("value", ['{"severity": "zebra"}', "zebra/1;o=1", "9" * 5_000, f"{TRACEPARENT}-zebra"])
def test_hostile_headers_are_not_logged_or_sent_on(
    api: Api,
    add_user: AddUser,
    queue: TimedTaskList,
    receiver: Receiver,
    capfd: pytest.CaptureFixture[str],
    name: str,
    value: str,
) -> None:
    add_user(paid=20)
    capfd.readouterr()
    create(api, **{name: value})
    _, task = queue.put_so_far[0]
    assert api.call("generateWithModelA", task, **{name: value}).status_code == 200
    assert deliver(api, queue) == 200
    printed = "".join(capfd.readouterr())
    assert "REQUEST_ENDED" in printed
    assert "zebra" not in printed
    assert "99999999" not in printed
    assert "traceparent" not in receiver.received[0][2]

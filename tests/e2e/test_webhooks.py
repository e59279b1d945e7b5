"""Tests of webhooks under the Firebase CLI, whose tasks emulator retries them."""

import io
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from standardwebhooks import Webhook

from tests.support.live import Live, order, until
from tests.support.queue import queued, state
from tests.support.receivers import Receiver, receiving
from tools import logs
from tools.docs.examples import with_ports_of
from tools.docs.write import WEBHOOKS
from tools.emulators.ports import free_ports

[RECEIVER] = re.findall(r"```python\n(.*?)```", WEBHOOKS.read_text("utf-8"), re.DOTALL)
EXAMPLE = "".join(re.findall(r"```sh\n(.*?)```", WEBHOOKS.read_text("utf-8"), re.DOTALL))
[UNSIGNED] = re.findall(r"```console\n(.*?)```", WEBHOOKS.read_text("utf-8"), re.DOTALL)
WAIT_SECONDS = 90
"""The second attempt follows after about ten seconds. The rest is for starting processes on a busy machine."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as receiver:
        yield receiver


def deliveries(live: Live, user: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = live.result("listWebhookDeliveries", {"userId": user})["deliveries"]
    return found


def secret_of(live: Live, user: str, url: str) -> str:
    secret: str = live.result("getWebhookSecret", {"userId": user, "webhookUrl": url})["webhookSecret"]
    return secret


def test_failed_webhook_is_retried_and_delivered_webhook_is_resent(live: Live, receiver: Receiver) -> None:
    user = live.add_user(paid=10)
    receiver.answers = [500, 200]

    request_id = queued(live, user, webhookUrl=receiver.url("/hook?token=s3cret"))
    until(lambda: len(receiver.received) == 2, seconds=WAIT_SECONDS)
    until(lambda: deliveries(live, user)[0]["status"] == "delivered", seconds=30)

    [delivery] = deliveries(live, user)
    assert [attempt["statusCode"] for attempt in delivery["attempts"]] == [500, 200]
    first, second = receiver.received
    assert first.body == second.body
    event = Webhook(secret_of(live, user, receiver.url())).verify(second.body, second.headers)
    assert event["type"] == "generation.completed"
    assert event["data"] == state(live, request_id)

    live.result("resendWebhook", {"deliveryId": delivery["deliveryId"]})
    until(lambda: len(receiver.received) == 3, seconds=30)
    assert {received.headers["webhook-id"] for received in receiver.received} == {f"{request_id}-completed"}
    assert "s3cret" not in live.log()


def test_completed_and_failed_requests_send_webhooks(live: Live, receiver: Receiver) -> None:
    user = live.add_user(paid=10)
    url = receiver.url()

    assert live.create(user, webhookUrl=url).status_code == 200
    assert live.create(user, webhookUrl=url, model="Model Broken").status_code == 503
    until(lambda: len(receiver.received) == 2, seconds=30)

    secret = Webhook(secret_of(live, user, url))
    types = {secret.verify(received.body, received.headers)["type"] for received in receiver.received}
    assert types == {"generation.completed", "generation.failed"}


def test_call_of_the_delivery_worker_sends_nothing_twice(live: Live, receiver: Receiver) -> None:
    user = live.add_user(paid=10)
    live.create(user, webhookUrl=receiver.url())
    until(lambda: [delivery["status"] for delivery in deliveries(live, user)] == ["delivered"], seconds=30)
    [delivery] = deliveries(live, user)

    for attempt in ("0", "1"):
        task = {"deliveryId": delivery["deliveryId"], "attempt": attempt}
        assert live.call("deliverWebhook", task).status_code == 200
    assert live.call("deliverWebhook", {}).status_code == 400
    assert len(receiver.received) == 1


@contextmanager
def running(code: str, log: Path) -> Iterator[None]:
    """Run a Python program that writes its output to ``log``."""
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def accepts_connections(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_receiver_of_the_docs_gets_the_webhook_of_the_example(live: Live, tmp_path: Path) -> None:
    [port] = free_ports(1)
    user = live.add_user(paid=1)
    log = tmp_path / "receiver.log"
    code = RECEIVER.replace("whsec_...", secret_of(live, user, f"http://127.0.0.1:{port}/")).replace("9000", str(port))
    assert len([line for line in code.splitlines() if line]) == 10

    with running(code, log):
        until(lambda: accepts_connections(port), seconds=WAIT_SECONDS)
        unsigned = ["bash", "-c", UNSIGNED.replace("9000", str(port))]
        refused = subprocess.run(unsigned, check=False, capture_output=True, timeout=60)
        assert b"Empty reply from server" in refused.stderr
        until(lambda: "WebhookVerificationError" in log.read_text(), seconds=10)

        command = with_ports_of(live.suite, EXAMPLE).replace(":9000/", f":{port}/").replace("user-100", user)
        answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
        request_id = re.findall(r'"generationRequestId":\s*"(\w+)"', answer.stdout)[0]
        until(lambda: f"generation.completed {request_id}" in log.read_text(), seconds=WAIT_SECONDS)


def test_one_trace_from_the_call_to_the_webhook_in_the_life_of_a_request(
    live: Live, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, trace = live.add_user(paid=10), "4bf92f3577b34da6a3ce929d0e0e4736"
    data = order(user, mode="async", webhookUrl=receiver.url("/hook?token=s3cret"), prompt="a zebra")
    answer = live.send(
        "createGenerationRequest", json={"data": data}, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    )
    request_id = answer.json()["result"]["generationRequestId"]
    until(lambda: len(receiver.received) == 1, seconds=WAIT_SECONDS)
    assert receiver.received[0].headers["traceparent"].split("-")[1] == trace
    until(lambda: "WEBHOOK_ACCEPTED" in life(request_id, live, monkeypatch)[1], seconds=30)

    code, printed = life(request_id, live, monkeypatch)

    assert code == 0
    assert printed.splitlines()[0] == f"Request {request_id}, trace {trace}"
    events = ("REQUEST_QUEUED", "REQUEST_STARTED", "REQUEST_ENDED", "WEBHOOK_ACCEPTED")
    in_order = [line.split()[3] for line in printed.splitlines()[1:] if "  log " in line]
    assert in_order == list(events)
    for recorded in (
        "created userId",
        "processing",
        "completed",
        f"{request_id}-deduction",
        "attempted statusCode=204",
    ):
        assert recorded in printed
    assert "zebra" not in printed
    assert "s3cret" not in printed
    code, printed = life("unknown", live, monkeypatch)
    assert (code, printed.split(".")[0]) == (2, "There is no request 'unknown' in the running emulators")


def life(request_id: str, live: Live, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Return the exit code and the output of `make logs`."""
    output = io.StringIO()
    with monkeypatch.context() as context:
        context.chdir(live.suite.project.directory)
        context.setenv("FIRESTORE_EMULATOR_HOST", live.suite.firestore_host)
        code = logs.main([request_id], Console(file=output, width=500))
    return code, output.getvalue()

"""Alerts at a real HTTP server: signed, repeated while that helps, and never in the report's way."""

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from imagegen.domain.weeks import Week
from imagegen.reports.alerts import Alerts, Webhook
from imagegen.reports.model import Alert
from tools.emulators.ports import free_ports
from tools.fakes import ManualClock

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, no").decode()
WEEK = Week.parse("2026-W46")
ALERTS = [
    Alert("mismatch", "All balances together hold 5 credits more.", 5),
    Alert("spike/total/x/2026-11-11", "Too many.", 9),
]


@dataclass
class Server:
    """Answers with ``statuses``, the last one again and again, and keeps what came."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(state.statuses.pop(0) if len(state.statuses) > 1 else state.statuses[0])
            self.send_header("location", f"{state.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        state.url = f"http://127.0.0.1:{http.server_port}/hook?token=hidden"
        yield state
        http.shutdown()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(autouse=True)
def propagated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``logs.configure`` switches off, whatever test has called it before."""
    monkeypatch.setattr(logging.getLogger("imagegen"), "propagate", True)


def test_a_receiver_can_verify_what_it_gets(server: Server, clock: ManualClock, http: requests.Session) -> None:
    Webhook(server.url, SECRET, http, clock).send(WEEK, ALERTS)
    [(headers, body)] = server.got
    message = Receiver(SECRET).verify(body, headers)
    assert message["type"] == "weekly_report.anomalies"
    assert message["data"] == {
        "week": "2026-W46",
        "alerts": [{"id": alert.id, "message": alert.message, "credits": alert.credits} for alert in ALERTS],
    }
    with pytest.raises(WebhookVerificationError):
        Receiver(SECRET).verify(body.replace(b"9", b"8"), headers)


def test_the_same_alerts_have_the_same_message_id(server: Server, clock: ManualClock, http: requests.Session) -> None:
    webhook = Webhook(server.url, SECRET, http, clock)
    for alerts in (ALERTS, ALERTS[::-1], ALERTS[:1]):
        webhook.send(WEEK, alerts)
    webhook.send(WEEK + 1, ALERTS)
    first, second, third, fourth = (headers["webhook-id"] for headers, _ in server.got)
    assert first == second
    assert len({first, third, fourth}) == 3


def test_what_may_pass_is_tried_again_for_less_than_a_minute(
    server: Server, clock: ManualClock, http: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    server.statuses = [500, 429, 200]
    before = clock.at
    Webhook(server.url, SECRET, http, clock).send(WEEK, ALERTS)
    assert len(server.got) == 3
    assert caplog.records == []
    server.statuses = [503]
    Webhook(server.url, SECRET, http, clock).send(WEEK, ALERTS)
    assert len(server.got) == 3 + 4
    assert 3 <= (clock.at - before).total_seconds() < 30
    assert "503" in caplog.text


@pytest.mark.parametrize("status", [301, 400, 410])
def test_a_refusal_is_final_and_logged(
    server: Server, clock: ManualClock, http: requests.Session, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.statuses = [status]
    Webhook(server.url, SECRET, http, clock).send(WEEK, ALERTS)
    assert len(server.got) == 1
    assert str(status) in caplog.text


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        (f"http://127.0.0.1:{free_ports(1)[0]}/token=hidden", SECRET),
        ("no url, token=hidden", SECRET),
        ("http://[broken/token=hidden", SECRET),
        ("http://127.0.0.1:1/", ""),
        ("http://127.0.0.1:1/", "whsec_hidden, and not base64 at all"),
        ("http://127.0.0.1:1/", "whsec_hiddenä"),
    ],
    ids=["nobody there", "no URL", "a broken URL", "no secret", "no base64", "no ASCII"],
)
def test_nothing_of_it_stops_a_report_or_gets_into_the_log(
    clock: ManualClock, http: requests.Session, caplog: pytest.LogCaptureFixture, url: str, secret: str
) -> None:
    Alerts([Webhook(url, secret, http, clock)]).announce(WEEK, ALERTS)
    assert "did not reach REPORT_WEBHOOK_URL" in caplog.text
    assert "hidden" not in caplog.text
    assert SECRET not in caplog.text


def test_a_webhook_is_there_where_its_url_is_set(clock: ManualClock) -> None:
    assert Webhook.named({"REPORT_WEBHOOK_SECRET": SECRET}, clock) == []
    [webhook] = Webhook.named({"REPORT_WEBHOOK_URL": " https://x ", "REPORT_WEBHOOK_SECRET": SECRET}, clock)
    assert (webhook.url, webhook.secret) == ("https://x", SECRET)


def test_a_report_without_alerts_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Alerts().announce(WEEK, [])
    assert caplog.records == []
    Alerts().announce(WEEK, ALERTS)
    [record] = caplog.records
    assert json.loads(json.dumps(record.__dict__["json_fields"]))["event"] == "WEEKLY_REPORT_ANOMALY"

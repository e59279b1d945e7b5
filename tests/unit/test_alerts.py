"""Tests of the report's alerts, sent to a real HTTP server."""

import base64
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from imagegen.adapters.http_webhook_sender import HttpWebhookSender, Reach
from imagegen.bootstrap import alert_channels
from imagegen.domain.weeks import Week
from imagegen.ports.webhook_sender import Answer, Forbidden, Undelivered, Unreachable
from imagegen.reports.alerts import ATTEMPTS, TIMEOUT_SECONDS, Alerts, AlertWebhook
from imagegen.reports.model import Alert
from tests.support.receivers import Receiver, receiving, verified
from tests.support.times import NOON
from tools.emulators.ports import free_ports
from tools.fakes import ManualClock

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, no").decode()
WEEK = Week.parse("2026-W46")
ALERTS = [
    Alert("mismatch", "All balances together hold 5 credits more.", 5),
    Alert("spike/total/x/2026-11-11", "Too many.", 9),
]
PATH = "/hook?token=hidden"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def webhook(receiver: Receiver, clock: ManualClock) -> AlertWebhook:
    return AlertWebhook(receiver.url(PATH), SECRET, HttpWebhookSender(Reach.PRIVATE), clock)


@pytest.fixture(autouse=True)
def propagated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Propagate log records to ``caplog``. ``logs.configure``, which another test may have called, turns this off."""
    monkeypatch.setattr(logging.getLogger("imagegen"), "propagate", True)


def logged(caplog: pytest.LogCaptureFixture) -> object:
    """Return the problem in the only event of the log."""
    [record] = caplog.records
    assert (record.levelname, record.__dict__["event"]) == ("ERROR", "ALERTS_NOT_DELIVERED")
    return record.__dict__["fields"]["problem"]


def test_receiver_can_verify_alert(receiver: Receiver, webhook: AlertWebhook, clock: ManualClock) -> None:
    webhook.send(WEEK, ALERTS)
    [received] = receiver.received
    message = verified(SECRET, received.body, received.headers, clock.at)
    assert message["type"] == "weekly_report.anomalies"
    assert message["data"] == {
        "week": "2026-W46",
        "alerts": [{"id": alert.id, "message": alert.message, "credits": alert.credits} for alert in ALERTS],
    }
    with pytest.raises(WebhookVerificationError):
        verified(SECRET, received.body.replace(b"9", b"8"), received.headers, clock.at)


def test_same_alerts_have_same_message_id(receiver: Receiver, webhook: AlertWebhook) -> None:
    for alerts in (ALERTS, ALERTS[::-1], ALERTS[:1]):
        webhook.send(WEEK, alerts)
    webhook.send(WEEK + 1, ALERTS)
    first, second, third, fourth = (received.headers["webhook-id"] for received in receiver.received)
    assert first == second
    assert len({first, third, fourth}) == 3


def test_temporary_error_is_retried_for_less_than_a_minute(
    receiver: Receiver, webhook: AlertWebhook, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500, 429, 200]
    before = clock.at
    webhook.send(WEEK, ALERTS)
    assert len(receiver.received) == 3
    assert caplog.records == []
    receiver.answers = [503]
    webhook.send(WEEK, ALERTS)
    assert len(receiver.received) == 3 + 4
    assert 3 <= (clock.at - before).total_seconds() < 30
    assert logged(caplog) == "the receiver answered 503"


@pytest.mark.parametrize("status", [301, 400, 410])
def test_refusal_is_final_and_logged(
    receiver: Receiver, webhook: AlertWebhook, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    receiver.answers = [status]
    webhook.send(WEEK, ALERTS)
    assert len(receiver.received) == 1
    assert logged(caplog) == f"the receiver answered {status}"


@dataclass
class Failing:
    """A sender that uses its full timeout, then fails."""

    clock: ManualClock
    error: Undelivered
    attempts: int = 0

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        self.attempts += 1
        self.clock.sleep(TIMEOUT_SECONDS)
        raise self.error


@pytest.mark.parametrize(("error", "attempts"), [(Unreachable("slow"), ATTEMPTS), (Forbidden("no"), 1)], ids=str)
def test_unreachable_receiver_is_retried_and_forbidden_one_is_not(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, error: Undelivered, attempts: int
) -> None:
    sender, before = Failing(clock, error), clock.at
    AlertWebhook("https://x", SECRET, sender, clock).send(WEEK, ALERTS)
    assert sender.attempts == attempts
    assert (clock.at - before).total_seconds() <= 34
    assert logged(caplog) == str(error)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        (f"http://127.0.0.1:{free_ports(1)[0]}/token=hidden", SECRET),
        ("no url, token=hidden", SECRET),
        ("http://[broken/token=hidden", SECRET),
        ("ftp://127.0.0.1/token=hidden", SECRET),
        ("http://8.8.8.8/token=hidden", SECRET),
        ("http://127.0.0.1:1/", ""),
        ("http://127.0.0.1:1/", "whsec_hidden, and not base64 at all"),
        ("http://127.0.0.1:1/", "whsec_hiddenä"),
    ],
    ids=[
        "nobody there",
        "no URL",
        "a broken URL",
        "no http",
        "a public address by http",
        "no secret",
        "no base64",
        "no ASCII",
    ],
)
def test_failed_alert_neither_raises_nor_logs_secrets(
    clock: ManualClock, caplog: pytest.LogCaptureFixture, url: str, secret: str
) -> None:
    Alerts([AlertWebhook(url, secret, HttpWebhookSender(Reach.PRIVATE), clock)]).announce(WEEK, ALERTS)
    found, problem = (record.__dict__["fields"] for record in caplog.records)
    assert found["alerts"][0]["message"] == ALERTS[0].message
    assert "hidden" not in json.dumps(problem)
    assert SECRET not in json.dumps(problem)


def test_report_webhook_url_enables_alerts(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, clock: ManualClock
) -> None:
    monkeypatch.setenv("REPORT_WEBHOOK_SECRET", f" {SECRET} ")
    monkeypatch.delenv("REPORT_WEBHOOK_URL", raising=False)
    assert alert_channels(clock) == []
    monkeypatch.setenv("REPORT_WEBHOOK_URL", f" {receiver.url(PATH)} ")
    monkeypatch.setenv("ALLOW_LOCAL_WEBHOOKS", "false")  # applies only to users' webhooks
    Alerts(alert_channels(clock)).announce(WEEK, ALERTS)
    [received] = receiver.received
    assert received.path == PATH
    verified(SECRET, received.body, received.headers, clock.at)


def test_report_without_alerts_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Alerts().announce(WEEK, [])
    assert caplog.records == []
    Alerts().announce(WEEK, ALERTS)
    [record] = caplog.records
    assert (record.levelname, record.__dict__["event"]) == ("WARNING", "WEEKLY_REPORT_ANOMALY")
    assert record.__dict__["fields"]["week"] == "2026-W46"

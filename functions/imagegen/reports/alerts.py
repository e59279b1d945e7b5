"""Tells somebody about a report's new alerts: in the log, and at a webhook where one is set."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import requests
from standardwebhooks import Webhook as Signature
from standardwebhooks.webhooks import EmptyWebhookSecretError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from imagegen.domain.weeks import Week
from imagegen.ports.clock import Clock
from imagegen.reports.model import Alert

ALERT = "WEEKLY_REPORT_ANOMALY"
"""What log-based alerting matches on: ``jsonPayload.event="WEEKLY_REPORT_ANOMALY"``."""

ATTEMPTS = 4
LONGEST_PAUSE_SECONDS = 6
TIMEOUT_SECONDS = (2, 4)  # to connect, and to answer; all attempts with their pauses take 36 seconds at most
AGAIN = (requests.codes.request_timeout, requests.codes.too_many_requests)

log = logging.getLogger(__name__)


class Channel(Protocol):
    def send(self, week: Week, alerts: Sequence[Alert]) -> None:
        """Pass on at least one alert. Never raises for what is beyond our control; that is logged."""


class Undelivered(Exception):
    """The receiver could not be reached or did not take it; ``final`` ones would not take it later either."""


class NotNow(Undelivered):
    """It may do so later."""


@dataclass(frozen=True)
class Alerts:
    """The log always, and the ``channels``."""

    channels: Sequence[Channel] = ()

    def announce(self, week: Week, alerts: Sequence[Alert]) -> None:
        """One warning for all ``alerts`` together; silent without any."""
        if not alerts:
            return
        fields = {"event": ALERT, **payload(week, alerts)}
        messages = " ".join(alert.message for alert in alerts)
        log.warning("%s %s: %s", ALERT, week, messages, extra={"json_fields": fields})
        for channel in self.channels:
            channel.send(week, alerts)


@dataclass(frozen=True)
class Webhook:
    """A URL that gets alerts by POST, signed as in https://www.standardwebhooks.com with a ``whsec_...`` secret.

    The message id is the same for the same alerts, so a receiver can drop what it has already. Neither URL nor secret
    is logged: such a URL often holds a secret of its own.
    """

    url: str
    secret: str
    http: requests.Session
    clock: Clock

    @classmethod
    def named(cls, environment: Mapping[str, str], clock: Clock) -> list[Self]:
        """The one of REPORT_WEBHOOK_URL and REPORT_WEBHOOK_SECRET, if set."""
        url = environment.get("REPORT_WEBHOOK_URL", "").strip()
        secret = environment.get("REPORT_WEBHOOK_SECRET", "").strip()
        return [cls(url, secret, requests.Session(), clock)] if url else []

    def send(self, week: Week, alerts: Sequence[Alert]) -> None:
        ids = "\n".join(sorted(alert.id for alert in alerts))
        message_id = f"weekly-report-{week}-{hashlib.sha256(ids.encode()).hexdigest()[:16]}"
        now = self.clock.now()
        message = {"type": "weekly_report.anomalies", "timestamp": now.isoformat(), "data": payload(week, alerts)}
        body = json.dumps(message)
        attempts = Retrying(
            retry=retry_if_exception_type(NotNow),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(initial=1, max=LONGEST_PAUSE_SECONDS),
            sleep=self.clock.sleep,
            reraise=True,
        )
        try:
            attempts(self._post, message_id, body)
        except Undelivered as problem:
            log.error("The alerts of week %s did not reach REPORT_WEBHOOK_URL: %s", week, problem)

    def _post(self, message_id: str, body: str) -> None:
        now = self.clock.now()
        try:
            signature = Signature(self.secret).sign(message_id, now, body)
        except (EmptyWebhookSecretError, ValueError):
            raise Undelivered("REPORT_WEBHOOK_SECRET is no base64 text with or without whsec_ before it") from None
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            # Streamed: what it answers is not read, however long it is. A redirect would pass on what is signed.
            with self.http.post(
                self.url, body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except (requests.ConnectionError, requests.Timeout) as error:
            raise NotNow(type(error).__name__) from None
        except requests.RequestException as error:
            raise Undelivered(type(error).__name__) from None
        if status >= requests.codes.server_error or status in AGAIN:
            raise NotNow(f"it answered {status}")
        if not 200 <= status < 300:
            raise Undelivered(f"it answered {status}")


def payload(week: Week, alerts: Sequence[Alert]) -> dict[str, object]:
    return {
        "week": str(week),
        "alerts": [{"id": alert.id, "message": alert.message, "credits": alert.credits} for alert in alerts],
    }

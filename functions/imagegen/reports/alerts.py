"""Sends a report's new alerts: to the log, and to the operator's webhook if one is set."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from imagegen.domain.webhooks import is_accepted
from imagegen.domain.weeks import Week
from imagegen.ports.clock import Clock
from imagegen.ports.webhook_sender import Undelivered, Unreachable, WebhookSender
from imagegen.reports.model import Alert
from imagegen.services.webhooks.signing import Event, InvalidSecret, send_signed

ALERT = "WEEKLY_REPORT_ANOMALY"
"""What log-based alerting matches on: ``jsonPayload.event="WEEKLY_REPORT_ANOMALY"``."""

ATTEMPTS = 4
LONGEST_PAUSE_SECONDS = 6
TIMEOUT_SECONDS = 6.0
"""For each attempt. All of them take 34 seconds at most, with the pauses and without looking up the name."""

RETRIED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
"""Besides the statuses of 500 and more."""

log = logging.getLogger(__name__)


class Channel(Protocol):
    def send(self, week: Week, alerts: Sequence[Alert]) -> None:
        """Pass on at least one alert. Never raises for what is beyond our control; that is logged."""


class Refused(Undelivered):
    """The receiver did not accept the alerts, and would not accept them later."""


class RefusedForNow(Undelivered):
    """The receiver did not accept the alerts, and may accept them later."""


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
class AlertWebhook:
    """A URL that gets alerts as a signed webhook.

    The event's id is the same for the same alerts, so a receiver can drop what it has already. Neither URL nor secret
    is logged: such a URL often holds a secret of its own.
    """

    url: str
    secret: str
    sender: WebhookSender
    clock: Clock

    def send(self, week: Week, alerts: Sequence[Alert]) -> None:
        ids = "\n".join(sorted(alert.id for alert in alerts))
        event = Event(
            id=f"weekly-report-{week}-{hashlib.sha256(ids.encode()).hexdigest()[:16]}",
            type="weekly_report.anomalies",
            created_at=self.clock.now(),
            data=payload(week, alerts),
        )
        attempts = Retrying(
            retry=retry_if_exception_type((Unreachable, RefusedForNow)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(initial=1, max=LONGEST_PAUSE_SECONDS),
            sleep=self.clock.sleep,
            reraise=True,
        )
        try:
            attempts(self._attempt, event)
        except (Undelivered, InvalidSecret) as problem:
            log.error("The alerts of week %s did not reach REPORT_WEBHOOK_URL: %s", week, problem)

    def _attempt(self, event: Event) -> None:
        """Send once. Raises Undelivered and InvalidSecret."""
        status = send_signed(self.sender, self.url, self.secret, event, self.clock.now())
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in RETRIED:
            raise RefusedForNow(f"it answered {status}")
        if not is_accepted(status):
            raise Refused(f"it answered {status}")


def payload(week: Week, alerts: Sequence[Alert]) -> dict[str, object]:
    return {
        "week": str(week),
        "alerts": [{"id": alert.id, "message": alert.message, "credits": alert.credits} for alert in alerts],
    }

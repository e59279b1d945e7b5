"""Sends a report's new alerts: to the log, and to the operator's webhook if one is set."""

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Protocol

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.domain.webhooks import is_accepted
from imagegen.domain.weeks import Week
from imagegen.events import SafeText
from imagegen.ports.clock import Clock
from imagegen.ports.webhook_sender import Undelivered, Unreachable, WebhookSender
from imagegen.reports.model import Alert
from imagegen.services.webhooks.signing import Event, InvalidSecret, send_signed

ATTEMPTS = 4
MAX_DELAY_SECONDS = 6
TIMEOUT_SECONDS = 6.0
"""The timeout of each attempt. All attempts and delays take at most 34 seconds, without name resolution."""

RETRIED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
"""The statuses that are retried, in addition to those from 500."""


class Channel(Protocol):
    """A destination of alerts."""

    def send(self, week: Week, alerts: Sequence[Alert]) -> None:
        """Send the alerts, of which there is at least one. Log failures of the receiver instead of raising them."""


class Refused(Undelivered):
    """The receiver did not accept the alerts, and would not accept them later."""


class RefusedForNow(Undelivered):
    """The receiver did not accept the alerts, and may accept them later."""


@dataclass(frozen=True)
class Alerts:
    """Sends alerts to the log and to all ``channels``."""

    channels: Sequence[Channel] = ()

    def announce(self, week: Week, alerts: Sequence[Alert]) -> None:
        """Log one warning for all ``alerts`` and send them to each channel. Do nothing without alerts."""
        if not alerts:
            return
        events.warning(events.Event.WEEKLY_REPORT_ANOMALY, **payload(week, alerts))
        for channel in self.channels:
            channel.send(week, alerts)


@dataclass(frozen=True)
class AlertWebhook:
    """Sends alerts to a URL as a signed webhook.

    The same alerts have the same event id, so a receiver can drop duplicates. The URL and the secret are not logged,
    because such a URL often contains a secret of its own.
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
            wait=wait_exponential_jitter(initial=1, max=MAX_DELAY_SECONDS),
            sleep=self.clock.sleep,
            reraise=True,
        )
        try:
            attempts(self._attempt, event)
        except (Undelivered, InvalidSecret) as problem:
            events.error(events.Event.ALERTS_NOT_DELIVERED, week=str(week), problem=SafeText(problem))

    def _attempt(self, event: Event) -> None:
        """Send the event once. Raises Undelivered and InvalidSecret."""
        status = send_signed(self.sender, self.url, [self.secret], event, self.clock.now()).status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in RETRIED:
            raise RefusedForNow(f"the receiver answered {status}")
        if not is_accepted(status):
            raise Refused(f"the receiver answered {status}")


def payload(week: Week, alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return the alerts as JSON data."""
    return {
        "week": str(week),
        "alerts": [
            {"id": SafeText(alert.id), "message": SafeText(alert.message), "credits": alert.credits} for alert in alerts
        ],
    }

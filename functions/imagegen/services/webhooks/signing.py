"""Signs and sends events as specified by Standard Webhooks (https://www.standardwebhooks.com)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from imagegen import tracing
from imagegen.dataclass import dataclass
from imagegen.domain.times import rfc3339
from imagegen.ports.webhook_sender import Answer, WebhookSender


class InvalidSecret(Exception):
    """The secret is not base64 text with an optional ``whsec_`` prefix. Nothing was sent."""


@dataclass(frozen=True)
class Event:
    """A message to a receiver. The receiver can use ``id`` to drop duplicates."""

    id: str
    type: str
    created_at: datetime
    data: Mapping[str, Any]


def send_signed(sender: WebhookSender, url: str, secrets: Sequence[str], event: Event, at: datetime) -> Answer:
    """Send ``event`` once, signed with each of ``secrets`` as of ``at``, with the current trace. Return the answer.

    Raises InvalidSecret, Forbidden and Unreachable.
    """
    try:
        keys = [Webhook(secret) for secret in secrets]
    except (EmptyWebhookSecretError, ValueError):
        raise InvalidSecret("the secret is not base64 text with an optional whsec_ prefix") from None
    message = {
        "type": event.type,
        "timestamp": rfc3339(event.created_at),
        "data": event.data,
    }
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    headers = {
        "content-type": "application/json",
        "webhook-id": event.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(key.sign(event.id, at, body) for key in keys),
        **tracing.headers(),
    }
    return sender.send(url, body, headers)

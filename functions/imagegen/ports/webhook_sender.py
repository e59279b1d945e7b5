"""The seam between the product and the receivers of its webhooks."""

from collections.abc import Mapping
from typing import Protocol


class Undelivered(Exception):
    """No answer came; the message says why, and names nothing private."""


class Unreachable(Undelivered):
    """It could not be reached, or took too long."""


class Forbidden(Undelivered):
    """Webhooks may not go to this URL, or it is not one. Nothing was sent."""


class WebhookSender(Protocol):
    """``HttpWebhookSender`` is the real one."""

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> int:
        """The HTTP status that a POST was answered with, a redirect's included. Raises Unreachable and Forbidden."""

"""The port to the receivers of webhooks."""

from collections.abc import Mapping
from typing import Protocol


class Undelivered(Exception):
    """The receiver did not answer. The message gives the reason and contains nothing private."""


class Unreachable(Undelivered):
    """The receiver could not be reached, or took too long."""


class Forbidden(Undelivered):
    """The URL is invalid, or webhooks may not go to it. Nothing was sent."""


class WebhookSender(Protocol):
    """A sender of webhooks. ``HttpWebhookSender`` implements it."""

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> int:
        """Send a POST and return the HTTP status of the answer, without following redirects.

        Raises Unreachable and Forbidden.
        """

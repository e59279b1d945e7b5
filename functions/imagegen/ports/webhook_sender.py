"""The port to the receivers of webhooks."""

from collections.abc import Mapping
from typing import Protocol

from imagegen.dataclass import dataclass


class Undelivered(Exception):
    """The receiver did not answer. The message gives the reason and contains nothing private."""


class Unreachable(Undelivered):
    """The receiver could not be reached, or took too long."""


class Forbidden(Undelivered):
    """The URL is invalid, or webhooks may not go to it. Nothing was sent."""


@dataclass(frozen=True)
class Answer:
    """A receiver's answer: the HTTP status, and the Retry-After header as received, if there is one."""

    status_code: int
    retry_after: str | None = None


class WebhookSender(Protocol):
    """A sender of webhooks. ``HttpWebhookSender`` implements it."""

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        """Send a POST and return the answer, without following redirects.

        Raises Unreachable and Forbidden.
        """

"""Webhook endpoints: URLs that get a webhook for each event of a user, without being named in each request."""

from enum import StrEnum

from imagegen.dataclass import dataclass

ENDPOINTS_MAX = 20
"""The number of endpoints that a user can have."""


class EventType(StrEnum):
    """The types of events. The first three name the status of the request that has ended."""

    COMPLETED = "generation.completed"
    FAILED = "generation.failed"
    CANCELED = "generation.canceled"
    GIVEN_UP = "webhook.given_up"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as listed in its user's document. Without ``events``, it gets all events.

    An endpoint that was given up is disabled, until its user creates it again.
    """

    id: str
    url: str
    events: tuple[EventType, ...] = ()
    enabled: bool = True

    def wants(self, type: str) -> bool:
        """Return whether the endpoint gets events of this type."""
        return self.enabled and (not self.events or type in self.events)

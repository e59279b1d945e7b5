"""Conversion of the endpoints that a user's document and a request list."""

from collections.abc import Iterable
from typing import Any

from imagegen.documents.fields import Fields
from imagegen.domain.endpoints import Endpoint, EventType

ENDPOINTS = "webhookEndpoints"
"""The field of a user and of a request. It is missing without endpoints."""


def endpoint_fields(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the field with the endpoints."""
    return {
        ENDPOINTS: [
            {
                "id": endpoint.id,
                "url": endpoint.url,
                "events": [event.value for event in endpoint.events],
                "enabled": endpoint.enabled,
            }
            for endpoint in endpoints
        ]
    }


def endpoints_of(fields: Fields) -> tuple[Endpoint, ...]:
    """Return the endpoints. Raises Unreadable, also if two have the same id: their webhooks would be one document."""
    if fields.optional(ENDPOINTS, list) is None:
        return ()
    endpoints = tuple(
        Endpoint(
            id=endpoint.id("id"),
            url=endpoint.read("url", str),
            events=endpoint.members("events", EventType),
            enabled=endpoint.read("enabled", bool),
        )
        for endpoint in fields.maps(ENDPOINTS)
    )
    if len({endpoint.id for endpoint in endpoints}) < len(endpoints):
        fields.refuse(ENDPOINTS)
    return endpoints

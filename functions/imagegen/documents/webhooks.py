"""Conversion of webhook deliveries to and from Firestore documents."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import EXPIRE_AT, Fields
from imagegen.domain.trace import trace_of
from imagegen.domain.webhooks import Attempt, Delivery, DeliveryStatus
from imagegen.ports.database import Create, Snapshot, Update

DELIVERIES = "webhookDeliveries"

_MILLISECOND = timedelta(milliseconds=1)

_NUMBER_MAX = 2**53
"""The largest number of attempts and of milliseconds. JSON has no larger exact integers. Much larger ones overflow."""


def delivery_path(delivery_id: str) -> str:
    return f"{DELIVERIES}/{delivery_id}"


def create_delivery(delivery: Delivery) -> Create:
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": delivery.user_id,
        "generationRequestId": delivery.generation_request_id,
        "url": delivery.url,
        "type": delivery.type,
        "endpointId": delivery.endpoint_id,
        "data": delivery.data,
        "createdAt": delivery.created_at,
        **_progress(delivery),
        **({} if delivery.trace is None else {"traceparent": delivery.trace.traceparent}),
    }
    return Create(delivery_path(delivery.id), data)


def update_delivery(document: Snapshot, delivery: Delivery) -> Update:
    """Return the update of the fields that change, on the condition that the document is unchanged."""
    assert document.version is not None, "only a delivery that was read can be updated"
    return Update(document.path, _progress(delivery), document.version)


def delivery_of(document: Snapshot) -> Delivery:
    """Return the delivery. Raises Unreadable, also if nothing can be sent for it."""
    fields = Fields.of(document)
    if not document.id.isascii():
        fields.refuse("(id)")  # it is sent in a header
    return Delivery(
        id=document.id,
        user_id=fields.id("userId"),
        generation_request_id=fields.id("generationRequestId"),
        url=_url_of(fields),
        type=fields.read("type", str),
        created_at=fields.read("createdAt", datetime),
        next_attempt_at=fields.read("nextAttemptAt", datetime),
        give_up_at=fields.read("giveUpAt", datetime),
        status=fields.read("status", DeliveryStatus),
        claimed_by=fields.nullable("worker", str),
        attempt_count=fields.amount("attemptCount", limit=_NUMBER_MAX),
        attempts=tuple(_attempt_of(attempt) for attempt in fields.maps("attempts")),
        resent_at=fields.optional("resentAt", datetime),
        resends_earned_at=fields.optional("resendsEarnedAt", datetime),
        endpoint_id=None if fields.optional("endpointId", str) is None else fields.id("endpointId"),
        data=_data_of(fields),
        receiver_given_up=fields.defaulted("receiverGivenUp", False),
        trace=trace_of(fields.optional("traceparent", str)),
    )


def _url_of(fields: Fields) -> str:
    url = fields.read("url", str)
    try:
        urlsplit(url)
    except ValueError:
        fields.refuse("url")
    return url


def _data_of(fields: Fields) -> dict[str, Any] | None:
    data = fields.optional("data", dict)
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError):
        fields.refuse("data")
    return data


def _progress(delivery: Delivery) -> dict[str, Any]:
    return {
        "status": delivery.status.value,
        "worker": delivery.claimed_by,
        "nextAttemptAt": delivery.next_attempt_at,
        "giveUpAt": delivery.give_up_at,
        "attemptCount": delivery.attempt_count,
        "attempts": [_attempt(attempt) for attempt in delivery.attempts],
        "resentAt": delivery.resent_at,
        "resendsEarnedAt": delivery.resends_earned_at,
        "receiverGivenUp": delivery.receiver_given_up,
        EXPIRE_AT: delivery.expires_at,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": attempt.at,
        "durationMs": attempt.duration // _MILLISECOND,
        "statusCode": attempt.status_code,
        "error": attempt.error,
    }


def _attempt_of(fields: Fields) -> Attempt:
    return Attempt(
        at=fields.read("at", datetime),
        duration=fields.amount("durationMs", limit=_NUMBER_MAX) * _MILLISECOND,
        status_code=fields.nullable("statusCode", int),
        error=fields.nullable("error", str),
    )

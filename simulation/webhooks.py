"""Checks webhooks after a run: events, payloads, signatures, recorded attempts, retries and resends."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from standardwebhooks import Webhook

from imagegen.api.generation_details import GenerationRequestDetails
from imagegen.documents.generations import REQUESTS, request_of
from imagegen.documents.secrets import WEBHOOK_SECRETS, webhook_secrets_of
from imagegen.documents.webhooks import DELIVERIES, delivery_of
from imagegen.domain.endpoints import EventType
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.receivers import origin_of, receiver_id
from imagegen.domain.webhooks import (
    ATTEMPTS_KEPT,
    FIRST_DELAY,
    LONGEST_DELAY,
    RETRY_AFTER_MAX,
    RETRY_WINDOW,
    Attempt,
    Delivery,
    DeliveryStatus,
)
from imagegen.ports.database import Database
from imagegen.services.unreadable import read_or_log
from imagegen.services.webhooks.secrets import derived
from simulation.checks import Requests, Violation
from simulation.receiver import SentEvent

LATENESS_MAX = timedelta(minutes=1)
"""The longest delay of an attempt in a run without faults. It is shorter than the time until a sweep."""

TASKS_PER_ATTEMPT_MAX = 3
"""The tasks of an attempt: one when it is planned, one when it is resent, and one for a simultaneous resend."""


def described(request: GenerationRequest) -> dict[str, Any]:
    """Return the data of a request that the delivery worker sends."""
    return GenerationRequestDetails.of(request).wire()


def deliveries_of(database: Database) -> list[Delivery]:
    return [delivery_of(document) for document in database.scan(DELIVERIES)]


def unfinished(database: Database) -> int:
    """Return the number of requests and deliveries that a sweep may recover, twice if a request left files.

    Bad documents are not counted.
    """
    requests = [read_or_log(request_of, document) for document in database.scan(REQUESTS)]
    deliveries = [read_or_log(delivery_of, document) for document in database.scan(DELIVERIES)]
    return sum(request.is_open + (request.delete_images_at is not None) for request in requests if request) + sum(
        delivery is not None and delivery.is_pending for delivery in deliveries
    )


@dataclass(frozen=True)
class ObservedDelivery:
    """A delivery, the events that were sent for it, and the number of calls that resend it."""

    delivery: Delivery
    sent: Sequence[SentEvent]
    resends: int

    @cached_property
    def name(self) -> str:
        return f"{self.delivery.id}, {self.delivery.status} after {self.delivery.attempt_count} attempts,"


def observed_deliveries(
    deliveries: Iterable[Delivery], sent: Sequence[SentEvent], resends: Counter[str]
) -> list[ObservedDelivery]:
    """Return each delivery with its sent events. ``resends`` has the number of calls for each request."""
    return [
        ObservedDelivery(
            delivery, [event for event in sent if event.id == delivery.id], resends[delivery.generation_request_id]
        )
        for delivery in deliveries
    ]


def broken_invariants(
    database: Database, requests: Requests, observed: Sequence[ObservedDelivery]
) -> Iterator[Violation]:
    """Yield the violations of invariants that hold in every run."""
    yield from _wrong_events(requests, (item.delivery for item in observed))
    keys = {document.id: webhook_secrets_of(document).key for document in database.scan(WEBHOOK_SECRETS)}
    for item in observed:
        yield from _wrong_payloads(item, requests, keys)
        yield from _wrong_attempts(item)
        yield from _wrong_ends(item)
        yield from _early_attempts(item)


def duplicate_or_late(observed: Iterable[ObservedDelivery], *, has_delays: bool) -> Iterator[Violation]:
    """Yield the deliveries that were sent twice or late in a run without faults.

    ``has_delays`` is whether the queue can delay tasks. Where an attempt failed, the other deliveries to the receiver
    may be late, because the receiver was paused.
    """
    items = list(observed)
    made = Counter(map(_receiver_of, items))
    failing = {_receiver_of(item) for item in items if not all(a.succeeded for a in item.delivery.attempts)}
    for item in items:
        if len(item.sent) != item.delivery.attempt_count:
            yield Violation("ONCE", f"{item.name} was sent {len(item.sent)} times")
        receiver = _receiver_of(item)
        if not item.resends and (made[receiver] == 1 or receiver not in failing):
            yield from _late_attempts(item, has_delays=has_delays)


def _receiver_of(item: ObservedDelivery) -> str:
    return receiver_id(item.delivery.user_id, origin_of(item.delivery.url))


def concurrent_sends(observed: Iterable[ObservedDelivery]) -> Iterator[Violation]:
    """Yield the deliveries that were sent twice simultaneously, in a run in which no process outlives its lease."""
    for item in observed:
        for one, other in pairwise(item.sent):
            if one.ended_us and other.began_us < one.ended_us:
                yield Violation("LEASE", f"{item.name} was sent twice simultaneously, at {one.at} and {other.at}")


def needless_tasks(
    names: Mapping[tuple[str, str], Collection[str]], renewals: Mapping[tuple[str, str], int]
) -> Iterator[Violation]:
    """Yield the requests and attempts with more tasks than they need, however often their user calls.

    ``names`` are the names of all tasks. Each of ``renewals``, which are claims and sweeps, may lead to another task.
    """
    for (id, attempt), put in names.items():
        if len(put) > renewals.get((id, attempt), 0) + (TASKS_PER_ATTEMPT_MAX if attempt else 1):
            yield Violation("QUEUE", f"{len(put)} tasks were put on the queue for {id}, attempt {attempt or 'none'}")


def _wrong_events(requests: Requests, deliveries: Iterable[Delivery]) -> Iterator[Violation]:
    """Yield the ended requests without a delivery, and the deliveries that do not match an ended request."""
    expected: Counter[tuple[str, str, str, str]] = Counter()
    for request in requests.values():
        if request.finished_at is None:
            continue
        id, type = f"{request.id}-{request.status}", f"generation.{request.status}"
        if request.webhook_url:
            expected[id, request.user_id, request.webhook_url, type] += 1
        for endpoint in request.webhook_endpoints:
            if not endpoint.events or type in endpoint.events:
                expected[f"{id}-{endpoint.id}", request.user_id, endpoint.url, type] += 1
    found = Counter(
        (delivery.id, delivery.user_id, delivery.url, delivery.type)
        for delivery in deliveries
        if delivery.type != EventType.GIVEN_UP
    )
    for event in expected - found:
        yield Violation("EVENT", f"there is no delivery {event}")
    for event in found - expected:
        yield Violation("EVENT", f"there is an unexpected delivery {event}")


def _wrong_payloads(
    item: ObservedDelivery, requests: Requests, keys: Mapping[str, bytes | None]
) -> Iterator[Violation]:
    """Yield the sent events that differ from their request, or that are not signed with their receiver's secret."""
    delivery = item.delivery
    request = requests[delivery.generation_request_id]
    for event in item.sent:
        body = json.loads(event.body)
        data = described(request) if delivery.data is None else delivery.data
        type = f"generation.{request.status}" if delivery.data is None else EventType.GIVEN_UP
        if (body["type"], body["data"]) != (type, data):
            yield Violation("TRUTH", f"{event.body} was sent, but the database has {request}")
        key = keys[delivery.user_id]
        assert key is not None, "the first webhook creates it"
        secret = derived(key, delivery.endpoint_id or receiver_id(delivery.user_id, origin_of(delivery.url)), 0)
        signed = Webhook(secret).sign(event.id, datetime.fromtimestamp(event.at, UTC), event.body)
        if event.headers["webhook-signature"] != signed:
            yield Violation("SIGNATURE", f"{event.headers} do not verify")


def _wrong_attempts(item: ObservedDelivery) -> Iterator[Violation]:
    """Yield the recorded attempts that were not made or ended differently, and wrong numbers of attempts."""
    delivery = item.delivery
    recorded = Counter((int(attempt.at.timestamp()), attempt.status_code) for attempt in delivery.attempts)
    for attempt in recorded - Counter((event.at, event.status_code) for event in item.sent):
        yield Violation("RECORD", f"{item.name} records {attempt}, which was not made")
    if delivery.attempt_count > len(item.sent):
        yield Violation("RECORD", f"{item.name} was only sent {len(item.sent)} times")
    if len(delivery.attempts) != min(delivery.attempt_count, ATTEMPTS_KEPT):
        yield Violation("RECORD", f"{item.name} records {len(delivery.attempts)} attempts")


def _wrong_ends(item: ObservedDelivery) -> Iterator[Violation]:
    """Yield a delivery that is still pending, is wrongly recorded as delivered, or was given up too early."""
    delivery = item.delivery
    if delivery.is_pending:
        yield Violation("LIVENESS", f"{item.name} stays pending")
        return
    last = delivery.attempts[-1] if delivery.attempts else None
    if last is None:
        if delivery.next_attempt_at <= delivery.give_up_at:
            yield Violation("RETRY_WINDOW", f"{item.name} was given up without an attempt")
        return
    if (delivery.status is DeliveryStatus.DELIVERED) != last.succeeded:
        yield Violation("RECORD", f"{item.name} ended with {last}")
    if last.succeeded and not any(event.is_accepted for event in item.sent):
        yield Violation("TRUTH", f"{item.name} was not accepted by the receiver")
    must_retry = not last.succeeded and last.status_code != HTTPStatus.GONE
    if must_retry and delivery.next_attempt_at <= delivery.created_at + RETRY_WINDOW:
        yield Violation("RETRY_WINDOW", f"{item.name} was given up with {last}")


def _early_attempts(item: ObservedDelivery) -> Iterator[Violation]:
    """Yield a delivery that was attempted after its final attempt or too early, although no call resent it."""
    attempts = item.delivery.attempts
    waits = {event.at: timedelta(seconds=event.retry_after_seconds or 0) for event in item.sent}

    def asked(attempt: Attempt) -> timedelta:
        return min(waits.get(int(attempt.at.timestamp()), timedelta()), RETRY_AFTER_MAX)

    final = sum(attempt.succeeded or attempt.status_code == HTTPStatus.GONE for attempt in attempts)
    if final > 1 + item.resends:
        yield Violation("ONCE", f"{item.name} had {final} final attempts and {item.resends} resends")
    for before, after in pairwise(attempts):
        if not item.resends and after.at < before.at + before.duration + max(FIRST_DELAY / 2, asked(before)):
            yield Violation("RETRY_WINDOW", f"{item.name} was attempted at {before.at} and at {after.at}")


def _late_attempts(item: ObservedDelivery, *, has_delays: bool) -> Iterator[Violation]:
    """Yield the attempts that were made long after they were due.

    The delay before an attempt is the time since the delivery was created, within limits. If the queue cannot delay
    tasks, check only the first attempt.
    """
    created_at = item.delivery.created_at
    times = [created_at, *(datetime.fromtimestamp(event.at, UTC) for event in item.sent)]
    asked = [timedelta(), *(timedelta(seconds=event.retry_after_seconds or 0) for event in item.sent)]
    for before, after, wait in zip(times, times[1 : None if has_delays else 2], asked, strict=False):
        delay = max(min(max(before - created_at, FIRST_DELAY), LONGEST_DELAY), min(wait, RETRY_AFTER_MAX))
        if after > before + delay + LATENESS_MAX:
            yield Violation("PROGRESS", f"{item.name} was attempted at {before} and only then at {after}")

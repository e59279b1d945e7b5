"""What must hold of webhooks in the end: each end is told, truly, once if possible, and as long as anybody may hear."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from itertools import pairwise
from typing import Any

from standardwebhooks import Webhook

from imagegen.documents.accounts import USERS
from imagegen.documents.webhooks import DELIVERIES, delivery_of
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.webhooks import ATTEMPTS_KEPT, FIRST_PAUSE, LONGEST_PAUSE, RETRY_WINDOW, Delivery, DeliveryStatus
from imagegen.ports.database import Database
from simulation.checks import Requests, Violation, requests_of
from simulation.receiver import SentEvent

PROMPT = timedelta(minutes=1)
"""How late an attempt may be where nothing goes wrong: sooner than any sweep would notice."""


def described(request: GenerationRequest) -> dict[str, Any]:
    """What the simulated delivery worker tells of a request."""
    return {"id": request.id, "status": request.status.value}


def deliveries_of(database: Database) -> list[Delivery]:
    return [delivery_of(document) for document in database.scan(DELIVERIES)]


def unfinished(database: Database) -> int:
    """How many requests and deliveries there are that a sweep may bring on."""
    requests = requests_of(database).values()
    return sum(request.is_open for request in requests) + sum(
        delivery.is_pending for delivery in deliveries_of(database)
    )


@dataclass(frozen=True)
class ObservedDelivery:
    """A delivery, all that was ever sent for it, and how many calls asked for it to be sent again."""

    delivery: Delivery
    sent: Sequence[SentEvent]
    resends: int

    @cached_property
    def name(self) -> str:
        return f"{self.delivery.id}, {self.delivery.status} after {self.delivery.attempt_count} attempts,"


def observed_deliveries(
    deliveries: Iterable[Delivery], sent: Sequence[SentEvent], resends: Counter[str]
) -> list[ObservedDelivery]:
    """``resends`` counts them for each request."""
    return [
        ObservedDelivery(
            delivery, [event for event in sent if event.id == delivery.id], resends[delivery.generation_request_id]
        )
        for delivery in deliveries
    ]


def broken_invariants(
    database: Database, requests: Requests, observed: Sequence[ObservedDelivery]
) -> Iterator[Violation]:
    """Whatever does not hold of webhooks, in whatever world."""
    yield from _wrong_events(requests, (item.delivery for item in observed))
    secrets = {user.id: user.data.get("webhookSecret", "") for user in database.scan(USERS)}
    for item in observed:
        yield from _wrong_payloads(item, requests, secrets)
        yield from _wrong_attempts(item)
        yield from _wrong_ends(item)
        yield from _early_attempts(item)


def duplicate_or_late(observed: Iterable[ObservedDelivery], *, has_delays: bool) -> Iterator[Violation]:
    """Whatever was sent twice or late in a world where nothing goes wrong; ``waits`` is whether its queue can."""
    for item in observed:
        if len(item.sent) != item.delivery.attempt_count:
            yield Violation("ONCE", f"{item.name} was sent {len(item.sent)} times")
        if not item.resends:
            yield from _late_attempts(item, has_delays=has_delays)


def concurrent_sends(observed: Iterable[ObservedDelivery]) -> Iterator[Violation]:
    """Whatever was sent while it was being sent, in a world where everybody is done before their lease runs out."""
    for item in observed:
        for one, other in pairwise(item.sent):
            if one.ended_us and other.began_us < one.ended_us:
                yield Violation("LEASE", f"{item.name} was sent twice at once, at {one.at} and {other.at}")


def _wrong_events(requests: Requests, deliveries: Iterable[Delivery]) -> Iterator[Violation]:
    """Ends that no delivery tells, and deliveries that tell anything else."""
    expected = Counter(
        (f"{request.id}-{request.status}", request.user_id, request.webhook_url, f"generation.{request.status}")
        for request in requests.values()
        if request.webhook_url and request.finished_at
    )
    found = Counter((delivery.id, delivery.user_id, delivery.url, delivery.type) for delivery in deliveries)
    for event in expected - found:
        yield Violation("EVENT", f"there is no {event}")
    for event in found - expected:
        yield Violation("EVENT", f"there is {event}")


def _wrong_payloads(item: ObservedDelivery, requests: Requests, secrets: Mapping[str, str]) -> Iterator[Violation]:
    """Whatever reached the receiver that is not so, or not signed with its user's only secret."""
    delivery = item.delivery
    request = requests[delivery.generation_request_id]
    for event in item.sent:
        body = json.loads(event.body)
        if (body["type"], body["data"]) != (f"generation.{request.status}", described(request)):
            yield Violation("TRUTH", f"the receiver was told {event.body}, but the database has {request}")
        signed = Webhook(secrets[delivery.user_id]).sign(event.id, datetime.fromtimestamp(event.at, UTC), event.body)
        if event.headers["webhook-signature"] != signed:
            yield Violation("SIGNATURE", f"{event.headers} do not verify")


def _wrong_attempts(item: ObservedDelivery) -> Iterator[Violation]:
    """Attempts that were never made or led to something else, and those that are not there."""
    delivery = item.delivery
    recorded = Counter((int(attempt.at.timestamp()), attempt.status_code) for attempt in delivery.attempts)
    for attempt in recorded - Counter((event.at, event.status_code) for event in item.sent):
        yield Violation("RECORD", f"{item.name} records {attempt}, which never was")
    if delivery.attempt_count > len(item.sent):
        yield Violation("RECORD", f"{item.name} was sent {len(item.sent)} times")
    if len(delivery.attempts) != min(delivery.attempt_count, ATTEMPTS_KEPT):
        yield Violation("RECORD", f"{item.name} records {len(delivery.attempts)} of them")


def _wrong_ends(item: ObservedDelivery) -> Iterator[Violation]:
    """What still has_delays, is said to be delivered and is not, or has been given up too early."""
    delivery = item.delivery
    if delivery.is_pending:
        yield Violation("LIVENESS", f"{item.name} waits for ever")
        return
    last = delivery.attempts[-1]
    if (delivery.status is DeliveryStatus.DELIVERED) != last.succeeded:
        yield Violation("RECORD", f"{item.name} ended with {last}")
    if last.succeeded and not any(event.is_accepted for event in item.sent):
        yield Violation("TRUTH", f"{item.name} was taken by nobody")
    must_retry = not last.succeeded and last.status_code != HTTPStatus.GONE
    if must_retry and delivery.next_attempt_at <= delivery.created_at + RETRY_WINDOW:
        yield Violation("RETRY_WINDOW", f"{item.name} was given up with {last}")


def _early_attempts(item: ObservedDelivery) -> Iterator[Violation]:
    """What was attempted again after its last attempt, or too soon after another, although nobody asked for it."""
    attempts = item.delivery.attempts
    last = sum(attempt.succeeded or attempt.status_code == HTTPStatus.GONE for attempt in attempts)
    if last > 1 + item.resends:
        yield Violation("ONCE", f"{item.name} had {last} last attempts, and {item.resends} more asked for")
    for before, after in pairwise(attempts):
        if not item.resends and after.at < before.at + before.duration + FIRST_PAUSE / 2:
            yield Violation("RETRY_WINDOW", f"{item.name} was attempted at {before.at} and at {after.at}")


def _late_attempts(item: ObservedDelivery, *, has_delays: bool) -> Iterator[Violation]:
    """Attempts after a longer pause than it had been attempted for; only the first where the queue cannot wait."""
    created_at = item.delivery.created_at
    times = [created_at, *(datetime.fromtimestamp(event.at, UTC) for event in item.sent)]
    for before, after in pairwise(times if has_delays else times[:2]):
        pause = min(max(before - created_at, FIRST_PAUSE), LONGEST_PAUSE)
        if after > before + pause + PROMPT:
            yield Violation("PROGRESS", f"{item.name} was attempted at {before} and only then at {after}")

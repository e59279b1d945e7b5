"""Webhook deliveries: one event for the URL of a request, with the attempts to send it."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from imagegen.dataclass import dataclass
from imagegen.domain.endpoints import Endpoint, EventType
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.limits import Rate
from imagegen.domain.trace import Trace

RETRY_WINDOW = timedelta(days=3)
"""The time in which a delivery is attempted, from its creation or the last resend."""

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(hours=6)

RETRY_AFTER_MAX = timedelta(hours=12)
"""The longest delay that a receiver can ask for with a Retry-After header."""

ASKS_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""The statuses whose Retry-After header counts."""

SENDING_LEASE = timedelta(minutes=2)
"""Longer than resolving, sending and recording take together. After it, the task's process must have died."""

OVERDUE = timedelta(minutes=5)
"""The delay past ``next_attempt_at`` after which the sweeper looks after a delivery, as its task may have been lost."""

LOST_AFTER = 2 * OVERDUE
"""The delay past ``next_attempt_at`` after which the sweeper may put another task of a delivery on the queue."""

RESENDS = Rate(burst=5, interval=timedelta(minutes=10))
"""The rate at which one delivery can be resent."""

KEPT = timedelta(days=30)
"""The time in which a delivery can be listed and resent, from its end."""

ATTEMPTS_KEPT = 50
"""Enough for all attempts of one retry window and some resends."""


def is_accepted(status_code: int) -> bool:
    """Return whether a receiver that answers with this HTTP status has accepted the webhook."""
    return HTTPStatus.OK <= status_code < HTTPStatus.MULTIPLE_CHOICES


def retry_after(status_code: int, header: str | None, at: datetime) -> timedelta:
    """Return the delay that a receiver asks for: none without a valid Retry-After header, and at most the maximum.

    The header is a number of seconds or an HTTP date (https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).
    """
    if header is None or status_code not in ASKS_TO_WAIT:
        return timedelta()
    header = header.strip()
    if re.fullmatch("[0-9]+", header):
        return min(timedelta(seconds=int(header[:9])), RETRY_AFTER_MAX)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return timedelta()
    if date.tzinfo is None:  # an old form, which is in UTC too
        date = date.replace(tzinfo=UTC)
    return min(max(date - at, timedelta()), RETRY_AFTER_MAX)


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Attempt:
    """An attempt to send a webhook: the HTTP status of the answer, or the error if there was no answer.

    ``retry_after`` is the delay that the receiver asked for. ``counts`` is False if nothing was sent for a reason that
    has nothing to do with the receiver. Both are not stored.
    """

    at: datetime
    duration: timedelta
    status_code: int | None = None
    error: str | None = None
    retry_after: timedelta = timedelta()
    counts: bool = True

    @property
    def succeeded(self) -> bool:
        return self.status_code is not None and is_accepted(self.status_code)

    @property
    def is_about_the_receiver(self) -> bool:
        """False if the attempt shows nothing about the receiver. 410 Gone is about one URL of it."""
        return self.counts and self.status_code != HTTPStatus.GONE


@dataclass(frozen=True)
class Delivery:
    """The delivery of one event to one URL.

    ``id`` is also the event's id. It is the same for each attempt, so that a receiver can drop duplicates.
    ``claimed_by`` identifies the task that attempts the delivery. The task must record the outcome by
    ``next_attempt_at``. While ``claimed_by`` is None, ``next_attempt_at`` is the time of the next attempt.
    ``attempts`` are the last ``ATTEMPTS_KEPT`` of ``attempt_count``. A delivery not accepted by ``give_up_at`` fails.
    ``endpoint_id`` is None for a webhook URL of a request. ``data`` is the event's data, or None if it is the request.
    ``receiver_given_up`` is True if the failure of this delivery was the one after which its receiver was given up.
    ``trace`` is the trace of the request.
    ``resent_at`` is the time of the last resend. ``resends_earned_at`` is the time at which all resends are earned.
    """

    id: str
    user_id: str
    generation_request_id: str
    url: str
    type: str
    created_at: datetime
    next_attempt_at: datetime
    give_up_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    claimed_by: str | None = None
    attempt_count: int = 0
    attempts: tuple[Attempt, ...] = ()
    resent_at: datetime | None = None
    resends_earned_at: datetime | None = None
    endpoint_id: str | None = None
    data: Mapping[str, Any] | None = None
    receiver_given_up: bool = False
    trace: Trace | None = None

    @property
    def is_pending(self) -> bool:
        return self.status is DeliveryStatus.PENDING

    @property
    def due_at(self) -> datetime | None:
        """The time of the next attempt, or None after the delivery has ended."""
        return self.next_attempt_at if self.is_pending else None

    @property
    def expires_at(self) -> datetime | None:
        """The time from which nobody needs the delivery, or None before it has ended.

        A delivery that has ended keeps the time at which its next attempt would have been: within half a day of its
        end.
        """
        return None if self.is_pending else self.next_attempt_at + KEPT

    @property
    def is_first_attempt(self) -> bool:
        """True while no attempt was made, and none was put off."""
        return self.attempt_count == 0 and self.next_attempt_at <= self.created_at

    @property
    def awaits_resend(self) -> bool:
        """True if the delivery was resent, and not attempted since."""
        if self.resent_at is None or not self.is_pending:
            return False
        return not self.attempts or self.attempts[-1].at < self.resent_at

    def claimed(self, worker: str, at: datetime) -> "Delivery":
        """Return the delivery as claimed by a task."""
        return replace(self, claimed_by=worker, next_attempt_at=at + SENDING_LEASE)

    def delay_max(self, at: datetime) -> timedelta:
        """Return the maximum delay after a failure: the time since the retry window began, so that delays double."""
        return min(max(at - (self.give_up_at - RETRY_WINDOW), FIRST_DELAY), LONGEST_DELAY)

    def put_off(self, until: datetime) -> "Delivery":
        """Return the delivery as due at ``until``, without an attempt, or as failed if that is too late."""
        status = DeliveryStatus.PENDING if until <= self.give_up_at else DeliveryStatus.FAILED
        return replace(self, status=status, claimed_by=None, next_attempt_at=until)

    def attempted(self, attempt: Attempt, delay: timedelta, *, is_last: bool) -> "Delivery":
        """Return the delivery after an attempt.

        ``delay`` is the delay before the next attempt, if one follows and if the receiver does not ask for more.
        """
        next_attempt_at = attempt.at + attempt.duration + max(delay, attempt.retry_after)
        if attempt.succeeded:
            status = DeliveryStatus.DELIVERED
        elif is_last or attempt.status_code == HTTPStatus.GONE or next_attempt_at > self.give_up_at:
            status = DeliveryStatus.FAILED
        else:
            status = DeliveryStatus.PENDING
        return replace(
            self,
            status=status,
            claimed_by=None,
            next_attempt_at=next_attempt_at,
            attempt_count=self.attempt_count + 1,
            attempts=(*self.attempts, attempt)[-ATTEMPTS_KEPT:],
        )

    def enqueued_again(self, at: datetime) -> "Delivery":
        """Return the delivery as unclaimed and due at ``at``."""
        return replace(self, claimed_by=None, next_attempt_at=at)

    def resent(self, at: datetime) -> "Delivery":
        """Return the delivery as pending with a new retry window. Raises TooFast if it was resent too often.

        Return it unchanged while an attempt is in progress, or while an earlier resend waits for its attempt. A
        delivery that is due keeps its due time, so that its task keeps its name and is not queued again.
        """
        is_in_progress = self.is_pending and self.claimed_by is not None and at < self.next_attempt_at
        if is_in_progress or (self.awaits_resend and self.next_attempt_at <= at):
            return self
        due_at = min(self.next_attempt_at, at) if self.is_pending else at
        return replace(
            self,
            status=DeliveryStatus.PENDING,
            claimed_by=None,
            next_attempt_at=due_at,
            give_up_at=at + RETRY_WINDOW,
            resent_at=at,
            resends_earned_at=RESENDS.admit(self.resends_earned_at, at),
        )

    def was_resent(self, since: datetime) -> bool:
        """Return whether the delivery was resent at ``since`` or later."""
        return self.resent_at is not None and self.resent_at >= since


def deliveries_for(request: GenerationRequest) -> list[Delivery]:
    """Return the deliveries of the event that ``request`` has ended: to its webhook URL, and to each endpoint."""
    type = EventType(f"generation.{request.status}")
    id = f"{request.id}-{request.status}"
    receivers: list[tuple[str, str, str | None]] = []
    if request.webhook_url is not None:
        receivers.append((id, request.webhook_url, None))
    receivers += [
        (f"{id}-{endpoint.id}", endpoint.url, endpoint.id)
        for endpoint in request.webhook_endpoints
        if endpoint.wants(type)
    ]
    at = request.finished_at
    assert at is not None, "only a request that has ended has an event"
    return [
        Delivery(
            id=delivery_id,
            user_id=request.user_id,
            generation_request_id=request.id,
            url=url,
            type=type.value,
            created_at=at,
            next_attempt_at=at,
            give_up_at=at + RETRY_WINDOW,
            endpoint_id=endpoint_id,
            trace=request.trace,
        )
        for delivery_id, url, endpoint_id in receivers
    ]


def given_up_deliveries(
    failed: Delivery, data: Mapping[str, Any], endpoints: Iterable[Endpoint], at: datetime
) -> list[Delivery]:
    """Return the deliveries of the event that the receiver of ``failed`` was given up, to the other endpoints.

    A delivery fails once after its creation and once after each resend. Each time, its receiver may be given up.
    """
    # A hash, because these deliveries may fail too, and ids must not grow each time.
    origin = hashlib.sha256(f"{failed.id} {failed.resent_at}".encode()).hexdigest()[:32]
    return [
        Delivery(
            id=f"{origin}-given-up-{endpoint.id}",
            user_id=failed.user_id,
            generation_request_id=failed.generation_request_id,
            url=endpoint.url,
            type=EventType.GIVEN_UP.value,
            created_at=at,
            next_attempt_at=at,
            give_up_at=at + RETRY_WINDOW,
            endpoint_id=endpoint.id,
            data=data,
            trace=failed.trace,
        )
        for endpoint in endpoints
        if endpoint.wants(EventType.GIVEN_UP) and endpoint.id != failed.endpoint_id
    ]

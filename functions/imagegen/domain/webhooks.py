"""A webhook's delivery: one event, told to the URL that its request named, and what became of each attempt."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from imagegen.domain.generation import GenerationRequest

RETRY_WINDOW = timedelta(days=1)
"""How long it is attempted."""

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=2)

SENDING_LEASE = timedelta(minutes=2)
"""More than resolving, sending and recording take together, after which whoever attempted it must have died."""

OVERDUE = timedelta(minutes=5)
"""When a delivery has waited this long past its time, its task must have been lost."""

ATTEMPTS_KEPT = 50
"""All of a day's, and of some resends."""


def is_accepted(status_code: int) -> bool:
    """Return whether a receiver that answers so has accepted a webhook."""
    return HTTPStatus.OK <= status_code < HTTPStatus.MULTIPLE_CHOICES


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Attempt:
    """What one attempt led to: an HTTP status, or why there was none."""

    at: datetime
    duration: timedelta
    status_code: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.status_code is not None and is_accepted(self.status_code)


@dataclass(frozen=True)
class Delivery:
    """Its id is the event's id, the same for each attempt, so that a receiver can drop what it has had.

    ``claimed_by`` names the one task that is attempting it, which has until ``next_attempt_at`` to record the outcome.
    While unclaimed, ``next_attempt_at`` is when it is attempted next. ``attempts`` are the last ``ATTEMPTS_KEPT`` of
    ``attempt_count``. What has not been accepted at ``give_up_at`` has failed.
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

    @property
    def is_pending(self) -> bool:
        return self.status is DeliveryStatus.PENDING

    @property
    def due_at(self) -> datetime | None:
        """When the next attempt is made; None once the delivery has ended."""
        return self.next_attempt_at if self.is_pending else None

    def claimed(self, worker: str, at: datetime) -> "Delivery":
        return replace(self, claimed_by=worker, next_attempt_at=at + SENDING_LEASE)

    def pause_max(self, at: datetime) -> timedelta:
        """The longest pause after a failure: as long again as it has been attempted, so that pauses double."""
        return min(max(at - (self.give_up_at - RETRY_WINDOW), FIRST_PAUSE), LONGEST_PAUSE)

    def attempted(self, attempt: Attempt, pause: timedelta, *, is_last: bool) -> "Delivery":
        """After an attempt; ``pause`` is how long to wait if it failed and was not the last."""
        next_attempt_at = attempt.at + attempt.duration + pause
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
        return replace(self, claimed_by=None, next_attempt_at=at)

    def resent(self, at: datetime) -> "Delivery":
        """Return the delivery as pending with a new retry window, or unchanged while an attempt is in progress."""
        if self.is_pending and self.claimed_by is not None and at < self.next_attempt_at:
            return self
        return replace(
            self, status=DeliveryStatus.PENDING, claimed_by=None, next_attempt_at=at, give_up_at=at + RETRY_WINDOW
        )

    def was_resent(self, since: datetime) -> bool:
        """Return whether the delivery was resent at ``since`` or later."""
        return self.give_up_at >= since + RETRY_WINDOW


def delivery_about(request: GenerationRequest) -> Delivery | None:
    """How the end of ``request`` is told to whom it named; None if it named nobody."""
    if request.webhook_url is None:
        return None
    assert request.finished_at is not None, "only the end of a request is told"
    return Delivery(
        id=f"{request.id}-{request.status}",
        user_id=request.user_id,
        generation_request_id=request.id,
        url=request.webhook_url,
        type=f"generation.{request.status}",
        created_at=request.finished_at,
        next_attempt_at=request.finished_at,
        give_up_at=request.finished_at + RETRY_WINDOW,
    )

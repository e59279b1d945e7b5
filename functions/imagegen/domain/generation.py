"""A generation request: what was asked for, what became of it, and what it did to its user's account."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from imagegen.domain.catalog import Color, Model, Size, Style
from imagegen.domain.ledger import Credits, EntryType
from imagegen.domain.weeks import Week

LEASE_GRACE = timedelta(minutes=3)
"""More than reserving and settling take together, when the database makes them wait."""

QUEUE_LEASE = timedelta(minutes=5)
"""How long a request waits in its queue before it is queued again: its task may never have got there."""


class Mode(StrEnum):
    """Whether the call waits for the image, or leaves it to a queue."""

    SYNC = "sync"
    ASYNC = "async"


@dataclass(frozen=True)
class Order:
    """A validated order of an image: everything the caller chose.

    ``input`` is what the image is of, besides the prompt, as its caller wrote it. ``fingerprint`` is the same for the
    same payload, and for no other.
    """

    user_id: str
    model: Model
    style: Style
    color: Color
    size: Size
    prompt: str
    fingerprint: str
    idempotency_key: str | None = None
    input: Mapping[str, str] | None = None
    mode: Mode = Mode.SYNC
    webhook_url: str | None = None

    @property
    def cost(self) -> int:
        """In credits; the size alone sets it."""
        return self.size.credit_cost


def lease(model: Model) -> timedelta:
    """The longest that whoever runs a request may need, after which its process must have died."""
    return timedelta(seconds=model.timeout_seconds) + LEASE_GRACE


def entry_id(request_id: str, type: EntryType) -> str:
    """The one id that a request's entry of that type can ever have, so that a second cannot even be written."""
    return f"{request_id}-{type}"


def keyed_request_id(user_id: str, idempotency_key: str) -> str:
    """The one request id that this user's key can ever lead to."""
    return hashlib.sha256(json.dumps([user_id, idempotency_key]).encode()).hexdigest()[:32]


class Status(StrEnum):
    """A queued request is pending until a worker claims it; any other is processing from the start."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


OPEN = (Status.PENDING, Status.PROCESSING)
REFUNDED = (Status.FAILED, Status.CANCELED)


class FailureReason(StrEnum):
    GENERATION_FAILED = "GENERATION_FAILED"
    GENERATION_TIMEOUT = "GENERATION_TIMEOUT"
    ABANDONED = "ABANDONED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"


@dataclass(frozen=True)
class Failure:
    """Why a request brought no image, and what its user was told about their credits."""

    reason: FailureReason
    message: str
    refunded_credits: int
    current_credits: int


@dataclass(frozen=True)
class GenerationRequest:
    """A request as recorded. Options are recorded by name; ``paid_from`` says which buckets paid ``cost``.

    ``reservation_id`` names the one call that reserved it, ``claimed_by`` the one delivery of its task that claimed it:
    a process that finds its own id knows that its commit got through. They have until ``lease_expires_at`` to bring
    it on; after that, anyone may. What is still pending at ``give_up_at`` is given up.
    """

    id: str
    user_id: str
    model: str
    style: str
    color: str
    size: str
    prompt: str
    cost: int
    paid_from: Credits
    fingerprint: str
    reservation_id: str
    created_at: datetime
    started_at: datetime | None
    lease_expires_at: datetime
    mode: Mode = Mode.SYNC
    give_up_at: datetime | None = None
    claimed_by: str | None = None
    webhook_url: str | None = None
    input: Mapping[str, str] | None = None
    status: Status = Status.PROCESSING
    finished_at: datetime | None = None
    image_url: str | None = None
    failure: Failure | None = None

    @classmethod
    def of(cls, order: Order, id: str, reservation_id: str, paid_from: Credits, at: datetime) -> Self:
        """Return the new request of an order: processing in sync mode, pending in async mode."""
        is_sync = order.mode is Mode.SYNC
        return cls(
            id=id,
            user_id=order.user_id,
            model=order.model.name,
            style=order.style.name,
            color=order.color.name,
            size=order.size.name,
            prompt=order.prompt,
            input=order.input,
            mode=order.mode,
            webhook_url=order.webhook_url,
            cost=order.cost,
            paid_from=paid_from,
            fingerprint=order.fingerprint,
            reservation_id=reservation_id,
            status=Status.PROCESSING if is_sync else Status.PENDING,
            created_at=at,
            started_at=at if is_sync else None,
            lease_expires_at=at + (lease(order.model) if is_sync else QUEUE_LEASE),
            give_up_at=None if is_sync else at + timedelta(seconds=order.model.max_queue_seconds),
        )

    @property
    def is_refunded(self) -> bool:
        return self.failure is not None and self.failure.refunded_credits > 0

    @property
    def processing_time(self) -> timedelta | None:
        """From its start to its end; None while it runs."""
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def week(self) -> Week:
        """The week it counts in, whenever it is settled."""
        return Week.of(self.created_at)

    @property
    def day(self) -> str:
        """The day of that week, in UTC, as in ``2026-11-09``."""
        return str(self.created_at.astimezone(UTC).date())

    def claimed(self, worker: str, lease: timedelta, at: datetime) -> "GenerationRequest":
        """Return the request as claimed by a worker."""
        return replace(self, status=Status.PROCESSING, claimed_by=worker, started_at=at, lease_expires_at=at + lease)

    def enqueued_again(self, at: datetime) -> "GenerationRequest":
        return replace(self, lease_expires_at=at + QUEUE_LEASE)

    def completed(self, image_url: str, at: datetime) -> "GenerationRequest":
        return replace(self, status=Status.COMPLETED, image_url=image_url, finished_at=at)

    def failed(self, failure: Failure, at: datetime) -> "GenerationRequest":
        status = Status.CANCELED if failure.reason is FailureReason.CANCELED else Status.FAILED
        return replace(self, status=status, failure=failure, finished_at=at)

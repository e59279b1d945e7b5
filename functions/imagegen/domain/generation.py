"""Generation requests: the order, the status and the outcome."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from imagegen.dataclass import dataclass
from imagegen.domain.catalog import Color, Model, Size, Style
from imagegen.domain.endpoints import Endpoint
from imagegen.domain.images import LEFTOVERS_KEPT, Download, StoredImage
from imagegen.domain.ledger import Credits, EntryType
from imagegen.domain.trace import Trace
from imagegen.domain.weeks import Week

LEASE_GRACE = timedelta(minutes=3)
"""Longer than reserving, storing and settling take together, including their retries."""

QUEUE_LEASE = timedelta(minutes=5)
"""The time after which the sweeper looks after a pending request, because its task may have been lost."""

TASK_LOST_AFTER = 2 * QUEUE_LEASE
"""The time after which the sweeper may put another task of a pending request on the queue."""


class Mode(StrEnum):
    """The mode of a call. In mode sync, the call waits for the image. In mode async, a task queue runs the model."""

    SYNC = "sync"
    ASYNC = "async"


@dataclass(frozen=True)
class Fingerprint:
    """Identifies the payload of a call.

    ``sent`` is a hash of the data as sent. ``canonical`` is the same for all ways to write the same payload, and starts
    with the version of the rules for it. Requests of earlier versions of the backend lack it.
    """

    sent: str
    canonical: str | None = None

    def matches(self, stored: "Fingerprint") -> bool:
        """Return whether this payload is the one of a stored request, by the rules that the request was stored under.

        Equal data is always the same payload, also if an option was renamed or deleted since.
        """
        return self.sent == stored.sent or (stored.canonical is not None and self.canonical == stored.canonical)


@dataclass(frozen=True)
class Key:
    """An idempotency key, and the fingerprint of a call that sends it."""

    text: str
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Reuse:
    """The permission to answer an order with an earlier image of the same user, ``max_age`` old at most."""

    max_age: timedelta | None = None


@dataclass(frozen=True)
class Order:
    """A valid order of an image, with everything that the caller chose.

    ``input`` is a photo or an address besides the prompt, as the caller sent it. ``max_credits`` is the highest cost
    that the caller accepts. ``earlier_keys`` are the keys under
    which earlier versions of the backend may have stored the same call.
    """

    user_id: str
    model: Model
    style: Style
    color: Color
    size: Size
    prompt: str
    fingerprint: Fingerprint
    idempotency_key: str | None = None
    earlier_keys: tuple[Key, ...] = ()
    input: Mapping[str, str] | None = None
    mode: Mode = Mode.SYNC
    webhook_url: str | None = None
    seed: int | None = None
    reuse: Reuse | None = None
    max_credits: int | None = None

    @property
    def image_key(self) -> str:
        """A hash of everything that the image depends on. Equal orders of all users have the same key."""
        chosen = [self.model.name, self.style.name, self.color.name, self.size.name, self.prompt, self.input, self.seed]
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def cost(self) -> int:
        """The cost in credits. It depends only on the size."""
        return self.size.credit_cost

    @property
    def is_too_expensive(self) -> bool:
        return self.max_credits is not None and self.cost > self.max_credits


def lease(model: Model) -> timedelta:
    """Return the maximum time to run a request. When a request takes longer, its process must have died."""
    return timedelta(seconds=model.timeout_seconds) + LEASE_GRACE


def entry_id(request_id: str, type: EntryType) -> str:
    """Return the id of the request's ledger entry of this type. The fixed id makes a second entry impossible."""
    return f"{request_id}-{type}"


def keyed_request_id(user_id: str, idempotency_key: str) -> str:
    """Return the request id for an idempotency key of this user. The same key always gives the same id."""
    return hashlib.sha256(json.dumps([user_id, idempotency_key]).encode()).hexdigest()[:32]


class Status(StrEnum):
    """The status of a request. In mode async it starts as pending, in mode sync as processing."""

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
    CONTENT_REFUSED = "CONTENT_REFUSED"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    IMAGE_NOT_STORED = "IMAGE_NOT_STORED"
    ABANDONED = "ABANDONED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"


MAY_LEAVE_FILES = (FailureReason.ABANDONED, FailureReason.CANCELED, FailureReason.IMAGE_NOT_STORED)


@dataclass(frozen=True)
class Failure:
    """The reason why a request failed, and the refund and balance that were reported to the caller."""

    reason: FailureReason
    message: str
    refunded_credits: int
    current_credits: int


@dataclass(frozen=True)
class Charge:
    """The credits of a request. ``cost`` was deducted, and ``refunded_credits`` of it were given back."""

    cost: int
    refunded_credits: int

    @property
    def net_credits(self) -> int:
        """The credits that the user has paid in the end."""
        return self.cost - self.refunded_credits


@dataclass(frozen=True)
class GenerationRequest:
    """A request as stored. Options are stored by name. ``paid_from`` splits ``cost`` by bucket.

    ``reservation_id`` identifies the call that created the request. ``claimed_by`` identifies the task delivery that
    claimed it. A process that reads its own id knows that its commit succeeded, even if the answer was lost. After
    ``lease_expires_at``, the sweeper recovers the request. The lease of a canceled request ends with its run. A request
    still pending at ``give_up_at`` is refunded. ``task_number`` is part of the name of the request's task, so that a
    queue refuses the same task again. ``webhook_endpoints`` are the endpoints that the user had at the reservation.
    ``image`` has the files of an image that is stored here. At ``delete_images_at``, the sweeper deletes the files of a
    request that was not completed. ``trace`` is the trace of the call that created the request.
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
    fingerprint: Fingerprint
    reservation_id: str
    created_at: datetime
    started_at: datetime | None
    lease_expires_at: datetime
    mode: Mode = Mode.SYNC
    give_up_at: datetime | None = None
    claimed_by: str | None = None
    task_number: int = 0
    webhook_url: str | None = None
    webhook_endpoints: tuple[Endpoint, ...] = ()
    input: Mapping[str, str] | None = None
    status: Status = Status.PROCESSING
    finished_at: datetime | None = None
    image_url: str | None = None
    image: StoredImage | None = None
    seed: int | None = None
    image_key: str | None = None
    failure: Failure | None = None
    delete_images_at: datetime | None = None
    trace: Trace | None = None

    @classmethod
    def of(
        cls,
        order: Order,
        id: str,
        reservation_id: str,
        paid_from: Credits,
        at: datetime,
        endpoints: tuple[Endpoint, ...] = (),
        trace: Trace | None = None,
    ) -> Self:
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
            seed=order.seed,
            webhook_endpoints=endpoints,
            cost=order.cost,
            paid_from=paid_from,
            fingerprint=order.fingerprint,
            image_key=order.image_key,
            reservation_id=reservation_id,
            status=Status.PROCESSING if is_sync else Status.PENDING,
            created_at=at,
            started_at=at if is_sync else None,
            lease_expires_at=at + (lease(order.model) if is_sync else QUEUE_LEASE),
            give_up_at=None if is_sync else at + timedelta(seconds=order.model.max_queue_seconds),
            trace=trace,
        )

    @property
    def charge(self) -> Charge:
        """The credits that the request cost until now. Every answer about a request tells them."""
        return Charge(self.cost, self.failure.refunded_credits if self.failure else 0)

    @property
    def main_file(self) -> Download | None:
        """The file of the image, if it is stored here."""
        return None if self.image is None else self.image.main

    @property
    def variants(self) -> list[Download] | None:
        """The smaller versions of the image, if it is stored here."""
        return None if self.image is None else self.image.variants

    @property
    def is_refunded(self) -> bool:
        return self.charge.refunded_credits > 0

    @property
    def processing_time(self) -> timedelta | None:
        """The time from start to end, or None while the request is unfinished."""
        return self.finished_at - self.started_at if self.finished_at and self.started_at else None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def may_run(self, at: datetime) -> bool:
        """Return whether the request is unfinished, or was canceled while its model ran and the run may go on."""
        goes_on = self.status is Status.CANCELED and self.started_at is not None and at < self.lease_expires_at
        return self.is_open or goes_on

    @property
    def week(self) -> Week:
        """The week in which the request counts: the week of its creation, not of its settlement."""
        return Week.of(self.created_at)

    @property
    def day(self) -> str:
        """The day of the creation in UTC, such as ``2026-11-09``."""
        return str(self.created_at.astimezone(UTC).date())

    def claimed(self, worker: str, lease: timedelta, at: datetime) -> "GenerationRequest":
        """Return the request as claimed by a worker."""
        return replace(self, status=Status.PROCESSING, claimed_by=worker, started_at=at, lease_expires_at=at + lease)

    @property
    def must_end_by(self) -> datetime:
        """The time at which an unfinished request is refunded, by the next sweep."""
        return self.give_up_at if self.status is Status.PENDING and self.give_up_at else self.lease_expires_at

    def with_new_task(self, at: datetime) -> "GenerationRequest":
        """Return the request with a new task number, and with a new queue lease."""
        return replace(self, task_number=self.task_number + 1, lease_expires_at=at + QUEUE_LEASE)

    def run_ended(self, at: datetime) -> "GenerationRequest":
        """Return the canceled request with its lease ended, because its run has ended."""
        return replace(self, lease_expires_at=min(at, self.lease_expires_at))

    def completed(
        self, image_url: str, at: datetime, image: StoredImage | None = None, seed: int | None = None
    ) -> "GenerationRequest":
        """Return the request as completed with an image. ``image`` has its files if they are stored here."""
        used = self.seed if seed is None else seed
        return replace(self, status=Status.COMPLETED, image_url=image_url, image=image, seed=used, finished_at=at)

    def failed(self, failure: Failure, at: datetime) -> "GenerationRequest":
        """Return the request as failed, or as canceled if that is the reason."""
        status = Status.CANCELED if failure.reason is FailureReason.CANCELED else Status.FAILED
        # The run of the request may have stored files, or may still do so.
        may_have_files = self.started_at is not None and failure.reason in MAY_LEAVE_FILES
        delete_at = at + LEFTOVERS_KEPT if may_have_files else None
        return replace(self, status=status, failure=failure, finished_at=at, delete_images_at=delete_at)

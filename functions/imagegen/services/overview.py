"""Reports what runs now and what failed recently, for admins."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from imagegen.dataclass import dataclass
from imagegen.documents.generations import REQUESTS, request_of
from imagegen.documents.webhooks import DELIVERIES, delivery_of
from imagegen.domain.generation import GenerationRequest, Status
from imagegen.domain.webhooks import Delivery, DeliveryStatus
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Sum, Where
from imagegen.services.catalog import Catalogs
from imagegen.services.pagination import page

MODELS_MAX = 30
"""The maximum number of models that are counted one by one. Each takes five counts."""

LISTED_MAX = 20
"""The maximum number of listed requests, and of webhooks in each state."""

GIVEN_UP_SINCE = timedelta(days=7)

ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELED)


@dataclass(frozen=True)
class Ended:
    """The numbers of requests that ended."""

    completed: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def total(self) -> int:
        return self.completed + self.failed + self.canceled


@dataclass(frozen=True)
class ModelNow:
    """The requests of a model: how many wait and run now, and how many ended recently. It may be disabled."""

    name: str
    enabled: bool
    pending: int
    processing: int
    ended: Ended


@dataclass(frozen=True)
class Overview:
    """The state of the service at one moment. ``other`` are requests of models that are not among ``models``.

    ``failing`` webhooks are pending after a failed attempt, and ``given_up`` are those of the last days.
    """

    at: datetime
    since: datetime
    pending: int
    processing: int
    oldest_pending_at: datetime | None
    total: Ended
    models: Sequence[ModelNow]
    other: Ended
    failures: Sequence[GenerationRequest]
    failing: int
    given_up: int
    deliveries: Sequence[Delivery]


@dataclass(frozen=True)
class OverviewReader:
    database: Database
    catalogs: Catalogs
    clock: Clock

    def read(self, hours: int) -> Overview:
        """Return the state now, and the counts of the last ``hours``. Takes at most 157 counts and four queries.

        Raises DatabaseUnavailable and ServiceUnavailable.
        """
        at = self.clock.now()
        since = at - timedelta(hours=hours)
        models = self.catalogs.load().models[:MODELS_MAX]
        failing = Query(
            DELIVERIES,
            (Where("status", "==", DeliveryStatus.PENDING.value), Where("attemptCount", ">=", 1)),
            order_by="attemptCount",
        )
        given_up = Query(
            DELIVERIES,
            (
                Where("status", "==", DeliveryStatus.FAILED.value),
                Where("nextAttemptAt", ">=", at - GIVEN_UP_SINCE),
            ),
            order_by="nextAttemptAt",
        )
        counts = [
            found.count
            for found in self.database.totals(
                Sum(failing),
                Sum(given_up),
                *_counts(since),
                *(count for model in models for count in _counts(since, model.name)),
            )
        ]
        failing_count, given_up_count, *rest = counts
        of_all, *by_model = (rest[start : start + COUNTS] for start in range(0, len(rest), COUNTS))
        pending, processing, *ended = of_all
        counted = [
            ModelNow(model.name, model.enabled, pending, processing, Ended(*ended))
            for model, (pending, processing, *ended) in zip(models, by_model, strict=True)
        ]
        failed = Query(REQUESTS, (Where("status", "==", Status.FAILED.value),), order_by="finishedAt")
        return Overview(
            at=at,
            since=since,
            pending=pending,
            processing=processing,
            oldest_pending_at=self._oldest_pending_at(),
            total=Ended(*ended),
            models=counted,
            other=_rest(Ended(*ended), [model.ended for model in counted]),
            failures=page(self.database, failed, LISTED_MAX, request_of).items,
            failing=failing_count,
            given_up=given_up_count,
            deliveries=[
                delivery
                for query in (given_up, failing)
                for delivery in page(self.database, query, LISTED_MAX, delivery_of).items
            ],
        )

    def _oldest_pending_at(self) -> datetime | None:
        """Return the creation time of the oldest pending request, or None if no request is pending."""
        pending = (Where("status", "==", Status.PENDING.value),)
        oldest = page(self.database, Query(REQUESTS, pending, order_by="createdAt", ascending=True), 1, request_of)
        return oldest.items[0].created_at if oldest.items else None


COUNTS = 2 + len(ENDED)
"""The number of counts of all requests, and of a model's."""


def _counts(since: datetime, model: str | None = None) -> list[Sum]:
    """Return the counts of the requests that wait, that run, and that ended since then, by status."""
    of_model = () if model is None else (Where("model", "==", model),)
    waiting_and_running = [
        Query(REQUESTS, (Where("status", "==", status.value), *of_model))
        for status in (Status.PENDING, Status.PROCESSING)
    ]
    # In the order of the list of failures, so that the counts use the same index.
    ended = [
        Query(
            REQUESTS,
            (Where("status", "==", status.value), *of_model, Where("finishedAt", ">=", since)),
            order_by="finishedAt",
        )
        for status in ENDED
    ]
    return [Sum(query) for query in (*waiting_and_running, *ended)]


def _rest(total: Ended, counted: Sequence[Ended]) -> Ended:
    return Ended(
        total.completed - sum(one.completed for one in counted),
        total.failed - sum(one.failed for one in counted),
        total.canceled - sum(one.canceled for one in counted),
    )

"""The outbox of webhook deliveries.

The commit that ends a request also writes its delivery, so no event is lost, and no event is sent for an outcome that
was not recorded.
"""

from collections.abc import Callable

from imagegen import events, tracing
from imagegen.dataclass import dataclass
from imagegen.documents.webhooks import DELIVERIES, delivery_of, update_delivery
from imagegen.domain.webhooks import LOST_AFTER, OVERDUE, Delivery, DeliveryStatus
from imagegen.events import Event, type_of
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Snapshot, Where
from imagegen.ports.task_queue import QueueUnavailable, TaskQueue, task_name

ENQUEUING_SECONDS = 5.0
"""The time after which no further task of a request's webhooks is enqueued. The last one may take as long again."""

FIRST_ATTEMPTS = "deliverWebhook"
RETRIES = "retryWebhook"
"""The queue of all other attempts, with its own pace, so that they never take the slots of first attempts."""


@dataclass(frozen=True)
class Outbox:
    database: Database
    tasks: TaskQueue
    clock: Clock

    def enqueue(self, *deliveries: Delivery) -> None:
        """Enqueue a task for the next attempt of each delivery, at its due time.

        If the queue is unavailable, or takes longer than ``ENQUEUING_SECONDS``, a sweep does the rest later.
        """
        until = self.clock.monotonic() + ENQUEUING_SECONDS
        for delivery in deliveries:
            try:
                if self.clock.monotonic() > until:
                    raise QueueUnavailable("the tasks of other endpoints took too long")  # noqa: TRY301 - logged below
                self._put(delivery)
            except QueueUnavailable as error:
                events.warning(Event.WEBHOOK_NOT_QUEUED, deliveryId=delivery.id, error=type_of(error))
                return

    def overdue(self, limit: int) -> Query:
        """Return a query for deliveries whose task may have been lost, the longest overdue first."""
        return Query(
            DELIVERIES,
            where=(
                Where("status", "==", DeliveryStatus.PENDING.value),
                Where("nextAttemptAt", "<", self.clock.now() - OVERDUE),
            ),
            order_by="nextAttemptAt",
            ascending=True,
            limit=limit,
        )

    def recover(self, document: Snapshot, may_replace: Callable[[], bool]) -> bool:
        """Put the task of an overdue delivery on the queue, and return whether it is new.

        If the queue knows the task, put another one when the delivery is long overdue and ``may_replace`` allows it.
        Raises QueueUnavailable, CommitRefused and OutcomeUnknown.
        """
        delivery, now = delivery_of(document), self.clock.now()
        tracing.continue_delivery(delivery)
        if self._put(delivery):
            return True
        if delivery.next_attempt_at > now - LOST_AFTER or not may_replace():
            return False
        again = delivery.enqueued_again(now)
        self.database.commit(update_delivery(document, again))
        return self._put(again)

    def _put(self, delivery: Delivery) -> bool:
        """Put the task of the next attempt on the queue, and return whether it is new. Raises QueueUnavailable.

        The task holds the number of the attempt, so a duplicate or outdated task does nothing. Its name is a hash of
        the delivery's id, that number and the due time. After a claim, the due time is the end of the claim's lease.
        """
        task = {"deliveryId": delivery.id, "attempt": str(delivery.attempt_count)}
        due_at = delivery.next_attempt_at.isoformat(timespec="microseconds")
        name = task_name(delivery.id, delivery.attempt_count, due_at)
        queue = FIRST_ATTEMPTS if delivery.is_first_attempt else RETRIES
        return self.tasks.put(queue, task, name, not_before=delivery.next_attempt_at)

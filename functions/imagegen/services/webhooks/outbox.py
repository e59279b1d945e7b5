"""The outbox of webhook deliveries.

The commit that ends a request also writes its delivery, so no event is lost, and no event is sent for an outcome that
was not recorded.
"""

from dataclasses import dataclass

from imagegen import events
from imagegen.documents.webhooks import DELIVERIES, delivery_of, update_delivery
from imagegen.domain.webhooks import OVERDUE, Delivery, DeliveryStatus
from imagegen.events import Event, type_of
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Snapshot, Where
from imagegen.ports.task_queue import QueueUnavailable, TaskQueue

QUEUE = "deliverWebhook"


@dataclass(frozen=True)
class Outbox:
    database: Database
    tasks: TaskQueue
    clock: Clock

    def enqueue(self, delivery: Delivery) -> None:
        """Enqueue a task for the next attempt, at its due time. If the queue is unavailable, a sweep does it later.

        The task holds the number of the attempt, so a duplicate or outdated task does nothing.
        """
        task = {"deliveryId": delivery.id, "attempt": str(delivery.attempt_count)}
        try:
            self.tasks.put(QUEUE, task, not_before=delivery.next_attempt_at)
        except QueueUnavailable as error:
            events.warning(Event.WEBHOOK_NOT_QUEUED, deliveryId=delivery.id, error=type_of(error))

    def overdue(self, limit: int) -> Query:
        """Return a query for deliveries whose task must have been lost, the longest overdue first."""
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

    def enqueue_again(self, document: Snapshot) -> bool:
        """Enqueue an overdue delivery, and return True. Raises CommitRefused and OutcomeUnknown."""
        again = delivery_of(document).enqueued_again(self.clock.now())
        self.database.commit(update_delivery(document, again))
        self.enqueue(again)
        return True

"""The outbox: events that were committed with what they tell of, and still have to be sent.

The commit that ends a request writes its delivery too, so that no event is lost, and none is told of what never was.
"""

import logging
from dataclasses import dataclass

from imagegen.documents.webhooks import DELIVERIES, delivery_of, update_delivery
from imagegen.domain.webhooks import OVERDUE, Delivery, DeliveryStatus
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, OutcomeUnknown, Query, Snapshot, Where
from imagegen.ports.task_queue import QueueUnavailable, TaskQueue

QUEUE = "deliverWebhook"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outbox:
    database: Database
    tasks: TaskQueue
    clock: Clock

    def enqueue(self, delivery: Delivery) -> None:
        """Have the next attempt made when it is due. If that fails, a sweep does it.

        The task holds the attempt's number: one that comes again, or after a resend, finds nothing to do.
        """
        task = {"deliveryId": delivery.id, "attempt": str(delivery.attempt_count)}
        try:
            self.tasks.put(QUEUE, task, not_before=delivery.next_attempt_at)
        except QueueUnavailable as error:
            log.warning("Webhook %s could not be queued and is left for a sweep: %s", delivery.id, error)

    def overdue(self, limit: int) -> Query:
        """The deliveries whose task must have been lost."""
        return Query(
            DELIVERIES,
            where=(
                Where("status", "==", DeliveryStatus.PENDING.value),
                Where("nextAttemptAt", "<", self.clock.now() - OVERDUE),
            ),
            limit=limit,
        )

    def enqueue_again(self, document: Snapshot) -> bool:
        """Queue an overdue delivery; whether that, or something else, has come of it."""
        again = delivery_of(document).enqueued_again(self.clock.now())
        try:
            self.database.commit(update_delivery(document, again))
        except (CommitRefused, OutcomeUnknown) as error:
            log.warning("Webhook %s is left for the next sweep: %s", again.id, error)
            return False
        self.enqueue(again)
        return True

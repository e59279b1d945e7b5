"""Makes one attempt to deliver a webhook.

The queue may deliver a task twice, in parallel, early, late, or never. A commit on the delivery decides which task
sends the webhook. A receiver may still get an event twice, under the same id, if its answer was lost.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from imagegen import events
from imagegen.documents.generations import request_of, request_path
from imagegen.documents.webhooks import delivery_of, delivery_path, update_delivery
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.webhooks import Attempt, Delivery, DeliveryStatus, retry_after
from imagegen.errors import ServiceUnavailable, UserNotFound
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database
from imagegen.ports.webhook_sender import Undelivered, WebhookSender
from imagegen.services.retry import Retry
from imagegen.services.unreadable import read_or_log
from imagegen.services.webhooks.outbox import Outbox
from imagegen.services.webhooks.secrets import WebhookSecrets
from imagegen.services.webhooks.signing import Event, send_signed

Describe = Callable[[GenerationRequest], Mapping[str, Any]]
"""Converts a request to the JSON that receivers get."""


@dataclass(frozen=True)
class DeliveryWorker:
    database: Database
    sender: WebhookSender
    secrets: WebhookSecrets
    outbox: Outbox
    clock: Clock
    rng: random.Random
    retry: Retry
    new_id: Callable[[], str]

    def deliver(self, delivery_id: str, attempt: int, describe: Describe) -> DeliveryStatus | None:
        """Make attempt number ``attempt``. Return the delivery's status, or None if there is no such attempt to make.

        Raises ServiceUnavailable before the attempt is due, or while another task makes it. If the retries fail,
        raises CommitRefused, OutcomeUnknown or DatabaseUnavailable. In all these cases, the queue tries again.
        """
        worker = self.new_id()
        claimed = self._claim(delivery_id, attempt, worker)
        if claimed is None:
            return None
        made, is_last = self._attempt(claimed, describe)
        delay = claimed.delay_max(self.clock.now()).total_seconds()
        # Half of the delay is random, so that webhooks to a host that was down do not all retry at once.
        attempted = claimed.attempted(made, timedelta(seconds=self.rng.uniform(delay / 2, delay)), is_last=is_last)
        return self._record(attempted, worker).status

    def _claim(self, delivery_id: str, attempt: int, worker: str) -> Delivery | None:
        """Claim the delivery for this task. Return None if the attempt was already made or the delivery has ended.

        Also return None for a delivery that cannot be read: it is logged, and its task must not come again and again.
        """

        def claim(_tries: int) -> Delivery | None:
            [document] = self.database.read(delivery_path(delivery_id))
            delivery = read_or_log(delivery_of, document) if document.exists else None
            if delivery is None or not delivery.is_pending or delivery.attempt_count != attempt:
                return None
            if delivery.claimed_by == worker:
                return delivery  # our own commit was applied, but its answer was lost
            now = self.clock.now()
            if now < delivery.next_attempt_at:
                raise ServiceUnavailable(f"Webhook {delivery_id} is not due yet, or another task is attempting it.")
            claimed = delivery.claimed(worker, now)
            self.database.commit(update_delivery(document, claimed))
            return claimed

        return self.retry(claim)

    def _attempt(self, delivery: Delivery, describe: Describe) -> tuple[Attempt, bool]:
        """Send the webhook once. Return the attempt, and whether it is final."""
        [document] = self.database.read(request_path(delivery.generation_request_id))
        at, began = self.clock.now(), self.clock.monotonic()
        try:
            secret = self.secrets.current(delivery.user_id)
        except UserNotFound:
            return Attempt(at, timedelta(), error="the user does not exist"), True
        if (request := read_or_log(request_of, document)) is None:
            return Attempt(at, timedelta(), error="the request cannot be read"), False
        event = Event(delivery.id, delivery.type, delivery.created_at, describe(request))
        answer = error = None
        try:
            answer = send_signed(self.sender, delivery.url, secret, event, at)
        except Undelivered as undelivered:
            error = str(undelivered)
        duration = timedelta(seconds=self.clock.monotonic() - began)
        if answer is None:
            made = Attempt(at, duration, error=error)
        else:
            asked = retry_after(answer.status_code, answer.retry_after, at + duration)
            made = Attempt(at, duration, answer.status_code, retry_after=asked)
        if not made.succeeded:
            events.info(events.Event.WEBHOOK_NOT_ACCEPTED, deliveryId=delivery.id, statusCode=made.status_code)
        return made, False

    def _record(self, attempted: Delivery, worker: str) -> Delivery:
        """Record the attempt, enqueue the next one if there is one, and return the delivery as it is now."""

        def record(_tries: int) -> Delivery:
            [document] = self.database.read(delivery_path(attempted.id))
            delivery = delivery_of(document)
            if delivery.claimed_by != worker:
                return delivery  # recorded, but the answer was lost; or claimed by another task after our lease
            self.database.commit(update_delivery(document, attempted))
            return attempted

        recorded = self.retry(record)
        if recorded.is_pending and recorded.claimed_by is None:
            self.outbox.enqueue(recorded)
        return recorded

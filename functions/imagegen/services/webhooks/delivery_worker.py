"""Makes one attempt to deliver a webhook.

The queue may deliver a task twice, in parallel, early, late, or never. A commit on the delivery decides which task
sends the webhook. A receiver may still get an event twice, under the same id, if its answer was lost.

A receiver that fails gets one attempt at a time, and pauses between them. Webhooks for a paused receiver, and those of
a user whose attempts take too long, are put off without an attempt.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from imagegen import events, tracing
from imagegen.dataclass import dataclass
from imagegen.documents.accounts import endpoints_of_user, update_endpoints, user_path
from imagegen.documents.fields import Unreadable
from imagegen.documents.generations import request_of, request_path
from imagegen.documents.receivers import (
    receiver_of,
    receiver_path,
    sending_of,
    sending_path,
    write_receiver,
    write_sending,
)
from imagegen.documents.webhooks import create_delivery, delivery_of, delivery_path, update_delivery
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.receivers import Receiver, Sending, origin_of, receiver_id
from imagegen.domain.times import rfc3339
from imagegen.domain.webhooks import Attempt, Delivery, DeliveryStatus, given_up_deliveries, retry_after
from imagegen.errors import AccountDeleted, ServiceUnavailable, UserNotFound
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Snapshot, Write
from imagegen.ports.webhook_sender import Undelivered, WebhookSender
from imagegen.services import unreadable
from imagegen.services.retry import Retry
from imagegen.services.unreadable import read_or_log
from imagegen.services.webhooks.outbox import Outbox
from imagegen.services.webhooks.secrets import WebhookSecrets
from imagegen.services.webhooks.signing import Event, send_signed

Describe = Callable[[GenerationRequest], Mapping[str, Any]]
"""Converts a request to the JSON that receivers get."""


@dataclass(frozen=True)
class State:
    """A delivery's receiver, and what its user's webhooks have taken, with their documents as read."""

    receiver: Receiver | None
    sending: Sending
    documents: tuple[Snapshot, Snapshot]

    def changed(self, receiver: Receiver | None, sending: Sending) -> list[Write]:
        """Return the writes of what has changed. A receiver that cannot be read is None, and never written."""
        writes: list[Write] = []
        if receiver is not None and receiver != self.receiver:
            writes.append(write_receiver(self.documents[0], receiver))
        if sending != self.sending:
            writes.append(write_sending(self.documents[1], sending))
        return writes


@dataclass(frozen=True)
class Claim:
    """A delivery that this task may attempt, and its receiver during the attempt."""

    delivery: Delivery
    receiver: Receiver | None


@dataclass(frozen=True)
class End:
    """A delivery and its receiver after an attempt.

    If the receiver was given up, ``writes`` disable it and create ``events``, the deliveries that tell its user.
    """

    delivery: Delivery
    receiver: Receiver | None
    writes: Sequence[Write] = ()
    events: Sequence[Delivery] = ()


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
        claim = self._claim(delivery_id, attempt, worker)
        if claim is None:
            return None
        if isinstance(claim, Delivery):  # it was put off
            if claim.is_pending:
                self.outbox.enqueue(claim)
            return claim.status
        made, is_last = self._attempt(claim, describe)
        return self._record(claim, made, self._delay(claim.delivery), is_last, worker).status

    def _delay(self, delivery: Delivery) -> timedelta:
        """Return the delay before the next attempt.

        Half of the delay is random, so that webhooks to a host that was down do not all retry at once.
        """
        seconds = delivery.delay_max(self.clock.now()).total_seconds()
        return timedelta(seconds=self.rng.uniform(seconds / 2, seconds))

    def _claim(self, delivery_id: str, attempt: int, worker: str) -> Claim | Delivery | None:
        """Claim the delivery for this task, or put it off if its receiver is paused or its user has to wait.

        Return the claim, or the delivery as put off, or None if the attempt was already made or the delivery has
        ended. Also return None for a delivery that cannot be read: it is logged, and its task must not come again and
        again.
        """

        put_off: Delivery | None = None

        def claim(_tries: int) -> Claim | Delivery | None:
            nonlocal put_off
            [document] = self.database.read(delivery_path(delivery_id))
            delivery = read_or_log(delivery_of, document) if document.exists else None
            if delivery is not None and delivery == put_off:
                return put_off  # our own commit was applied, but its answer was lost
            if delivery is None or not delivery.is_pending or delivery.attempt_count != attempt:
                return None
            tracing.continue_delivery(delivery)
            is_ours = delivery.claimed_by == worker  # as above
            now = self.clock.now()
            if not is_ours and now < delivery.next_attempt_at:
                raise ServiceUnavailable(f"Webhook {delivery_id} is not due yet, or another task is attempting it.")
            state = _state(delivery, self.database.read(*_state_paths(delivery)))
            if is_ours:
                return Claim(delivery, state.receiver)
            paused_until = state.receiver.paused_until if state.receiver and not delivery.awaits_resend else None
            waits = [state.sending.waits_until, paused_until]
            until = max((time for time in waits if time is not None), default=now)
            if until > now:
                end = self._ended(delivery.put_off(until + self._delay(delivery)), state.receiver, None)
                put_off = end.delivery
                changes = state.changed(end.receiver, state.sending)
                self.database.commit(update_delivery(document, put_off), *changes, *end.writes)
                self.outbox.enqueue(*end.events)
                return put_off
            claimed = delivery.claimed(worker, now)
            receiver = state.receiver and state.receiver.claimed(claimed.next_attempt_at)
            self.database.commit(update_delivery(document, claimed), *state.changed(receiver, state.sending))
            return Claim(claimed, receiver)

        return self.retry(claim)

    def _attempt(self, claim: Claim, describe: Describe) -> tuple[Attempt, bool]:
        """Send the webhook once. Return the attempt, and whether it is final."""
        delivery = claim.delivery
        [document] = self.database.read(request_path(delivery.generation_request_id))
        at, began = self.clock.now(), self.clock.monotonic()
        if claim.receiver is None:
            return Attempt(at, timedelta(), error="the receiver cannot be read", counts=False), False
        if claim.receiver.deleted_at is not None:
            return Attempt(at, timedelta(), error="the endpoint was deleted", counts=False), True
        try:
            secrets = self.secrets.signing(claim.receiver)
        except (UserNotFound, AccountDeleted):
            return Attempt(at, timedelta(), error="the user does not exist", counts=False), True
        except Unreadable as bad:
            unreadable.log(bad)
            return Attempt(at, timedelta(), error="the webhook secret cannot be read", counts=False), False
        data = delivery.data
        if data is None:
            if (request := read_or_log(request_of, document)) is None:
                return Attempt(at, timedelta(), error="the request cannot be read", counts=False), False
            data = describe(request)
        event = Event(delivery.id, delivery.type, delivery.created_at, data)
        answer = error = None
        try:
            answer = send_signed(self.sender, delivery.url, secrets, event, at)
        except Undelivered as undelivered:
            error = str(undelivered)
        duration = timedelta(seconds=self.clock.monotonic() - began)
        if answer is None:
            made = Attempt(at, duration, error=error)
        else:
            asked = retry_after(answer.status_code, answer.retry_after, at + duration)
            made = Attempt(at, duration, answer.status_code, retry_after=asked)
        outcome = events.Event.WEBHOOK_ACCEPTED if made.succeeded else events.Event.WEBHOOK_NOT_ACCEPTED
        events.info(outcome, deliveryId=delivery.id, statusCode=made.status_code)
        return made, False

    def _record(self, claim: Claim, made: Attempt, delay: timedelta, is_last: bool, worker: str) -> Delivery:
        """Record the attempt, enqueue the next one if there is one, and return the delivery as it is now."""
        attempted = claim.delivery.attempted(made, delay, is_last=is_last)

        def record(_tries: int) -> Delivery:
            document, *documents = self.database.read(delivery_path(attempted.id), *_state_paths(attempted))
            if not document.exists:
                return attempted  # deleted with its user's account
            delivery = delivery_of(document)
            if delivery.claimed_by != worker:
                return delivery  # recorded, but the answer was lost; or claimed by another task after our lease
            state = _state(delivery, documents)
            receiver = claim.receiver and state.receiver and state.receiver.attempted(made, claim.receiver)
            end = self._ended(attempted, receiver, made)
            changes = state.changed(end.receiver, state.sending.attempted(made))
            self.database.commit(update_delivery(document, end.delivery), *changes, *end.writes)
            self.outbox.enqueue(*end.events)
            return end.delivery

        recorded = self.retry(record)
        if recorded.is_pending and recorded.claimed_by is None:
            self.outbox.enqueue(recorded)
        return recorded

    def _ended(self, delivery: Delivery, receiver: Receiver | None, made: Attempt | None) -> End:
        """Give the receiver up if a delivery has failed for good and nothing else was accepted for long.

        If it is an endpoint, disable it. Tell the user's other endpoints.
        """
        if delivery.status is not DeliveryStatus.FAILED or receiver is None or (made and not made.counts):
            return End(delivery, receiver)
        now = self.clock.now()
        is_gone = delivery.endpoint_id is not None and made is not None and made.status_code == HTTPStatus.GONE
        given_up = receiver.given_up(now, is_gone=is_gone)
        if given_up == receiver:
            return End(delivery, receiver)
        events.info(events.Event.WEBHOOK_RECEIVER_GIVEN_UP, endpointId=receiver.id)
        [user] = self.database.read(user_path(delivery.user_id))
        endpoints = read_or_log(endpoints_of_user, user) or ()
        writes: list[Write] = []
        if any(endpoint.id == delivery.endpoint_id for endpoint in endpoints):
            disabled = [
                replace(endpoint, enabled=endpoint.enabled and endpoint.id != delivery.endpoint_id)
                for endpoint in endpoints
            ]
            writes.append(update_endpoints(user, disabled))
        failing_since = receiver.failing_since
        data = {
            "deliveryId": delivery.id,
            "endpointId": delivery.endpoint_id,
            "origin": origin_of(delivery.url),
            "failingSince": failing_since and rfc3339(failing_since),
        }
        told = given_up_deliveries(delivery, data, endpoints, now)
        writes += map(create_delivery, told)
        return End(replace(delivery, receiver_given_up=True), given_up, writes, told)


def _state_paths(delivery: Delivery) -> tuple[str, str]:
    """Return the paths of the documents that decide whether a delivery may be attempted now."""
    id = delivery.endpoint_id or receiver_id(delivery.user_id, origin_of(delivery.url))
    return receiver_path(id), sending_path(delivery.user_id)


def _state(delivery: Delivery, documents: Sequence[Snapshot]) -> State:
    """Return the state that the documents hold. What a user's webhooks have taken is as if new if it is unreadable."""
    receiver, sending = documents
    new = Receiver(receiver.id, delivery.user_id, origin_of(delivery.url))
    stored = read_or_log(receiver_of, receiver) if receiver.exists else new
    return State(stored, read_or_log(sending_of, sending) or Sending(), (receiver, sending))

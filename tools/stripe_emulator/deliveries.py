"""Sends events to the webhook as Stripe does: signed, concurrently, and again until they are accepted."""

import heapq
import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import requests
from stripe import WebhookSignature

from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.errors import NotFound
from tools.stripe_emulator.objects import Object

SUBSCRIBED = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
"""The types of events that are sent: those that the webhook handles, as docs/deploying.md says."""
TIMEOUT_SECONDS = 30
RETRY_WINDOW_SECONDS = 3 * 86_400
QUEUED_MAX = 10_000
_THREADS = 4


@dataclass
class Delivery:
    """An event and the HTTP statuses of the attempts to send it. 0 is an attempt without a response."""

    event: Object
    statuses: deque[int] = field(default_factory=lambda: deque(maxlen=100))


class Deliveries:
    """Sends the events to ``url``, and signs them with each of the secrets.

    While ``held`` is true, an event is sent only by ``send``. So a test can double, reorder, delay or lose events.
    """

    def __init__(
        self, url: str, webhook_secrets: Sequence[str], clock: MovableClock, report: Callable[[str], None]
    ) -> None:
        self.url = url
        self.held = False
        self._secrets = webhook_secrets
        self._clock = clock
        self._report = report
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, Delivery]] = []
        self._numbers = count()
        self._deliveries: OrderedDict[str, Delivery] = OrderedDict()
        self._sending = 0
        self._stopped = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    def enqueue(self, event: Object) -> None:
        """Send the event, unless the webhook does not want its type. Drop it if the queue is full."""
        if event["type"] not in SUBSCRIBED:
            return
        with self._changed:
            delivery = Delivery(event)
            self._deliveries[event["id"]] = delivery
            if len(self._deliveries) > QUEUED_MAX:
                self._deliveries.popitem(last=False)
            if not self.held:
                self._put(delivery, self._clock.now())

    def send(self, event_id: str) -> int:
        """Send an event now, once. Return the status of the response, or 0 without a response. Raises NotFound."""
        if not (delivery := self._deliveries.get(event_id)):
            raise NotFound("event", event_id)
        status = self._attempt(delivery)
        delivery.statuses.append(status)
        return status

    def all(self) -> list[Delivery]:
        """Return the deliveries, oldest first."""
        with self._changed:
            return list(self._deliveries.values())

    def wake(self) -> None:
        """Look at the clock again."""
        with self._changed:
            self._changed.notify_all()

    def wait_until_sent(self, timeout_seconds: float) -> bool:
        """Wait until nothing is due or being sent. Return False if that takes too long."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._sending and not (self._queue and self._queue[0][0] <= self._clock.now()),
                timeout_seconds,
            )

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _put(self, delivery: Delivery, due: float) -> None:
        if len(self._queue) < QUEUED_MAX:
            heapq.heappush(self._queue, (due, next(self._numbers), delivery))
            self._changed.notify_all()

    def _work(self) -> None:
        while delivery := self._next():
            status = self._attempt(delivery)
            with self._changed:
                delivery.statuses.append(status)
                self._sending -= 1
                delay = 5 ** min(len(delivery.statuses) - 1, 6)  # from one second to a few hours
                now = self._clock.now()
                if not 200 <= status < 300 and now < delivery.event["created"] + RETRY_WINDOW_SECONDS:
                    self._report(f"{delivery.event['type']} was answered {status or 'by nobody'}; again in {delay} s")
                    self._put(delivery, now + delay)
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """Wait for a delivery that is due. Return None when the server stops."""
        with self._changed:
            while not self._stopped:
                wait = self._queue[0][0] - self._clock.now() if self._queue else None
                if wait is not None and wait <= 0:
                    self._sending += 1
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait)
            return None

    def _attempt(self, delivery: Delivery) -> int:
        payload = json.dumps(delivery.event, indent=2)
        signatures = [WebhookSignature.generate_signature_header(payload, secret) for secret in self._secrets]
        header = signatures[0] + "".join("," + signature.partition(",")[2] for signature in signatures[1:])
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
        try:
            return requests.post(
                self.url, payload.encode(), headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            ).status_code
        except requests.RequestException:
            return 0

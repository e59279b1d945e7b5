"""Simulates hostile receivers: webhooks of one user that hang, beside those of an honest user.

The services are real. They run on the in-memory Firestore, on a virtual clock, and on queues with a fixed number of
slots. The check is that the hostile user takes few slots of the first attempts, so that the honest user's webhooks
arrive in time.
"""

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from imagegen.bootstrap import Backend
from imagegen.documents.generations import create_request
from imagegen.documents.webhooks import create_delivery
from imagegen.domain.generation import Fingerprint, GenerationRequest, Order
from imagegen.domain.ledger import Credits
from imagegen.domain.webhooks import Delivery, deliveries_for
from imagegen.errors import ServiceUnavailable
from imagegen.ports.clock import Clock
from imagegen.ports.webhook_sender import Answer, Unreachable
from imagegen.services.credits.accounts import new_account
from imagegen.services.images.storage import Images
from imagegen.services.webhooks.outbox import FIRST_ATTEMPTS
from simulation.calls import COLOR, MODELS, SIZES, STYLE
from simulation.runner import quiet
from simulation.scheduler import Scheduler, VirtualClock
from simulation.store import Store
from simulation.webhooks import described
from tools.fakes import NO_LIMITS, AuthAccountList, FileStore, ImmediateGenerator

START = datetime(2026, 11, 18, 12, tzinfo=UTC)
SLOTS = 50
TIMEOUT_SECONDS = 20.0
HONEST_URL = "https://honest.example.com/hook"
HOSTILE_EVERY_SECONDS = 2.0
"""The rate limit of requests admits one in two seconds."""

HONEST_EVERY_SECONDS = 30.0
OVERHEAD_SECONDS = 0.1
"""The reads and commits of an attempt."""

Hang = Callable[[Clock, str], Answer]
"""The behavior of a hostile receiver, by its URL."""


def never_answers(clock: Clock, _url: str) -> Answer:
    clock.sleep(TIMEOUT_SECONDS)
    raise Unreachable("the receiver took longer than 20 s")


def accepts_late(clock: Clock, _url: str) -> Answer:
    clock.sleep(TIMEOUT_SECONDS - 1)
    return Answer(200)


@dataclass
class SlotQueue:
    """Queues that each make at most ``SLOTS`` deliveries at once, in order. They know every name."""

    scheduler: Scheduler
    clock: Clock
    work: Callable[[dict[str, str]], None] = lambda _task: None
    waiting: dict[str, deque[dict[str, str]]] = field(default_factory=dict)
    busy: Counter[str] = field(default_factory=Counter)
    busy_seconds: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """The seconds that each user has taken of each queue's slots."""
    names: set[str] = field(default_factory=set)

    def put(self, queue: str, task: dict[str, str], name: str, not_before: datetime | None = None) -> bool:
        if name in self.names:
            return False
        self.names.add(name)
        wait = max((not_before - self.clock.now()).total_seconds(), 0.0) if not_before else 0.0
        self.scheduler.later(wait, lambda: self._arrive(queue, task))
        return True

    def _arrive(self, queue: str, task: dict[str, str]) -> None:
        self.waiting.setdefault(queue, deque()).append(task)
        self._dispatch(queue)

    def _dispatch(self, queue: str) -> None:
        while self.waiting[queue] and self.busy[queue] < SLOTS:
            task = self.waiting[queue].popleft()
            self.busy[queue] += 1
            self.scheduler.spawn("worker", partial(self._run, queue, task))

    def _run(self, queue: str, task: dict[str, str]) -> None:
        began = self.clock.monotonic()
        self.clock.sleep(OVERHEAD_SECONDS)
        try:
            self.work(task)
        except ServiceUnavailable:
            self.scheduler.later(10, lambda: self._arrive(queue, task))
        self.busy[queue] -= 1
        self.busy_seconds[queue, task["deliveryId"].partition("-")[0]] += self.clock.monotonic() - began
        self._dispatch(queue)


@dataclass
class Sender:
    """Sends to honest receivers, which answer at once, and to hostile ones."""

    clock: Clock
    hang: Hang
    honest: list[datetime] = field(default_factory=list)
    """The times at which the honest receiver got a webhook."""
    posts: int = 0
    """The number of webhooks sent to hostile receivers."""

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        if url == HONEST_URL:
            self.honest.append(self.clock.now())
            return Answer(200)
        self.posts += 1
        return self.hang(self.clock, url)


@dataclass(frozen=True)
class WebhookLoad:
    """The result: the longest delay of an honest webhook, the mean slots of the hostile user, and the posts."""

    honest_delay_seconds: float
    first_slots: float
    retry_slots: float
    posts: int


def run(hang: Hang, *, hours: float = 1.0, urls: int = 1) -> WebhookLoad:
    """Simulate a hostile user who sends webhooks to ``urls`` origins in turn, for some hours."""
    rng = random.Random(1)
    scheduler = Scheduler(rng)
    clock = VirtualClock(scheduler, START, scheduler.pause)
    store, queue = Store(), SlotQueue(scheduler, clock)
    sender, ids = Sender(clock, hang), iter(range(10**9))
    models, images = {"mock": ImmediateGenerator()}, Images(FileStore())
    auth_accounts, new_id = AuthAccountList(), lambda: f"id{next(ids)}"
    backend = Backend.on(
        store, queue, sender, models, images, clock, rng, new_id, NO_LIMITS, auth_accounts=auth_accounts
    )

    def work(task: dict[str, str]) -> None:
        backend.delivery_worker.deliver(task["deliveryId"], int(task["attempt"]), described)

    queue.work = work
    for user in ("hostile", "honest"):
        store.commit(*new_account(user, {}, Credits(paid=1), START)[1])
    made: list[Delivery] = []

    def settle(user: str, number: int, url: str) -> None:
        request = _request(user, f"{user}-{number}", url, clock.now())
        [delivery] = deliveries_for(request)
        store.commit(create_request(request), create_delivery(delivery))
        made.append(delivery)
        backend.outbox.enqueue(delivery)

    seconds = hours * 3600
    for number in range(int(seconds / HOSTILE_EVERY_SECONDS)):
        url = f"https://{number % urls}.example.com/hook"
        scheduler.spawn("hostile", partial(settle, "hostile", number, url), number * HOSTILE_EVERY_SECONDS)
    for number in range(int(seconds / HONEST_EVERY_SECONDS)):
        scheduler.spawn("honest", partial(settle, "honest", number, HONEST_URL), number * HONEST_EVERY_SECONDS)
    with quiet():
        scheduler.run(until_seconds=seconds)
    scheduler.close()
    honest = sorted(delivery.created_at for delivery in made if delivery.user_id == "honest")
    arrived = sorted(sender.honest)
    assert len(arrived) >= len(honest) - 1, "every honest webhook arrives"
    delays = [(got - sent).total_seconds() for sent, got in zip(honest, arrived, strict=False)]
    hostile = {name: taken for (name, user), taken in queue.busy_seconds.items() if user == "hostile"}
    first = hostile.get(FIRST_ATTEMPTS, 0.0)
    return WebhookLoad(max(delays), first / seconds, (sum(hostile.values()) - first) / seconds, sender.posts)


def _request(user: str, id: str, url: str, at: datetime) -> GenerationRequest:
    order = Order(user, MODELS[0], STYLE, COLOR, SIZES[0], "a fox", Fingerprint(""), webhook_url=url)
    return GenerationRequest.of(order, id, id, Credits(paid=1), at).completed("https://x/", at)

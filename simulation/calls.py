"""Plans the calls of the clients: users, orders, times, repetitions and idempotency keys."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from imagegen.domain.catalog import Catalog, Color, Model, Size, Style
from imagegen.domain.endpoints import Endpoint, EventType
from imagegen.domain.generation import Fingerprint, Mode, Order, keyed_request_id
from imagegen.domain.ledger import Credits
from imagegen.domain.limits import Limits
from imagegen.domain.webhooks import Delivery
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.cancellation import Canceled
from imagegen.services.generations.create import Created
from simulation.scheduler import Actor
from tools.fakes import NO_LIMITS

MODELS = [
    Model.model_validate({"id": name, "name": name, "timeoutSeconds": seconds, "maxQueueSeconds": queue_seconds})
    for name, seconds, queue_seconds in (("quick", 5, 3600), ("slow", 60, 600))
]
SIZES = [
    Size.model_validate({"id": name, "name": name, "creditCost": cost, "width": 512, "height": 512})
    for name, cost in (("512x512", 1), ("1024x1024", 3), ("1024x1792", 4))
]
STYLE = Style(id="anime", name="anime")
COLOR = Color(id="neon", name="neon")

WEBHOOK_URL = "https://receiver.example.com/images"
ENDPOINTS_MAX = 3
"""The most webhook endpoints of a user."""

UNREGISTERED_USER = "stranger"
"""The id of a user who is not registered."""

PROMPTS = ("a fox", "a lighthouse")

PERIOD_SECONDS = 900.0
"""The latest time of the first call for an image, and the longest delay of each further call."""


class FixedCatalogs(Catalogs):
    """A fixed catalog, which is not read from the database."""

    def __init__(self) -> None:
        """Take no arguments: unlike the base class, it needs no database."""

    def current(self) -> Catalog:
        return Catalog(MODELS, [STYLE], [COLOR], SIZES)


@dataclass
class Call:
    """A call of createGenerationRequest, and its outcome. The outcome is None if the process crashed."""

    name: str
    at_seconds: float
    order: Order
    process: Actor | None = None
    began_at: datetime | None = None
    outcome: Created | Canceled | Delivery | Exception | None = None

    @property
    def request_id(self) -> str:
        """The id of the request that the order creates."""
        assert self.order.idempotency_key, "only a request with a key has an id before it is created"
        return keyed_request_id(self.order.user_id, self.order.idempotency_key)


@dataclass
class Cancel(Call):
    """A call of cancelGenerationRequest for the request that ``order`` creates."""


@dataclass
class Resend(Call):
    """A call of listWebhookDeliveries, and then of resendWebhook, for the request that ``order`` creates."""


def accounts(rng: random.Random) -> dict[str, Credits]:
    """Return a few users with few credits, so that a user runs out of credits in most seeds."""
    return {
        name: Credits(rng.randint(0, 5), rng.choice((0, 2, 5, 20)))
        for name in ("ann", "bob", "eve")[: rng.randint(1, 3)]
    }


def endpoints(rng: random.Random, users: Iterable[str]) -> dict[str, list[Endpoint]]:
    """Return the webhook endpoints of each user: none in most seeds, and else up to three, some of them filtered."""
    if rng.random() < 0.7:
        return {}
    events = ((), (EventType.COMPLETED,), (EventType.FAILED, EventType.CANCELED), (EventType.GIVEN_UP,))
    return {
        user: [
            Endpoint(f"endpoint-{user}-{number}", f"https://{user}-{number}.example.com/", rng.choice(events))
            for number in range(rng.randint(1, ENDPOINTS_MAX))
        ]
        for user in users
    }


def limits(rng: random.Random) -> Limits:
    """Return limits that no user reaches in 70 % of the seeds, and narrow limits in the others."""
    if rng.random() < 0.7:
        return NO_LIMITS
    return Limits(
        burst=rng.randint(1, 4),
        per_minute=rng.choice((1, 2, 60)),
        concurrent=rng.randint(1, 3),
        canceled_runs_per_day=rng.randint(1, 3),
        calls_per_minute=NO_LIMITS.calls_per_minute,
        resends_per_hour=rng.randint(1, 5),
    )


def plan(rng: random.Random, users: list[str], limits: Limits) -> list[Call]:
    """Return the calls of all clients. Many calls are at the same moment.

    Every fourth seed has a user who resends one webhook again and again. Where the limits are narrow, every second
    seed has a user who cancels one request after another.
    """
    rushes = [rng.uniform(0, PERIOD_SECONDS) for _ in range(3)]
    calls = [
        call
        for number in range(rng.randint(2, 7))
        for call in _calls_for_image(rng, users, rng.choice(rushes), f"key-{number // 2}")
    ]
    if limits is not NO_LIMITS and rng.random() < 0.5:
        calls += _cancel_storm(rng, rng.choice(users))
    if rng.random() < 0.25:
        calls += _resend_storm(rng, rng.choice(users))
    return [replace(call, name=f"client-{number}") for number, call in enumerate(calls, 1)]


def _calls_for_image(rng: random.Random, users: list[str], rush_seconds: float, key: str) -> Iterator[Call]:
    """Yield all calls that a user makes for one image."""
    user = UNREGISTERED_USER if rng.random() < 0.02 else rng.choice(users)
    start_seconds = rush_seconds if rng.random() < 0.7 else rng.uniform(0, PERIOD_SECONDS)
    order = _order(rng, user, key if rng.random() < 0.7 else None)
    yield Call("", start_seconds, order)
    if order.idempotency_key is None:
        return
    for _ in range(rng.choice((0, 0, 1, 2, 4))):
        repeated = order if rng.random() < 0.85 else _order(rng, user, key)
        yield Call("", start_seconds + _later(rng), repeated)
    if rng.random() < 0.3:
        yield Cancel("", start_seconds + _later(rng), order)
    for _ in range(rng.choice((0, 0, 1, 2)) if order.webhook_url else 0):
        yield Resend("", start_seconds + _later(rng), order)


def _cancel_storm(rng: random.Random, user: str) -> Iterator[Call]:
    """Yield calls that create requests quickly and cancel each soon afterwards, some of them twice at once."""
    at_seconds = rng.uniform(0, PERIOD_SECONDS)
    for number in range(rng.randint(4, 12)):
        at_seconds += rng.choice((0.0, 1.0, rng.uniform(0, 10)))
        order = replace(_order(rng, user, f"storm-{number}"), size=SIZES[0])
        yield Call("", at_seconds, order)
        canceled_at_seconds = at_seconds + rng.choice((0.05, rng.uniform(0, 5)))
        for _ in range(rng.choice((1, 1, 2))):
            yield Cancel("", canceled_at_seconds, order)


def _resend_storm(rng: random.Random, user: str) -> Iterator[Call]:
    """Yield a call that creates a request with a webhook, and calls that resend the webhook, often several at once."""
    at_seconds = rng.uniform(0, PERIOD_SECONDS)
    order = replace(_order(rng, user, "storm-webhook"), size=SIZES[0], webhook_url=WEBHOOK_URL)
    yield Call("", at_seconds, order)
    for _ in range(rng.randint(10, 30)):
        at_seconds += rng.choice((0.0, 0.0, 0.01, rng.uniform(0, 10)))
        yield Resend("", at_seconds, order)


def _later(rng: random.Random) -> float:
    return rng.choice((0.0, 0.05, rng.uniform(0, 30), rng.uniform(0, PERIOD_SECONDS)))


def _order(rng: random.Random, user: str, key: str | None) -> Order:
    model, size = rng.choice(MODELS), rng.choice(SIZES)
    prompt = rng.choice(PROMPTS)
    mode = rng.choice((Mode.SYNC, Mode.SYNC, Mode.ASYNC))
    webhook_url = rng.choice((None, WEBHOOK_URL))
    payload = f"{model.name}, {size.name}, {prompt}, {mode.value}, {webhook_url}"
    return Order(
        user_id=user,
        model=model,
        style=STYLE,
        color=COLOR,
        size=size,
        prompt=prompt,
        # The same payload is written in two ways.
        fingerprint=Fingerprint(rng.choice("ab") + payload, payload),
        mode=mode,
        webhook_url=webhook_url,
        idempotency_key=key,
        max_credits=rng.choice((None, None, None, size.credit_cost, size.credit_cost - 1)),
    )

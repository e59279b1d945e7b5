"""Simulates load: a burst fills a queue, and after a pause, requests arrive at 70 % of the queue's pace.

The services are real. They run on the in-memory Firestore and on a clock that moves from one dispatch to the next. The
check is that the backlog drains: once the load is below the queue's pace, nothing keeps the queue full.
"""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from imagegen.bootstrap import Backend
from imagegen.domain.generation import Fingerprint, Mode, Order, Status
from imagegen.domain.ledger import Credits
from imagegen.ports.task_queue import QueueUnavailable
from imagegen.services.credits.accounts import new_account
from imagegen.services.images.storage import Images
from simulation import checks
from simulation.calls import COLOR, MODELS, SIZES, STYLE, FixedCatalogs
from simulation.checks import Violation
from simulation.runner import quiet
from simulation.store import Store
from tools.fakes import NO_LIMITS, AcceptingSender, FileStore, ImmediateGenerator, ManualClock

START = datetime(2026, 11, 18, 12, tzinfo=UTC)
PACE_SECONDS = 3.0
"""The time between two dispatches of the queue."""

STEADY_SHARE = 0.7
BURST_SECONDS = 17 * 60.0
SWEEP_SECONDS = 300.0
NAME_KNOWN = timedelta(hours=1)
DELIVERIES_MAX = 5
USERS = 100
DRAINED = SWEEP_SECONDS / PACE_SECONDS
"""The number of waiting tasks up to which the queue counts as drained: the tasks of five minutes."""

EXTRA_SHARE_MAX = 0.12
"""The additional load that the sweeper may cause, as a share of the pace."""


@dataclass(frozen=True)
class Plan:
    """The load and the faults of a seed.

    ``backlog`` is the number of requests in the burst beyond the queue's pace. ``outage`` are the seconds in which
    every delivery fails, so that tasks use up their attempts.
    """

    backlog: int
    pause_seconds: float
    outage: tuple[float, float]
    lost_before: float
    lost_after: float
    failed: float
    repeats: int

    @classmethod
    def drawn(cls, rng: random.Random) -> "Plan":
        outage_begin = rng.uniform(0, 2 * BURST_SECONDS)
        return cls(
            backlog=round(rng.choice((20, 40, 60)) * 60 / PACE_SECONDS),
            pause_seconds=rng.uniform(0, 600),
            outage=(outage_begin, outage_begin + rng.choice((0, 300, 900))),
            lost_before=rng.choice((0.0, 0.05)),
            lost_after=rng.choice((0.0, 0.05)),
            failed=rng.choice((0.0, 0.05)),
            repeats=rng.choice((0, 0, 3)),
        )

    @property
    def drained_after_seconds(self) -> float:
        """The time from the start in which the queue must have drained, with a margin of a quarter."""
        spare = 1 - STEADY_SHARE - EXTRA_SHARE_MAX - self.failed
        outage = (self.outage[1] - self.outage[0]) / PACE_SECONDS
        return BURST_SECONDS + self.pause_seconds + 1.25 * (self.backlog + outage) * PACE_SECONDS / spare

    def arrivals(self) -> Iterator[float]:
        """Yield the times of all first calls, in seconds from the start."""
        burst = self.backlog + BURST_SECONDS / PACE_SECONDS
        yield from (number * BURST_SECONDS / burst for number in range(round(burst)))
        seconds = BURST_SECONDS + self.pause_seconds
        while seconds < self.drained_after_seconds:
            yield seconds
            seconds += PACE_SECONDS / STEADY_SHARE


@dataclass
class PacedQueue:
    """A queue that delivers one task at each dispatch, in order. A task that fails ``DELIVERIES_MAX`` times is gone.

    Like Cloud Tasks, it knows the name of a task that waits or has ended within the hour.
    """

    clock: ManualClock
    rng: random.Random
    plan: Plan
    waiting: deque[tuple[str, dict[str, str], int]] = field(default_factory=deque)
    ended_at: dict[str, datetime | None] = field(default_factory=dict)
    """The end of each named task, or None while it waits."""
    put_count: int = 0

    def put(self, queue: str, task: dict[str, str], name: str, not_before: datetime | None = None) -> bool:
        if self.rng.random() < self.plan.lost_before:
            raise QueueUnavailable("the queue cannot be reached")
        ended_at = self.ended_at.get(name)
        if name in self.ended_at and (ended_at is None or self.clock.now() < ended_at + NAME_KNOWN):
            return False
        self.ended_at[name] = None
        self.waiting.append((name, task, DELIVERIES_MAX))
        self.put_count += 1
        if self.rng.random() < self.plan.lost_after:
            raise QueueUnavailable("no answer")
        return True

    def dispatch(self, backend: Backend) -> None:
        """Deliver the task that has waited longest."""
        if not self.waiting:
            return
        name, task, tries = self.waiting.popleft()
        seconds = (self.clock.now() - START).total_seconds()
        if self.plan.outage[0] <= seconds < self.plan.outage[1] or self.rng.random() < self.plan.failed:
            if tries > 1:
                self.waiting.appendleft((name, task, tries - 1))
                return
        else:
            backend.worker.run(task["generationRequestId"], task["ticket"])
        self.ended_at[name] = self.clock.now()


@dataclass(frozen=True)
class Load:
    """The result of a seed."""

    plan: Plan
    waiting: int
    """The tasks that still waited when the queue had to have drained."""
    put_count: int
    statuses: dict[Status, int]
    violations: list[Violation]


def run(seed: int) -> Load:
    """Simulate the load of ``seed``. The result is the same every time."""
    rng = random.Random(seed)
    plan = Plan.drawn(rng)
    clock, store = ManualClock(START), Store()
    queue = PacedQueue(clock, rng, plan)
    ids = iter(range(10**9))
    backend = Backend.on(
        store,
        queue,
        AcceptingSender(),
        {"mock": ImmediateGenerator()},
        Images(FileStore()),
        clock,
        rng,
        lambda: f"id-{next(ids)}",
        NO_LIMITS,
    )
    backend = replace(backend, catalogs=FixedCatalogs())
    for number in range(USERS):
        _, writes = new_account(f"user-{number}", {}, Credits(paid=10_000), START)
        store.commit(*writes)
    with quiet():
        _simulate(plan, clock, queue, backend)
        waiting = len(queue.waiting)
        violations = list(_violations(store, plan, queue))
    requests = checks.requests_of(store).values()
    statuses = {status: sum(request.status is status for request in requests) for status in Status}
    return Load(plan, waiting, queue.put_count, statuses, violations)


def _simulate(plan: Plan, clock: ManualClock, queue: PacedQueue, backend: Backend) -> None:
    """Run until the queue has been drained for a while, or until it must have drained."""
    arrivals = deque(enumerate(plan.arrivals()))
    swept_at = full_at = 0.0
    sweeper = replace(backend.sweeper, run=map)  # threads would make the order random
    ticks = round(plan.drained_after_seconds / PACE_SECONDS)
    for tick in range(ticks):
        seconds = tick * PACE_SECONDS
        clock.at = START + timedelta(seconds=seconds)
        while arrivals and arrivals[0][1] <= seconds:
            number, _ = arrivals.popleft()
            for _ in range(1 + plan.repeats):
                backend.generations.create(_order(number))
        queue.dispatch(backend)
        if seconds < BURST_SECONDS + plan.pause_seconds or len(queue.waiting) > DRAINED:
            full_at = seconds
        if seconds - full_at > 4 * SWEEP_SECONDS:
            return
        if seconds - swept_at >= SWEEP_SECONDS:
            swept_at = seconds
            sweeper.sweep()


def _order(number: int) -> Order:
    return Order(
        user_id=f"user-{number % USERS}",
        model=MODELS[0],
        style=STYLE,
        color=COLOR,
        size=SIZES[0],
        prompt="a fox",
        fingerprint=Fingerprint(""),
        idempotency_key=f"{number}",
        mode=Mode.ASYNC,
    )


def _violations(store: Store, plan: Plan, queue: PacedQueue) -> Iterator[Violation]:
    """Yield the violations at the end. The requests of the last quarter of an hour must not have failed."""
    if len(queue.waiting) > DRAINED:
        yield Violation("RECOVERY", f"{len(queue.waiting)} tasks still wait, after a backlog of {plan.backlog}")
    requests = checks.requests_of(store)
    now = queue.clock.now()
    for request in requests.values():
        if request.is_open and request.must_end_by + timedelta(seconds=2 * SWEEP_SECONDS) < now:
            yield Violation("END", f"{request.id} is still open")
        recent = request.created_at > now - timedelta(seconds=3 * SWEEP_SECONDS)
        if recent and not plan.failed and request.status is Status.FAILED:
            yield Violation("RECOVERY", f"{request.id} failed: {request.failure}")

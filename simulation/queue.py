"""A fake task queue, which delivers tasks late, too early, in any order, twice, simultaneously or never.

It knows the name of a task while the task waits, and for an hour after the task has ended. If it is like the queue of
the emulator, it knows every name indefinitely.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from imagegen.ports.clock import Clock
from imagegen.ports.task_queue import QueueUnavailable
from simulation.faults import Faults
from simulation.scheduler import Scheduler

DELAYS_SECONDS = (0.0, 0.5, 60.0, 1_000.0)
DELIVERIES_MAX = 4
RETRY_SECONDS = 10.0
NAME_KNOWN = timedelta(hours=1)

Work = Callable[[str, dict[str, str]], bool]
"""A worker: takes the name of a queue and a task, and returns whether the task is done."""


class SimulatedQueue:
    """Runs ``work`` for each task in a separate actor.

    ``has_delays`` is whether the queue supports ``not_before``. Cloud Tasks does, and its emulator does not.
    """

    def __init__(self, scheduler: Scheduler, clock: Clock, faults: Faults, rng: random.Random, work: Work) -> None:
        self.has_delays = rng.random() < 0.5
        self._scheduler = scheduler
        self._clock = clock
        self._faults = faults
        self._rng = rng
        self._work = work
        self.names: dict[tuple[str, str], set[str]] = defaultdict(set)
        """The names of the tasks of each request and of each attempt of a delivery."""
        self._delivered = 0
        self._waiting: Counter[str] = Counter()
        """The number of deliveries to come, by the name of their task."""
        self._known_until: dict[str, datetime] = {}

    def put(self, queue: str, task: dict[str, str], name: str, not_before: datetime | None = None) -> bool:
        self._faults.step(self._rng.choice((0.0, 0.01)))
        rates = self._faults.rates
        if self._faults.occurs(rates.lost_before):
            self._scheduler.note("task refused")
            raise QueueUnavailable("the queue cannot be reached")
        if self._knows(name):
            self._scheduler.note("task known")
            return False
        self._end(name)
        id = task.get("deliveryId") or task["generationRequestId"]
        self.names[id, task.get("attempt", "")].add(name)
        if self._faults.occurs(rates.task_lost):
            self._scheduler.note("task lost")
            return True
        wait = not_before - self._clock.now() if self.has_delays and not_before else timedelta()
        seconds = max(wait.total_seconds(), 0.0)
        self._deliver(queue, task, name, DELIVERIES_MAX, seconds)
        while self._faults.occurs(rates.task_twice):
            self._scheduler.note("task delivered again")
            self._deliver(queue, task, name, DELIVERIES_MAX, seconds)
        if self._faults.occurs(rates.lost_after):
            self._scheduler.note("task put, answer lost")
            raise QueueUnavailable("no answer")
        return True

    def _deliver(self, queue: str, task: dict[str, str], name: str, tries: int, after_seconds: float) -> None:
        late = self._faults.occurs(self._faults.rates.late)
        seconds = after_seconds + (self._rng.uniform(0, self._rng.choice(DELAYS_SECONDS)) if late else 0.0)
        self._delivered += 1
        self._waiting[name] += 1

        def run() -> None:
            if not self._work(queue, task) and tries > 1:
                self._deliver(queue, task, name, tries - 1, RETRY_SECONDS)
            self._waiting[name] -= 1
            self._end(name)

        self._scheduler.spawn(f"worker-{self._delivered}", run, seconds)

    def _end(self, name: str) -> None:
        """Keep the name for an hour, in case none of its deliveries is to come."""
        self._known_until[name] = (
            self._clock.now() + NAME_KNOWN if self.has_delays else datetime.max.replace(tzinfo=UTC)
        )

    def _knows(self, name: str) -> bool:
        return bool(self._waiting[name]) or (name in self._known_until and self._clock.now() < self._known_until[name])

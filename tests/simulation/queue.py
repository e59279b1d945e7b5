"""A task queue as it may behave: tasks arrive late, in any order, twice, at once, or never."""

import random
from collections.abc import Callable
from datetime import datetime

from imagegen.queue import QueueUnavailable
from tests.simulation.faults import Faults
from tests.simulation.scheduler import Scheduler

DELAYS_SECONDS = (0.0, 0.5, 60.0, 1_000.0)
DELIVERIES_MAX = 4
RETRY_SECONDS = 10.0


class SimulatedQueue:
    """Delivers each task to ``work``, which tells whether it is done with it, in a process of its own."""

    def __init__(
        self, scheduler: Scheduler, faults: Faults, rng: random.Random, work: Callable[[dict[str, str]], bool]
    ) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._rng = rng
        self._work = work
        self._delivered = 0

    def put(self, queue: str, task: dict[str, str], not_before: datetime | None = None) -> None:
        self._faults.step(self._rng.choice((0.0, 0.01)))
        rates = self._faults.rates
        if self._faults.strikes(rates.lost_before):
            self._scheduler.note("task refused")
            raise QueueUnavailable("the queue is not there")
        if self._faults.strikes(rates.task_lost):
            self._scheduler.note("task lost")
            return
        self._deliver(task, DELIVERIES_MAX)
        while self._faults.strikes(rates.task_twice):
            self._scheduler.note("task delivered again")
            self._deliver(task, DELIVERIES_MAX)
        if self._faults.strikes(rates.lost_after):
            self._scheduler.note("task put, answer lost")
            raise QueueUnavailable("no answer")

    def _deliver(self, task: dict[str, str], tries: int, after_seconds: float = 0.0) -> None:
        late = self._faults.strikes(self._faults.rates.late)
        seconds = after_seconds + (self._rng.uniform(0, self._rng.choice(DELAYS_SECONDS)) if late else 0.0)
        self._delivered += 1

        def run() -> None:
            if not self._work(task) and tries > 1:
                self._deliver(task, tries - 1, RETRY_SECONDS)

        self._scheduler.spawn(f"worker-{self._delivered}", run, seconds)

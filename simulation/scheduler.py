"""Runs actors on a virtual clock, one at a time, in an order that the seed determines."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from greenlet import GreenletExit, getcurrent, greenlet

MICROSECONDS = 1_000_000
STEPS_MAX = 100_000
"""Many times the steps of the longest run so far."""


class NoQuiescence(Exception):
    """The actors have not ended after ``STEPS_MAX`` steps."""


@dataclass(frozen=True)
class Event:
    """An event of the trace: its virtual time in microseconds, its actor, its kind and details."""

    at_us: int
    actor: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.at_us / MICROSECONDS:12.6f}  {self.actor:<16} {self.kind:<24} {self.detail}".rstrip()


class Actor(greenlet):
    """A simulated process. Actors share only the ports, such as the database, and the clock."""

    def __init__(self, name: str, run: Callable[[], object], parent: greenlet) -> None:
        super().__init__(run, parent)
        self.name = name
        self.ids: list[str] = []
        self.crashed = False


class Scheduler:
    """Runs actors until all have ended. The order of simultaneous actions is random."""

    def __init__(self, rng: random.Random) -> None:
        self.now_us = 0
        self.trace: list[Event] = []
        self._rng = rng
        self._hub = getcurrent()
        self._numbers = count()
        self._due: list[tuple[int, float, int, Callable[[], object]]] = []
        self._crashed: list[Actor] = []
        self._steps = 0
        self._closed = False

    @property
    def actor(self) -> Actor | None:
        """The actor that is running, or None."""
        current = getcurrent()
        return current if isinstance(current, Actor) else None

    def note(self, kind: str, detail: str = "") -> None:
        actor = self.actor
        self.trace.append(Event(self.now_us, "-" if actor is None else actor.name, kind, detail))

    def spawn(self, name: str, run: Callable[[], object], after_seconds: float = 0.0) -> Actor:
        """Create an actor that starts in ``after_seconds``."""
        actor = Actor(name, run, self._hub)
        self.later(after_seconds, actor.switch)
        return actor

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Run ``action`` in ``seconds``, outside of any actor."""
        due = self.now_us + round(seconds * MICROSECONDS)
        heapq.heappush(self._due, (due, self._rng.random(), next(self._numbers), action))

    def pause(self, seconds: float) -> None:
        """Pause the current actor for ``seconds``, and run other actors meanwhile."""
        self._check()
        actor = getcurrent()
        self.later(seconds, actor.switch)
        self._hub.switch()

    def crash(self) -> None:
        """End the current actor here. It is not resumed during the run, so not even its ``finally`` blocks run."""
        self._check()
        actor = self.actor
        assert actor is not None, "only actors crash"
        actor.crashed = True
        self._crashed.append(actor)
        self._hub.switch()

    def run(self, until_seconds: float | None = None) -> None:
        """Run until no action is left. Raises NoQuiescence after ``STEPS_MAX`` steps.

        With ``until_seconds``, stop at that time instead.
        """
        if until_seconds is not None:
            self.later(until_seconds - self.now_us / MICROSECONDS, self._due.clear)
        while self._due:
            self._steps += 1
            if self._steps > STEPS_MAX:
                raise NoQuiescence
            self.now_us, _, _, action = heapq.heappop(self._due)
            action()

    def close(self) -> None:
        """Free the stacks of the crashed actors. Call it after the run, when their effects no longer count."""
        self._closed = True
        for actor in self._crashed:
            actor.throw(GreenletExit)

    def _check(self) -> None:
        if self._closed:
            raise GreenletExit


class VirtualClock:
    """The ``Clock`` of the actors. ``sleep`` is called to pass their time."""

    def __init__(self, scheduler: Scheduler, start: datetime, sleep: Callable[[float], None]) -> None:
        self._scheduler = scheduler
        self._start = start
        self.sleep = sleep

    def now(self) -> datetime:
        return self._start + timedelta(microseconds=self._scheduler.now_us)

    def monotonic(self) -> float:
        return self._scheduler.now_us / MICROSECONDS

"""Draws the faults of a run. Each seed has its own rates of faults."""

import random
from dataclasses import dataclass, field, fields
from typing import Self

from simulation.scheduler import Scheduler

STALL_SECONDS_MAX = 900.0
"""Longer than any lease."""


@dataclass(frozen=True)
class Rates:
    """The probability of each fault, from 0 to 1, at each step or call at which it can occur."""

    crash: float = field(default=0.0, metadata={"usual": 0.03, "worst": 0.3})
    stall: float = field(default=0.0, metadata={"usual": 0.03, "worst": 0.2})
    refused: float = field(default=0.0, metadata={"usual": 0.3, "worst": 0.98})
    lost_before: float = field(default=0.0, metadata={"usual": 0.15, "worst": 0.9})
    lost_after: float = field(default=0.0, metadata={"usual": 0.2, "worst": 0.9})
    late: float = field(default=0.0, metadata={"usual": 0.2, "worst": 0.9})
    task_lost: float = field(default=0.0, metadata={"usual": 0.2, "worst": 1.0})
    task_twice: float = field(default=0.0, metadata={"usual": 0.3, "worst": 0.6})
    unavailable: float = field(default=0.0, metadata={"usual": 0.15, "worst": 0.9})
    provider_stuck: float = field(default=0.0, metadata={"usual": 0.15, "worst": 0.9})

    @classmethod
    def drawn(cls, rng: random.Random) -> Self:
        """Draw the rates. Half of the rates are 0, and one in ten may be up to its worst value.

        One seed in ten has no faults.
        """
        if rng.random() < 0.1:
            return cls()
        return cls(**{fault.name: cls._rate(rng, **fault.metadata) for fault in fields(cls)})

    @staticmethod
    def _rate(rng: random.Random, usual: float, worst: float) -> float:
        roll = rng.random()
        if roll < 0.5:
            return 0.0
        return rng.uniform(0, worst if roll > 0.9 else usual)


class Faults:
    """The faults of a run. After ``stop``, no fault occurs."""

    def __init__(self, scheduler: Scheduler, rng: random.Random) -> None:
        self.rates = Rates.drawn(rng)
        self.scheduler = scheduler
        self._rng = rng

    def stop(self) -> None:
        self.rates = Rates()

    def occurs(self, rate: float) -> bool:
        return rate > 0 and self._rng.random() < rate

    def step(self, seconds: float) -> None:
        """Let ``seconds`` pass for the current actor. The actor may crash first, or stall for up to 15 minutes."""
        if self.occurs(self.rates.crash):
            self.scheduler.note("crash")
            self.scheduler.crash()
        if self.occurs(self.rates.stall):
            seconds += self._rng.uniform(1, STALL_SECONDS_MAX)
            self.scheduler.note("stall", f"{seconds:.0f} s")
        self.scheduler.pause(seconds)

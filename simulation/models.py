"""A fake image generator on the virtual clock, with every outcome that a real one can have."""

import random
from collections.abc import Mapping
from typing import Any

from imagegen.ports.image_generator import GeneratorFailed, GeneratorTimedOut, Job
from simulation.faults import Faults

LATE_SECONDS = (200.0, 900.0)
"""The duration of a late answer. Most last longer than the lease, as if the process had been frozen."""


class SimulatedModel:
    """Returns an image, fails, crashes, returns nothing, times out or answers late. Each seed has its own weights."""

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng
        self.generated: list[str] = []
        """The id of the request of each call of ``generate``."""
        self._weights = [rng.choice((0.0, 1.0, 5.0)) for _ in range(5)]

    def check(self, options: Mapping[str, Any]) -> None:
        """Accept all options."""

    def generate(self, job: Job) -> str:
        self.generated.append(job.request_id)
        deadline = job.timeout_seconds
        [outcome] = self._rng.choices(
            ("image", "failure", "crash", "nothing", "timeout", "late"), [5.0, *self._weights]
        )
        self._faults.scheduler.note(f"model: {outcome}")
        if outcome == "timeout":
            self._faults.step(deadline)
            raise GeneratorTimedOut(f"{job.model} did not answer within {deadline:g} s.")
        self._faults.step(self._rng.uniform(*LATE_SECONDS) if outcome == "late" else self._rng.uniform(0, deadline))
        if outcome == "failure":
            raise GeneratorFailed("The provider could not make it.")
        if outcome == "crash":
            raise RuntimeError("a bug of the provider's client")
        return "" if outcome == "nothing" else f"https://images.example.com/{job.request_id}.png"

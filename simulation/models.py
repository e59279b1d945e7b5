"""A model that does everything that models do, on the virtual clock."""

import random
from collections.abc import Mapping
from typing import Any

from imagegen.ports.image_generator import GeneratorFailed, GeneratorTimedOut, Job
from simulation.faults import Faults

LATE_SECONDS = (200.0, 900.0)
"""So long that the lease has run out meanwhile: as if its process had been frozen."""


class SimulatedModel:
    """Delivers, fails, crashes, answers with nothing, or takes too long; each seed has its own mixture of these."""

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng
        self.generated: list[str] = []
        """The request of every image that was to be made."""
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

"""A fake image generator on the virtual clock, with every outcome that a real one can have."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagegen.ports.clock import Clock
from imagegen.ports.image_generator import (
    GeneratorFailed,
    GeneratorMisconfigured,
    GeneratorRefused,
    GeneratorTimedOut,
    Job,
    Misconfiguration,
    Picture,
)
from simulation.faults import Faults

LATE_SECONDS = (200.0, 900.0)
"""The duration of a late answer. Most last longer than the lease, as if the process had been frozen."""


@dataclass
class ModelRun:
    """A run of a model for a request. ``ended_at`` is None if the process crashed during the run."""

    request_id: str
    ended_at: datetime | None = None


class SimulatedModel:
    """Returns an image or another outcome of a real provider, or answers late. Each seed has its own weights."""

    def __init__(self, faults: Faults, rng: random.Random, clock: Clock) -> None:
        self._faults = faults
        self._rng = rng
        self._clock = clock
        self.runs: list[ModelRun] = []
        """A run for each call of ``generate``."""
        self._served_elsewhere = rng.choice((0.0, 0.5, 1.0))
        self._weights = [rng.choice((0.0, 1.0, 5.0)) for _ in range(7)]

    def check(self, options: Mapping[str, Any]) -> None:
        """Accept all options."""

    @property
    def is_stuck(self) -> bool:
        stuck = self._faults.occurs(self._faults.rates.provider_stuck)
        if stuck:
            self._faults.scheduler.note("provider hangs")
        return stuck

    def generate(self, job: Job) -> Picture | str:
        run = ModelRun(job.request_id)
        self.runs.append(run)
        try:
            return self._generate(job)
        finally:  # not after a crash
            run.ended_at = self._clock.now()

    def _generate(self, job: Job) -> Picture | str:
        deadline = job.timeout_seconds
        [outcome] = self._rng.choices(
            ("image", "failure", "crash", "nothing", "timeout", "late", "refusal", "misconfigured"),
            [5.0, *self._weights],
        )
        self._faults.scheduler.note(f"model: {outcome}")
        if outcome == "timeout":
            self._faults.step(deadline)
            raise GeneratorTimedOut(f"{job.model} did not answer within {deadline:g} s.")
        self._faults.step(self._rng.uniform(*LATE_SECONDS) if outcome == "late" else self._rng.uniform(0, deadline))
        if outcome == "failure":
            raise GeneratorFailed("The provider could not make it.")
        if outcome == "refusal":
            raise GeneratorRefused("The content policy forbids it.")
        if outcome == "misconfigured":
            raise GeneratorMisconfigured("There is no key.", Misconfiguration.KEY)
        if outcome == "crash":
            raise RuntimeError("a bug of the provider's client")
        if outcome == "nothing":
            return ""
        if self._faults.occurs(self._served_elsewhere):
            return f"https://images.example.com/{job.request_id}.png"
        return Picture(job.request_id.encode())

"""A model that draws nothing: it answers with its catalog document's fixed image, or fails at its rate."""

import random

from imagegen.ports.clock import Clock
from imagegen.ports.image_generator import GeneratorUnavailable, Job


class MockGenerator:
    """Fails for a ``failure_rate`` part of its jobs, after ``latency_seconds`` either way."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng

    def generate(self, job: Job) -> str:
        model = job.model
        if model.latency_seconds:
            self._clock.sleep(model.latency_seconds)
        if self._rng.random() < model.failure_rate:
            raise GeneratorUnavailable(f"{model.name} could not generate this image.")
        return model.image_url

"""The mock provider: returns the fixed image of the model's document, or fails at the model's rate."""

import random
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from imagegen.ports.clock import Clock
from imagegen.ports.image_generator import GeneratorUnavailable, Job


class MockOptions(BaseModel):
    """The mock's fields of a model's document. ``failure_rate`` is the share of jobs that fail, 0 to 1.

    ``image_url`` is a URL, or a path on the site of this project.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="ignore")

    image_url: Annotated[str, Field(min_length=1)]
    failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    latency_seconds: Annotated[float, Field(ge=0)] = 0.0


class MockGenerator:
    """Returns the image URL, or fails, after the model's latency."""

    def __init__(self, clock: Clock, rng: random.Random, site: str) -> None:
        self._clock = clock
        self._rng = rng
        self._site = site

    def check(self, options: Mapping[str, Any]) -> None:
        MockOptions.model_validate(options)

    def generate(self, job: Job) -> str:
        options = MockOptions.model_validate(job.provider_options)
        if options.latency_seconds:
            self._clock.sleep(options.latency_seconds)
        if self._rng.random() < options.failure_rate:
            raise GeneratorUnavailable(f"{job.model} could not generate this image.")
        return f"{self._site}{options.image_url}" if options.image_url.startswith("/") else options.image_url

"""Imports and creates an image generator when it is first used, so that a cold start does not pay for all of them."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from imagegen.ports.image_generator import ImageGenerator, Job, Picture


class OnFirstUse:
    """An image generator that ``create`` returns. Two threads may create it twice, which does no harm."""

    def __init__(self, create: Callable[[], ImageGenerator]) -> None:
        self._create = create

    @cached_property
    def _generator(self) -> ImageGenerator:
        return self._create()

    def check(self, options: Mapping[str, Any]) -> None:
        self._generator.check(options)

    def generate(self, job: Job) -> Picture | str:
        return self._generator.generate(job)

"""The models. A real provider is one more class with a ``generate`` method, registered in ``bootstrap``."""

from dataclasses import dataclass
from typing import Protocol

from imagegen.domain.catalog import Model
from imagegen.domain.generation import GenerationRequest


@dataclass(frozen=True)
class Job:
    """One image to make, and with what. The request's id is unique to it, for providers that accept such a key."""

    request: GenerationRequest
    model: Model


class GeneratorFailed(Exception):
    """The provider could not make the image; the message may be shown to the caller."""


class GeneratorUnavailable(GeneratorFailed):
    """The provider could not make it this time; it may the next."""


class GeneratorTimedOut(Exception):
    """The image was not there by the model's deadline."""


class ImageGenerator(Protocol):
    def generate(self, job: Job) -> str:
        """The URL of the finished image. Raises GeneratorFailed, GeneratorUnavailable or GeneratorTimedOut."""

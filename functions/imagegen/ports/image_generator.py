"""The port to image providers. `docs/recipes.md` shows how to add a provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """An image to generate.

    ``request_id`` is unique to the image. Send it to a provider that accepts an idempotency key. ``provider_model`` is
    the provider's name for ``model``. ``provider_options`` are the fields of the model's document that only the
    provider uses. ``width`` and ``height`` are in pixels. ``timeout_seconds`` is the deadline of all ``max_attempts``
    together.
    """

    request_id: str
    model: str
    provider_model: str
    provider_options: Mapping[str, Any]
    prompt: str
    input: Mapping[str, str] | None
    style: str
    color: str
    size: str
    width: int
    height: int
    timeout_seconds: float
    max_attempts: int


class GeneratorFailed(Exception):
    """The provider could not generate the image. The message is shown to the caller."""


class GeneratorUnavailable(GeneratorFailed):
    """The provider could not generate the image this time. Another attempt may succeed."""


class GeneratorTimedOut(Exception):
    """The image was not ready by the model's deadline."""


class ImageGenerator(Protocol):
    """A provider. An adapter makes one attempt. ``bootstrap`` adds the retries and the deadline.

    An adapter must pass ``job.timeout_seconds`` to its client as the timeout, because Python cannot stop a thread.
    """

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError if a model cannot be offered with these provider options. The message is logged."""

    def generate(self, job: Job) -> str:
        """Return the URL of the image. Raises GeneratorFailed, GeneratorUnavailable and GeneratorTimedOut."""


class ProtectedGenerator(ImageGenerator, Protocol):
    """A provider with the retries and the deadline of ``bootstrap``."""

    @property
    def is_stuck(self) -> bool:
        """Return True if so many images are still being generated after their deadline that no other should start."""

"""Providers of images: what the product asks of them. `docs/recipes.md` says how to add one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """One image to make, in plain values.

    ``request_id`` is unique to the image: give it to a provider that accepts an idempotency key. ``provider_model`` is
    the provider's own name for ``model``. ``provider_options`` are the fields of the model's document that only the
    provider knows. ``width`` and ``height`` are pixels. ``timeout_seconds`` is the deadline of all ``max_attempts``.
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
    """The provider could not make the image; the message may be shown to the caller."""


class GeneratorUnavailable(GeneratorFailed):
    """The provider could not make the image this time. Another attempt may succeed."""


class GeneratorTimedOut(Exception):
    """The image was not there by the model's deadline."""


class ImageGenerator(Protocol):
    """A provider. Retries and a deadline are added around it, so an adapter makes one attempt."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError if a model with these provider options cannot be offered; the message is logged."""

    def generate(self, job: Job) -> str:
        """Return the URL of the image. Raise GeneratorFailed, GeneratorUnavailable or GeneratorTimedOut."""

"""The port to image providers. `docs/recipes.md` shows how to add a provider."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from imagegen.dataclass import dataclass


@dataclass(frozen=True)
class Job:
    """An image to generate.

    ``request_id`` is unique to the image. Send it to a provider that accepts an idempotency key. ``provider_model`` is
    the provider's name for ``model``. ``provider_options`` are the fields of the model's document that only the
    provider uses. ``provider_prompt`` is the prompt with the style and the color woven in. ``width`` and ``height`` are
    in pixels. ``seed`` is the caller's. ``timeout_seconds`` is the deadline of all ``max_attempts`` together.
    """

    request_id: str
    model: str
    provider_model: str
    provider_options: Mapping[str, Any]
    prompt: str
    provider_prompt: str
    input: Mapping[str, str] | None
    style: str
    color: str
    size: str
    width: int
    height: int
    timeout_seconds: float
    max_attempts: int
    seed: int | None = None


@dataclass(frozen=True)
class Picture:
    """A picture that a provider made. It need not have the ordered size, and it is not checked yet.

    ``seed`` is the seed that the provider used. ``revised_prompt`` is the prompt that it used instead of the job's.
    ``provider_id`` is the provider's name for this picture or call, and ``cost_usd`` is what it charges, if known.
    """

    content: bytes
    seed: int | None = None
    revised_prompt: str | None = None
    provider_id: str | None = None
    cost_usd: float | None = None


class GeneratorFailed(Exception):
    """The provider could not generate the image. The message is shown to the caller."""


class GeneratorRefused(GeneratorFailed):
    """The provider's content policy forbids the image. Another attempt would be refused too."""


class GeneratorUnavailable(GeneratorFailed):
    """The provider could not generate the image this time. Another attempt may succeed.

    It should not start before ``retry_after_seconds``, if the provider says so.
    """

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Misconfiguration(StrEnum):
    """A problem that only the operator can solve: a key, a quota, a model that was shut down, or a wrong option."""

    KEY = "KEY"
    QUOTA = "QUOTA"
    MODEL = "MODEL"
    OPTIONS = "OPTIONS"


class GeneratorMisconfigured(GeneratorFailed):
    """The model cannot generate images until the operator solves ``problem``."""

    def __init__(self, message: str, problem: Misconfiguration) -> None:
        super().__init__(message)
        self.problem = problem


class GeneratorTimedOut(Exception):
    """The image was not ready by the model's deadline."""


class ImageGenerator(Protocol):
    """A provider. An adapter makes one attempt. ``bootstrap`` adds the retries and the deadline.

    An adapter must pass ``job.timeout_seconds`` to its client as the timeout, because Python cannot stop a thread.
    """

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError if a model cannot be offered with these provider options. The message is logged."""

    def generate(self, job: Job) -> Picture | str:
        """Return a picture to store, or the URL of an image that is served elsewhere.

        Raises GeneratorFailed, a subclass of it, or GeneratorTimedOut.
        """


class ProtectedGenerator(ImageGenerator, Protocol):
    """A provider with the retries and the deadline of ``bootstrap``."""

    @property
    def is_stuck(self) -> bool:
        """Return True if so many images are still being generated after their deadline that no other should start."""

"""The images endpoint of OpenAI, and of every server that speaks it."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from imagegen.adapters.generators.http_api import ErrorAnswer, TokenPrices, cost_usd, misconfigured, post
from imagegen.ports.image_generator import (
    GeneratorFailed,
    GeneratorRefused,
    Job,
    Misconfiguration,
    Picture,
)

REFUSALS = frozenset(
    {"moderation_blocked", "content_policy_violation", "content_filter", "image_generation_user_error"}
)
"""The codes of errors for prompts that a content policy forbids."""

PROBLEMS = {
    "insufficient_quota": Misconfiguration.QUOTA,
    "billing_hard_limit_reached": Misconfiguration.QUOTA,
    "billing_not_active": Misconfiguration.QUOTA,
    "invalid_api_key": Misconfiguration.KEY,
    "model_not_found": Misconfiguration.MODEL,
    "model_deprecated": Misconfiguration.MODEL,
}
"""The problems of the operator, by the code of the error. They come with several HTTP statuses."""


class OpenAIOptions(BaseModel):
    """The provider's fields of a model's document.

    ``sizes`` are the sizes that the model has. ``parameters`` are sent as they are, such as ``quality``.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="ignore")

    base_url: Annotated[str, Field(pattern="^https?://")] = "https://api.openai.com/v1"
    sizes: Annotated[list[Annotated[str, Field(pattern=r"^[1-9]\d{1,4}x[1-9]\d{1,4}$")]], Field(min_length=1)] = [
        "1024x1024",
        "1024x1536",
        "1536x1024",
    ]
    parameters: dict[str, Any] = {}
    usd_per_million_tokens: TokenPrices | None = None


class OpenAIGenerator:
    """Sends each job to ``{baseUrl}/images/generations``. Without a ``key``, no key is sent.

    ``is_on`` is False where the operator has not switched the provider on.
    """

    def __init__(self, *, is_on: bool, key: str) -> None:
        self._is_on = is_on
        self._key = key

    def check(self, options: Mapping[str, Any]) -> None:
        if not self._is_on:
            raise ValueError("OPENAI_PROVIDER is not set")
        OpenAIOptions.model_validate(options)

    def generate(self, job: Job) -> Picture:
        options = OpenAIOptions.model_validate(job.provider_options)
        if job.input is not None and "photoUrl" in job.input:
            raise GeneratorFailed(f"{job.model} cannot start from a photo.")
        body = {
            "model": job.provider_model,
            "prompt": job.provider_prompt,
            "size": nearest(options.sizes, job.width, job.height),
            "n": 1,
            **({} if job.seed is None else {"seed": job.seed}),
            **options.parameters,
        }
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            answer = post(job, f"{options.base_url.rstrip('/')}/images/generations", body, headers)
        except ErrorAnswer as error:
            raise _failure(job, error) from error
        return _picture(job, answer, options.usd_per_million_tokens)


def nearest(sizes: list[str], width: int, height: int) -> str:
    """Return the size with the nearest shape, and among those the smallest that is large enough, or the largest."""

    def distance(size: str) -> tuple[float, bool, int]:
        across, down = map(int, size.split("x"))
        shape = max(across * height, width * down) / min(across * height, width * down)
        is_too_small = across < width or down < height
        return round(shape, 2), is_too_small, -across if is_too_small else across

    return min(sizes, key=distance)


def _failure(job: Job, error: ErrorAnswer) -> GeneratorFailed:
    details = error.body.get("error")
    named = [details.get("code"), details.get("type")] if isinstance(details, dict) else []
    codes = [code for code in named if isinstance(code, str)]
    if any(code in REFUSALS for code in codes):
        return GeneratorRefused(f"The content policy of {job.model} does not allow this image.")
    for code in codes:
        if code in PROBLEMS:
            return misconfigured(job, PROBLEMS[code])
    return error.for_job(job)


def _picture(job: Job, answer: dict[str, Any], prices: TokenPrices | None) -> Picture:
    """Return the picture of an answer. Raises GeneratorFailed if there is none."""
    try:
        [made, *_] = answer["data"]
        content = base64.b64decode(made["b64_json"], validate=True)
        revised = made.get("revised_prompt")
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise GeneratorFailed(f"{job.model} returned no image.") from error
    if not content:
        raise GeneratorFailed(f"{job.model} returned no image.")
    return Picture(
        content,
        seed=job.seed,
        revised_prompt=revised if isinstance(revised, str) else None,
        cost_usd=cost_usd(prices, answer.get("usage"), "input_tokens", "output_tokens"),
    )

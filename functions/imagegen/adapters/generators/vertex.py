"""Gemini image models on Vertex AI, with the service account of the functions instead of a key."""

import base64
import binascii
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from imagegen.adapters.generators.http_api import ErrorAnswer, TokenPrices, cost_usd, misconfigured, post
from imagegen.ports.image_generator import (
    GeneratorFailed,
    GeneratorRefused,
    GeneratorUnavailable,
    Job,
    Misconfiguration,
    Picture,
)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_SECONDS = 10.0


class Meaning(Enum):
    """The meaning of a reason for which there is no picture."""

    REFUSED = "a content policy forbids the picture"
    FAILED = "the model could not make the picture"
    MISCONFIGURED = "the model does not make pictures with these options"


REASONS = {
    "SAFETY": Meaning.REFUSED,
    "OTHER": Meaning.FAILED,
    "BLOCKLIST": Meaning.REFUSED,
    "PROHIBITED_CONTENT": Meaning.REFUSED,
    "IMAGE_SAFETY": Meaning.REFUSED,
    "MODEL_ARMOR": Meaning.REFUSED,
    "FINISH_REASON_UNSPECIFIED": Meaning.FAILED,
    "STOP": Meaning.FAILED,
    "MAX_TOKENS": Meaning.FAILED,
    "RECITATION": Meaning.REFUSED,
    "LANGUAGE": Meaning.FAILED,
    "SPII": Meaning.REFUSED,
    "MALFORMED_FUNCTION_CALL": Meaning.FAILED,
    "UNEXPECTED_TOOL_CALL": Meaning.FAILED,
    "TOO_MANY_TOOL_CALLS": Meaning.FAILED,
    "MISSING_THOUGHT_SIGNATURE": Meaning.MISCONFIGURED,
    "MALFORMED_RESPONSE": Meaning.FAILED,
    "IMAGE_PROHIBITED_CONTENT": Meaning.REFUSED,
    "IMAGE_RECITATION": Meaning.REFUSED,
    "IMAGE_OTHER": Meaning.FAILED,
    "NO_IMAGE": Meaning.FAILED,
    "ESCALATION": Meaning.FAILED,
    "PUP_LIMITED_DISABLED": Meaning.MISCONFIGURED,
    "CONTINUATION": Meaning.FAILED,
}
"""The reasons for which a candidate ends. An answer without a picture and with any other reason is a failure."""

ASPECT_RATIOS = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"]


class NoToken(Exception):
    """There are no credentials, or they cannot be refreshed. ``is_transient`` tells whether that may pass."""

    def __init__(self, *, is_transient: bool) -> None:
        super().__init__("no token")
        self.is_transient = is_transient


class Credentials(Protocol):
    """The credentials of the functions."""

    def project(self) -> str:
        """Return the id of the Google Cloud project. Raises NoToken."""

    def token(self) -> str:
        """Return an access token that is valid now. Raises NoToken."""


class VertexOptions(BaseModel):
    """The provider's fields of a model's document. ``parameters`` are added to the request's ``generationConfig``."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="ignore")

    location: Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")] = "global"
    base_url: Annotated[str | None, Field(pattern="^https?://")] = None
    aspect_ratios: Annotated[list[Annotated[str, Field(pattern=r"^[1-9]\d?:[1-9]\d?$")]], Field(min_length=1)] = (
        ASPECT_RATIOS
    )
    parameters: dict[str, Any] = {}
    usd_per_million_tokens: TokenPrices | None = None

    @property
    def host(self) -> str:
        """The URL of the API."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        prefix = "" if self.location == "global" else f"{self.location}-"
        return f"https://{prefix}aiplatform.googleapis.com"


class VertexGenerator:
    """Sends each job to the model's ``generateContent``."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def check(self, options: Mapping[str, Any]) -> None:
        VertexOptions.model_validate(options)

    def generate(self, job: Job) -> Picture:
        options = VertexOptions.model_validate(job.provider_options)
        if job.input is not None and "photoUrl" in job.input:
            raise GeneratorFailed(f"{job.model} cannot start from a photo.")
        try:
            project, token = self._credentials.project(), self._credentials.token()
        except NoToken as error:
            if error.is_transient:
                raise GeneratorUnavailable(f"{job.model} cannot be reached.") from error
            raise misconfigured(job, Misconfiguration.KEY) from error
        model = f"projects/{project}/locations/{options.location}/publishers/google/models/{job.provider_model}"
        config = {
            "responseModalities": ["TEXT", "IMAGE"],
            "candidateCount": 1,
            "imageConfig": {"aspectRatio": nearest(options.aspect_ratios, job.width, job.height)},
            **({} if job.seed is None else {"seed": job.seed}),
            **options.parameters,
        }
        body = {"contents": [{"role": "user", "parts": [{"text": job.provider_prompt}]}], "generationConfig": config}
        try:
            url = f"{options.host}/v1/{model}:generateContent"
            answer = post(job, url, body, {"Authorization": f"Bearer {token}"})
        except ErrorAnswer as error:
            raise error.for_job(job) from error
        return _picture(job, answer, options.usd_per_million_tokens)


def nearest(ratios: list[str], width: int, height: int) -> str:
    """Return the aspect ratio with the nearest shape."""

    def distance(ratio: str) -> float:
        across, down = map(int, ratio.split(":"))
        return max(across * height, width * down) / min(across * height, width * down)

    return min(ratios, key=distance)


def _picture(job: Job, answer: dict[str, Any], prices: TokenPrices | None) -> Picture:
    """Return the first picture of an answer. Raises what the reason means if there is none."""
    candidates = _list(answer.get("candidates"))
    for candidate in candidates:
        content = candidate.get("content")
        for part in _list(content.get("parts") if isinstance(content, dict) else None):
            inline = part.get("inlineData")
            # A thought is a draft of the picture.
            if isinstance(inline, dict) and not part.get("thought") and (decoded := _decoded(inline.get("data"))):
                usage = answer.get("usageMetadata")
                cost = cost_usd(prices, usage, "promptTokenCount", "candidatesTokenCount")
                named = answer.get("responseId")
                return Picture(
                    decoded, seed=job.seed, provider_id=named if isinstance(named, str) else None, cost_usd=cost
                )
    feedback = answer.get("promptFeedback")
    is_blocked = isinstance(feedback, dict) and feedback.get("blockReason") is not None
    reasons = [candidate.get("finishReason") for candidate in candidates]
    meanings = {REASONS.get(reason) for reason in reasons if isinstance(reason, str)}
    if is_blocked or Meaning.REFUSED in meanings:
        raise GeneratorRefused(f"The content policy of {job.model} does not allow this image.")
    if Meaning.MISCONFIGURED in meanings:
        raise misconfigured(job, Misconfiguration.OPTIONS)
    raise GeneratorFailed(f"{job.model} returned no image.")


def _list(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _decoded(data: object) -> bytes:
    if not isinstance(data, str):
        return b""
    try:
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        return b""

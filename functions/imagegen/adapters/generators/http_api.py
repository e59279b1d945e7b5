"""Calls the JSON API of a provider over HTTP: one attempt, within the deadline of the job."""

import json
from http import HTTPStatus
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, ConfigDict, Field

from imagegen.ports.image_generator import (
    GeneratorFailed,
    GeneratorMisconfigured,
    GeneratorTimedOut,
    GeneratorUnavailable,
    Job,
    Misconfiguration,
)

ANSWER_BYTES_MAX = 48 * 1024 * 1024
"""A picture of 32 MB in base64, and the rest of the answer."""

CONNECT_SECONDS = 10.0
RETRY_AFTER_MAX = 60.0


class TokenPrices(BaseModel):
    """A provider's prices of a million tokens, in US dollars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[float, Field(ge=0)] = 0.0
    output: Annotated[float, Field(ge=0)] = 0.0


def cost_usd(prices: TokenPrices | None, usage: object, input: str, output: str) -> float | None:
    """Return the cost of a call whose answer has ``usage``, or None without prices or tokens.

    ``input`` and ``output`` are the names of the numbers of tokens.
    """
    tokens = [usage.get(input), usage.get(output)] if isinstance(usage, dict) else []
    match tokens:
        case [int(sent), int(received)] if prices is not None:
            return round((sent * prices.input + received * prices.output) / 1_000_000, 6)
    return None


class ErrorAnswer(Exception):
    """The provider answered with an error. ``body`` is the JSON of the answer, or an empty map."""

    def __init__(self, status: int, body: dict[str, Any], retry_after_seconds: float) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.retry_after_seconds = retry_after_seconds

    def for_job(self, job: Job) -> GeneratorFailed:
        """Return the failure that the status stands for in every API."""
        match self.status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN | HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                return misconfigured(job, Misconfiguration.KEY)
            case HTTPStatus.PAYMENT_REQUIRED:
                return misconfigured(job, Misconfiguration.QUOTA)
            case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
                return misconfigured(job, Misconfiguration.MODEL)
            case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.CONFLICT | HTTPStatus.TOO_EARLY | HTTPStatus.TOO_MANY_REQUESTS:
                return self.unavailable(job)
            case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return self.unavailable(job)
        return misconfigured(job, Misconfiguration.OPTIONS)

    def unavailable(self, job: Job) -> GeneratorUnavailable:
        return GeneratorUnavailable(f"{job.model} is busy.", self.retry_after_seconds)


def misconfigured(job: Job, problem: Misconfiguration) -> GeneratorMisconfigured:
    return GeneratorMisconfigured(f"{job.model} is not available at the moment.", problem)


def post(job: Job, url: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Send one POST and return the JSON object of the answer. Redirects are not followed, and nothing is retried.

    Raises ErrorAnswer, GeneratorTimedOut, GeneratorUnavailable, and GeneratorFailed if the answer is not JSON.
    """
    timeout = httpx.Timeout(job.timeout_seconds, connect=min(CONNECT_SECONDS, job.timeout_seconds))
    try:
        with httpx.Client(timeout=timeout) as client, client.stream("POST", url, json=body, headers=headers) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    raise GeneratorFailed(f"{job.model} sent too much.")
    except httpx.ConnectTimeout as error:
        raise GeneratorUnavailable(f"{job.model} cannot be reached.") from error
    except httpx.TimeoutException as error:
        raise GeneratorTimedOut(f"{job.model} did not answer within {job.timeout_seconds:g} s.") from error
    except httpx.UnsupportedProtocol as error:
        raise misconfigured(job, Misconfiguration.OPTIONS) from error
    except httpx.HTTPError as error:
        raise GeneratorUnavailable(f"{job.model} cannot be reached.") from error
    parsed = _parsed(bytes(content))
    if not answer.is_success:
        raise ErrorAnswer(answer.status_code, parsed or {}, _retry_after(answer.headers))
    if parsed is None:
        raise GeneratorFailed(f"{job.model} could not generate this image.")
    return parsed


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object, or None if the content is something else."""
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _retry_after(headers: httpx.Headers) -> float:
    """Return the seconds of a Retry-After header, or 0 without one. A date is not supported."""
    try:
        seconds = float(headers.get("retry-after", 0))
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX)

"""Tests of the provider `vertex` against a local server, which Google's own SDK understands too."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from imagegen.adapters.generators.vertex import REASONS, Meaning, NoToken, VertexGenerator, VertexOptions, nearest
from imagegen.ports.image_generator import (
    GeneratorFailed,
    GeneratorMisconfigured,
    GeneratorRefused,
    GeneratorTimedOut,
    GeneratorUnavailable,
    Misconfiguration,
    Picture,
)
from tests.support.provider_server import JOB, ProviderServer, provider_server

TEXT = {"text": "Here it is."}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"picture").decode()}}
FAILURES = {
    Meaning.REFUSED: GeneratorRefused,
    Meaning.FAILED: GeneratorFailed,
    Meaning.MISCONFIGURED: GeneratorMisconfigured,
}


@dataclass
class FakeCredentials:
    error: NoToken | None = None

    def project(self) -> str:
        return "project-1"

    def token(self) -> str:
        if self.error is not None:
            raise self.error
        return "token-1"


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server() as server:
        yield server


def generated(server: ProviderServer, credentials: FakeCredentials | None = None, **changes: Any) -> Picture:
    options = {"baseUrl": server.url, **changes.pop("options", {})}
    job = replace(JOB, provider_options=options, **changes)
    return VertexGenerator(credentials or FakeCredentials()).generate(job)


def sdk(server: ProviderServer) -> types.GenerateContentResponse:
    """Return the answer to the official SDK."""
    client = genai.Client(
        vertexai=True,
        project="project-1",
        location="global",
        credentials=Credentials("token-1"),  # type: ignore[no-untyped-call]
        http_options=types.HttpOptions(base_url=server.url, api_version="v1"),
    )
    return client.models.generate_content(
        model="model-1",
        contents=JOB.provider_prompt,
        config=types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"], candidate_count=1, seed=7),
    )


def candidate(*parts: object, reason: str | None = "STOP") -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}]}


def test_picture_of_an_answer_is_returned(server: ProviderServer) -> None:
    usage = {"promptTokenCount": 20, "candidatesTokenCount": 1290, "totalTokenCount": 1310}
    named = {"responseId": "r-1", "usageMetadata": usage}
    server.answers(200, {**candidate(TEXT, {**IMAGE, "thought": True}, TEXT, IMAGE), **named})
    prices = {"usdPerMillionTokens": {"output": 30}}
    assert generated(server, options=prices) == Picture(b"picture", seed=7, provider_id="r-1", cost_usd=0.0387)
    answer = sdk(server)
    [seen] = answer.candidates or []
    parts = seen.content.parts if seen.content else None
    assert [part.inline_data.data for part in parts or () if part.inline_data][-1] == b"picture"
    ours, theirs = server.requests
    path = "/v1/projects/project-1/locations/global/publishers/google/models/model-1:generateContent"
    assert ours[0] == theirs[0] == path
    assert ours[1]["authorization"] == "Bearer token-1"
    assert ours[2]["contents"] == theirs[2]["contents"]
    ratio = {"imageConfig": {"aspectRatio": "9:16"}}
    assert ours[2]["generationConfig"] == {**theirs[2]["generationConfig"], **ratio}


def test_reasons_cover_those_of_the_sdk() -> None:
    assert {reason.value for reason in types.FinishReason} <= REASONS.keys()


@pytest.mark.parametrize(("reason", "meaning"), REASONS.items())
def test_every_reason_for_no_picture_has_a_meaning(server: ProviderServer, reason: str, meaning: Meaning) -> None:
    server.answers(200, candidate(TEXT, reason=reason))
    with pytest.raises(GeneratorFailed) as failure:
        generated(server)
    assert type(failure.value) is FAILURES[meaning]


@pytest.mark.parametrize("reason", [*(reason.value for reason in types.BlockedReason), "JAILBREAK"])
def test_blocked_prompt_is_a_refusal(server: ProviderServer, reason: str) -> None:
    server.answers(200, {"promptFeedback": {"blockReason": reason}})
    with pytest.raises(GeneratorRefused):
        generated(server)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": []},
        {"candidates": None},
        {"candidates": [None]},
        {"candidates": [{"finishReason": "A_NEW_REASON"}]},
        candidate(),
        candidate(TEXT),
        candidate({"inlineData": {}}),
        candidate({"inlineData": {"data": "%"}}),
        candidate({"inlineData": {"data": ""}}),
        candidate({**IMAGE, "thought": True}),
        "<html>",
    ],
    ids=str,
)
def test_answer_without_a_picture_is_a_failure(server: ProviderServer, body: Any) -> None:
    server.answers(200, body)
    with pytest.raises(GeneratorFailed) as failure:
        generated(server)
    assert type(failure.value) is GeneratorFailed


@pytest.mark.parametrize(
    ("status", "ours", "theirs"),
    [
        (400, GeneratorMisconfigured, errors.ClientError),
        (401, GeneratorMisconfigured, errors.ClientError),
        (403, GeneratorMisconfigured, errors.ClientError),
        (404, GeneratorMisconfigured, errors.ClientError),
        (429, GeneratorUnavailable, errors.ClientError),
        (499, GeneratorMisconfigured, errors.ClientError),
        (500, GeneratorUnavailable, errors.ServerError),
        (503, GeneratorUnavailable, errors.ServerError),
        (504, GeneratorUnavailable, errors.ServerError),
    ],
)
def test_every_error_of_the_sdk_has_a_meaning(
    server: ProviderServer, status: int, ours: type[Exception], theirs: type[Exception]
) -> None:
    server.answers(status, {"error": {"code": status, "message": "no", "status": "X"}})
    with pytest.raises(theirs):
        sdk(server)
    with pytest.raises(GeneratorFailed) as failure:
        generated(server)
    assert type(failure.value) is ours


def test_slow_server_is_a_timeout(server: ProviderServer) -> None:
    server.answers(200, None)
    with pytest.raises(GeneratorTimedOut):
        generated(server, timeout_seconds=0.1)


def test_missing_credentials_are_the_operators_problem(server: ProviderServer) -> None:
    with pytest.raises(GeneratorMisconfigured) as failure:
        generated(server, FakeCredentials(NoToken(is_transient=False)))
    assert failure.value.problem is Misconfiguration.KEY
    with pytest.raises(GeneratorUnavailable):
        generated(server, FakeCredentials(NoToken(is_transient=True)))


def test_nearest_aspect_ratio_is_ordered() -> None:
    ratios = VertexOptions().aspect_ratios
    assert [nearest(ratios, *size) for size in ((512, 512), (1024, 1792), (1792, 1024))] == ["1:1", "9:16", "16:9"]


def test_location_chooses_the_host() -> None:
    assert VertexOptions().host == "https://aiplatform.googleapis.com"
    assert VertexOptions(location="europe-west4").host == "https://europe-west4-aiplatform.googleapis.com"
    options: Any
    for options in ({"location": "x/y"}, {"baseUrl": "x"}, {"aspectRatios": []}, {"aspectRatios": ["wide"]}):
        with pytest.raises(ValueError, match="validation error"):
            VertexGenerator(FakeCredentials()).check(options)

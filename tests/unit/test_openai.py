"""Tests of the provider `openai` against a local server, which OpenAI's own SDK understands too."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest

from imagegen.adapters.generators.openai import PROBLEMS, REFUSALS, OpenAIGenerator, nearest
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

PICTURE = {"created": 1, "data": [{"b64_json": base64.b64encode(b"picture").decode(), "revised_prompt": "a tower"}]}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server() as server:
        yield server


def generated(server: ProviderServer, **changes: Any) -> Picture:
    options = {"baseUrl": f"{server.url}/v1", **changes.pop("options", {})}
    return OpenAIGenerator(is_on=True, key="sk-1").generate(replace(JOB, provider_options=options, **changes))


def sdk(server: ProviderServer) -> Any:
    """Return the answer to the official SDK, without its retries."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-1", max_retries=0, timeout=0.2) as client:
        return client.images.generate(model="model-1", prompt="a lighthouse", size="1024x1536", n=1)


def error(code: str | None = None, type: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": "no", "type": type, "code": code, "param": None}}


def test_picture_of_an_answer_is_returned(server: ProviderServer) -> None:
    server.answers(200, PICTURE)
    assert generated(server) == Picture(b"picture", seed=7, revised_prompt="a tower")
    assert sdk(server).data[0].b64_json == PICTURE["data"][0]["b64_json"]  # type: ignore[index]
    ours, theirs = server.requests
    assert ours[0] == theirs[0] == "/v1/images/generations"
    assert ours[1]["authorization"] == theirs[1]["authorization"] == "Bearer sk-1"
    expected = {"model": "model-1", "prompt": JOB.provider_prompt, "size": "1024x1536", "n": 1, "seed": 7}
    assert ours[2] == expected
    assert ours[2].keys() - {"seed"} == theirs[2].keys()


def test_options_of_the_model_are_sent(server: ProviderServer) -> None:
    server.answers(200, PICTURE)
    generated(server, seed=None, options={"parameters": {"quality": "low"}, "sizes": ["512x512", "256x256"]})
    [(_, _, body)] = server.requests
    assert (body["quality"], body["size"], "seed" in body) == ("low", "512x512", False)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"input_tokens": 50, "output_tokens": 4000, "total_tokens": 4050}, 0.16025),
        ({"input_tokens": None, "output_tokens": 4000}, None),
        ([], None),
        (None, None),
    ],
    ids=str,
)
def test_cost_is_the_tokens_at_the_prices_of_the_model(server: ProviderServer, usage: Any, cost: float | None) -> None:
    server.answers(200, {**PICTURE, "usage": usage})
    assert generated(server).cost_usd is None
    assert generated(server, options={"usdPerMillionTokens": {"input": 5, "output": 40}}).cost_usd == cost


STATUSES = [
    (400, openai.BadRequestError, GeneratorMisconfigured),
    (401, openai.AuthenticationError, GeneratorMisconfigured),
    (403, openai.PermissionDeniedError, GeneratorMisconfigured),
    (404, openai.NotFoundError, GeneratorMisconfigured),
    (409, openai.ConflictError, GeneratorUnavailable),
    (422, openai.UnprocessableEntityError, GeneratorMisconfigured),
    (429, openai.RateLimitError, GeneratorUnavailable),
    (500, openai.InternalServerError, GeneratorUnavailable),
    (503, openai.InternalServerError, GeneratorUnavailable),
]


@pytest.mark.parametrize(("status", "theirs", "ours"), STATUSES)
def test_every_error_of_the_sdk_has_a_meaning(
    server: ProviderServer, status: int, theirs: type[Exception], ours: type[Exception]
) -> None:
    server.answers(status, error(), Retry_After="3")
    with pytest.raises(theirs):
        sdk(server)
    with pytest.raises(GeneratorFailed) as failure:
        generated(server)
    assert type(failure.value) is ours
    if isinstance(failure.value, GeneratorUnavailable):
        assert failure.value.retry_after_seconds == 3


def test_no_error_class_of_the_sdk_is_forgotten() -> None:
    classes = {theirs for _, theirs, _ in STATUSES} | {openai.APITimeoutError, openai.APIConnectionError}
    of_statuses = {kind for kind in openai.APIStatusError.__subclasses__() if kind.__module__ == "openai"}
    assert of_statuses <= classes


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_refusal_is_told_apart_by_its_code(server: ProviderServer, code: str) -> None:
    for body in (error(code), error(None, code)):
        server.answers(400, body)
        with pytest.raises(openai.BadRequestError):
            sdk(server)
        with pytest.raises(GeneratorRefused):
            generated(server)


@pytest.mark.parametrize(("code", "problem"), PROBLEMS.items())
def test_operators_problem_is_told_apart_by_its_code(
    server: ProviderServer, code: str, problem: Misconfiguration
) -> None:
    server.answers(429, error(code))
    with pytest.raises(GeneratorMisconfigured) as failure:
        generated(server)
    assert failure.value.problem is problem


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": []},
        {"data": [{}]},
        {"data": [{"b64_json": ""}]},
        {"data": [{"b64_json": "%%%"}]},
        {"data": [{"b64_json": 1}]},
        {"data": None},
        {"data": {"b64_json": "cGljdHVyZQ=="}},
        [],
        "<html>",
        "",
    ],
    ids=str,
)
def test_answer_without_a_picture_is_a_failure(server: ProviderServer, body: Any) -> None:
    server.answers(200, body)
    with pytest.raises(GeneratorFailed) as failure:
        generated(server)
    assert type(failure.value) is GeneratorFailed


@pytest.mark.parametrize("body", ["", "<html>", [], {"error": "no"}, {"error": {"code": []}}], ids=str)
def test_error_answer_may_have_any_body(server: ProviderServer, body: Any) -> None:
    server.answers(502, body, Retry_After="tomorrow")
    with pytest.raises(GeneratorUnavailable) as failure:
        generated(server)
    assert failure.value.retry_after_seconds == 0


def test_slow_and_unreachable_servers_are_told_apart(server: ProviderServer) -> None:
    server.answers(200, None)
    with pytest.raises(openai.APITimeoutError):
        sdk(server)
    with pytest.raises(GeneratorTimedOut):
        generated(server, timeout_seconds=0.1)
    unreachable = ProviderServer("http://127.0.0.1:9")
    with pytest.raises(openai.APIConnectionError):
        sdk(unreachable)
    with pytest.raises(GeneratorUnavailable):
        generated(unreachable)


def test_redirect_is_not_followed_with_the_key(server: ProviderServer) -> None:
    server.answers(307, {}, Location=f"{server.url}/elsewhere")
    with pytest.raises(GeneratorMisconfigured):
        generated(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("size", "chosen"),
    [((512, 512), "1024x1024"), ((1024, 1024), "1024x1024"), ((1024, 1792), "1024x1536"), ((1792, 1024), "1536x1024")],
)
def test_nearest_size_is_ordered(size: tuple[int, int], chosen: str) -> None:
    assert nearest(["1024x1024", "1024x1536", "1536x1024"], *size) == chosen


def test_model_is_offered_only_where_the_provider_is_on() -> None:
    with pytest.raises(ValueError, match="OPENAI_PROVIDER"):
        OpenAIGenerator(is_on=False, key="").check({})
    OpenAIGenerator(is_on=True, key="").check({})
    options: Any
    for options in ({"baseUrl": "ftp://x"}, {"sizes": []}, {"sizes": ["0x1"]}, {"parameters": 1}):
        with pytest.raises(ValueError, match="validation error"):
            OpenAIGenerator(is_on=True, key="").check(options)


def test_photo_is_not_ignored(server: ProviderServer) -> None:
    with pytest.raises(GeneratorFailed):
        generated(server, input={"type": "photo", "photoUrl": "https://photos.example.com/1.jpg"})
    assert server.requests == []

"""Tests of reuse: an equal image of the same user is answered again, if the caller asks for it."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

PHOTO = {"type": "photo", "photoUrl": "https://photos.example.com/1.jpg"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(autouse=True)
def users(client: ObservedClient, add_user: AddUser) -> None:
    set_models(client, takesSeed=True)
    add_user("user", paid=30)
    add_user("other", paid=30)


def create(api: Api, **changes: object) -> Any:
    return api.result("createGenerationRequest", order(size="512x512", **changes))


def test_equal_image_is_answered_again_and_costs_nothing(api: Api, client: ObservedClient, clock: ManualClock) -> None:
    create(api, input=PHOTO, seed=3)
    clock.at += timedelta(minutes=1)
    newest = create(api, input=PHOTO, seed=3)
    clock.at += timedelta(minutes=1)
    api.result("getCatalog", {})
    client.wire.reset()
    reused = create(api, input=PHOTO, seed=3, reuse=True)
    assert (client.wire.round_trips, client.wire.writes) == (2, 0)
    assert reused == {**newest, "deductedCredits": 0, "reused": True, "currentCredits": 28}
    history = api.result("getUserCredits", {"userId": "user"})
    assert (history["currentCredits"], len(history["transactions"])) == (28, 2)
    assert create(api, input=PHOTO, seed=3)["generationRequestId"] != newest["generationRequestId"], "it is off"


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a lighthouse."},
        {"style": "anime"},
        {"color": "pastel"},
        {"size": "1024x1024"},
        {"model": "Model B"},
        {"seed": 4},
        {"seed": None},
        {"input": PHOTO},
        {"userId": "other"},
    ],
    ids=str,
)
def test_another_image_is_not_reused(api: Api, change: dict[str, object]) -> None:
    first = api.result("createGenerationRequest", order(size="512x512", seed=3))
    other = api.result("createGenerationRequest", order(**{"size": "512x512", "seed": 3, "reuse": True, **change}))
    assert other["generationRequestId"] != first["generationRequestId"]
    assert "reused" not in other
    assert other["deductedCredits"] > 0


def test_only_completed_requests_are_reused(api: Api, client: ObservedClient, clock: ManualClock) -> None:
    set_models(client, failureRate=1.0)
    api.error("createGenerationRequest", order(size="512x512"))
    set_models(client, failureRate=0.0)
    clock.at += timedelta(minutes=1)
    assert "reused" not in create(api, reuse=True)


def test_age_of_a_reused_image_can_be_limited(api: Api, clock: ManualClock) -> None:
    first = create(api)["generationRequestId"]
    clock.at += timedelta(seconds=60)
    assert create(api, reuse={"maxAgeSeconds": 60})["generationRequestId"] == first
    clock.at += timedelta(seconds=1)
    assert create(api, reuse={"maxAgeSeconds": 60})["generationRequestId"] != first


def test_key_is_replayed_before_anything_is_reused(api: Api, clock: ManualClock) -> None:
    keyed = create(api, idempotencyKey="key-1", reuse=True)
    clock.at += timedelta(seconds=1)
    newer = create(api)["generationRequestId"]
    assert create(api, idempotencyKey="key-1", reuse=True)["generationRequestId"] == keyed["generationRequestId"]
    assert create(api, idempotencyKey="key-2", reuse=True)["generationRequestId"] == newer


def test_spellings_of_an_age_are_the_same_payload(api: Api) -> None:
    first = create(api, idempotencyKey="key-1", reuse={"maxAgeSeconds": 60})
    assert create(api, idempotencyKey="key-1", reuse={"maxAgeSeconds": 60.0}) == {**first, "replayed": True}


@pytest.mark.parametrize(
    ("reuse", "message"),
    [
        ("yes", "reuse must be true, false or an object with maxAgeSeconds"),
        (1, "reuse must be true, false or an object with maxAgeSeconds"),
        ({"maxAgeSeconds": 0}, "reuse.maxAgeSeconds must be at least 1"),
        ({"maxAgeSeconds": 10**9}, "reuse.maxAgeSeconds must be at most 316224000"),
        ({"maxAgeSeconds": 1, "age": 1}, "reuse.age is not a known field"),
        ({}, "reuse.maxAgeSeconds is required"),
    ],
)
def test_invalid_permission_is_refused(api: Api, reuse: object, message: str) -> None:
    error = api.error("createGenerationRequest", order(reuse=reuse))
    assert error["details"]["reason"] == "INVALID_INPUT"
    assert error["message"] == f"Invalid input: {message}."

"""A crash is logged with all that helps to find it, and without what the caller wrote."""

import json
import logging
from dataclasses import dataclass, replace
from typing import Any

import pytest

from imagegen.adapters.generators.deadline import WithDeadline
from imagegen.api.logs import REDACTED
from imagegen.bootstrap import Backend
from imagegen.ports.image_generator import ImageGenerator, Job
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.orders import order
from tests.support.wire import ObservedClient

PROMPT = 'Grace\'s zebra\nsays "Füchslein"'
ADDRESS = "4711 Quagga Road"
PHOTO = "https://photos.example.com/okapi.jpg?as=grace"
WORDS = ("zebra", "chslein", "Quagga", "okapi")


@dataclass
class Crashes:
    """A provider's class with a bug, whose exception and whose own log say what it was asked for."""

    def generate(self, job: Job) -> str:
        logging.getLogger("provider").warning("Asked for %r and %s", job.request.prompt, job.request.input)
        try:
            return str(int(job.request.prompt))
        except ValueError as error:
            raise RuntimeError(f"no idea how to draw {job.request.prompt!r} from {job.request.input}") from error


@pytest.fixture
def crashing(backend: Backend, api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    generators: dict[str, ImageGenerator] = {"mock": WithDeadline(Crashes())}
    execution = replace(backend.generations.execution, generators=generators)
    crashes = replace(backend, generations=replace(backend.generations, execution=execution))
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: crashes)
    return api


def logged(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was printed, which is the log; all of it without what is private."""
    printed = "".join(capfd.readouterr())
    assert not any(word in printed for word in WORDS), printed
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize(
    "input", [{"type": "address", "address": ADDRESS}, {"type": "photo", "photoUrl": PHOTO}, None], ids=str
)
def test_a_generator_that_crashes_does_not_tell_what_it_was_asked_for(
    crashing: Api, add_user: AddUser, capfd: pytest.CaptureFixture[str], input: dict[str, str] | None
) -> None:
    add_user(paid=1)
    asked = order(prompt=PROMPT, size="512x512", **({"input": input} if input else {}))

    error = crashing.error("createGenerationRequest", asked)

    assert error["details"]["reason"] == "GENERATION_FAILED"
    warning, crash = logged(capfd)
    assert warning["message"].startswith(f"Asked for '{REDACTED}' and ")
    assert error["details"]["generationRequestId"] in crash["message"]
    assert f"ValueError: invalid literal for int() with base 10: '{REDACTED}'" in crash["message"]
    assert f"RuntimeError: no idea how to draw '{REDACTED}'" in crash["message"]
    assert crash["severity"] == "ERROR"


def test_a_bug_behind_any_function_does_not_tell_what_was_sent(
    api: Api, client: ObservedClient, add_user: AddUser, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=1)
    client.document("users/user").update({"credits.paid": f"{PROMPT} {ADDRESS}"})

    error = api.error("createGenerationRequest", order(prompt=PROMPT, input={"type": "address", "address": ADDRESS}))

    [crash] = logged(capfd)
    assert error["details"]["correlationId"] in crash["message"]
    assert f"'{REDACTED} {REDACTED}' is no amount of credits" in crash["message"]
    client.document("users/user").update({"credits.paid": 1})


@pytest.mark.parametrize(
    "data",
    [
        {"prompt": [PROMPT, {"deep": ADDRESS}]},
        {"input": {"type": "photo", "photoUrl": "http://okapi", "more": [PROMPT]}},
        {"reason": {PROMPT: ADDRESS}},
    ],
    ids=str,
)
def test_what_is_refused_is_not_logged(
    api: Api, add_user: AddUser, capfd: pytest.CaptureFixture[str], data: dict[str, object]
) -> None:
    add_user(paid=1)

    assert api.error("createGenerationRequest", order(**data))["details"]["reason"] == "INVALID_INPUT"
    assert logged(capfd) == []

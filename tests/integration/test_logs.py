"""Tests that a crash is logged with its traceback and without private text."""

import json
import logging
from typing import Any

import pytest

from imagegen.api.logs import REDACTED
from imagegen.ports.image_generator import Job
from tests.support.api import Api
from tests.support.backend import AddUser, Provider
from tests.support.orders import order
from tests.support.wire import ObservedClient

PROMPT = 'Grace\'s zebra\nsays "Füchslein"'
ADDRESS = "4711 Quagga Road"
PHOTO = "https://photos.example.com/okapi.jpg?as=grace"
WORDS = ("zebra", "chslein", "Quagga", "okapi")


def log_and_raise_private_text(job: Job) -> str:
    """Fail like a provider with a bug whose log and exception contain the prompt and the input."""
    logging.getLogger("provider").warning("Asked for %r and %s", job.prompt, job.input)
    try:
        return str(int(job.prompt))
    except ValueError as error:
        raise RuntimeError(f"no idea how to draw {job.prompt!r} from {job.input}") from error


def logged(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the log entries that were printed. Assert that they contain no private text."""
    printed = "".join(capfd.readouterr())
    assert not any(word in printed for word in WORDS), printed
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize(
    "input", [{"type": "address", "address": ADDRESS}, {"type": "photo", "photoUrl": PHOTO}, None], ids=str
)
def test_crash_of_a_generator_is_logged_without_private_text(
    api: Api,
    provider: Provider,
    add_user: AddUser,
    capfd: pytest.CaptureFixture[str],
    input: dict[str, str] | None,
) -> None:
    provider.generate = log_and_raise_private_text
    add_user(paid=1)
    asked = order(prompt=PROMPT, size="512x512", **({"input": input} if input else {}))

    error = api.error("createGenerationRequest", asked)

    assert error["details"]["reason"] == "GENERATION_FAILED"
    warning, crash = logged(capfd)
    assert warning["message"].startswith(f"Asked for '{REDACTED}' and ")
    assert error["details"]["generationRequestId"] in crash["message"]
    assert f"ValueError: invalid literal for int() with base 10: '{REDACTED}'" in crash["message"]
    assert f"RuntimeError: no idea how to draw '{REDACTED}'" in crash["message"]
    assert crash["severity"] == "ERROR"


def test_bug_is_logged_without_private_text(
    api: Api, client: ObservedClient, add_user: AddUser, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=1)
    client.document("users/user").update({"credits.paid": f"{PROMPT} {ADDRESS}"})

    error = api.error("createGenerationRequest", order(prompt=PROMPT, input={"type": "address", "address": ADDRESS}))

    [crash] = logged(capfd)
    assert error["details"]["correlationId"] in crash["message"]
    assert f"'{REDACTED} {REDACTED}' is not an amount of credits" in crash["message"]
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
def test_refused_call_is_not_logged(
    api: Api, add_user: AddUser, capfd: pytest.CaptureFixture[str], data: dict[str, object]
) -> None:
    add_user(paid=1)

    assert api.error("createGenerationRequest", order(**data))["details"]["reason"] == "INVALID_INPUT"
    assert logged(capfd) == []

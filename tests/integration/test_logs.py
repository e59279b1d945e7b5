"""Tests that a crash is logged with all that helps to find it, and without what the caller wrote."""

import json
import logging
from typing import Any

import pytest

from imagegen.ports.image_generator import Job
from tests.support.api import Api
from tests.support.backend import AddUser, Provider
from tests.support.orders import order
from tests.support.wire import ObservedClient

PROMPT = 'Grace\'s zebra\nsays "Füchslein"'
ADDRESS = "4711 Quagga Road"
PHOTO = "https://photos.example.com/okapi.jpg?as=grace"
WORDS = ("zebra", "chslein", "Quagga", "okapi")


def fail_loudly(job: Job) -> str:
    """Fail as a provider's class with a bug whose exception and log messages quote the job."""
    logging.getLogger("provider").warning("Asked for %r and %s", job.prompt, job.input)
    try:
        return str(int(job.prompt))
    except ValueError as error:
        raise RuntimeError(f"no idea how to draw {job.prompt!r} from {job.input}") from error


def logged(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the entries of the log, in which no private word may be."""
    printed = "".join(capfd.readouterr())
    assert not any(word in printed for word in WORDS), printed
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize(
    "input", [{"type": "address", "address": ADDRESS}, {"type": "photo", "photoUrl": PHOTO}, None], ids=str
)
def test_crash_of_a_provider_is_logged_without_the_request(
    api: Api,
    provider: Provider,
    add_user: AddUser,
    capfd: pytest.CaptureFixture[str],
    input: dict[str, str] | None,
) -> None:
    provider.generate = fail_loudly
    add_user(paid=1)
    asked = order(prompt=PROMPT, size="512x512", **({"input": input} if input else {}))

    error = api.error("createGenerationRequest", asked)

    assert error["details"]["reason"] == "GENERATION_FAILED"
    warning, ended, crash = logged(capfd)  # errors are on stderr
    assert (ended["event"], ended["refundedCredits"]) == ("REQUEST_ENDED", 1)
    assert (warning["event"], warning["logger"]) == ("LIBRARY", "provider")
    assert (crash["event"], crash["severity"]) == ("PROVIDER_CRASHED", "ERROR")
    assert crash["generationRequestId"] == error["details"]["generationRequestId"]
    assert "builtins.ValueError" in crash["message"]
    assert "builtins.RuntimeError" in crash["message"]
    assert "in fail_loudly" in crash["message"]


def test_bug_behind_a_function_is_logged_without_the_call(
    api: Api, client: ObservedClient, add_user: AddUser, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=1)
    client.document("users/user").update({"credits.paid": f"{PROMPT} {ADDRESS}"})

    error = api.error("createGenerationRequest", order(prompt=PROMPT, input={"type": "address", "address": ADDRESS}))

    unreadable, crash = logged(capfd)
    assert (unreadable["event"], unreadable["severity"]) == ("DOCUMENT_UNREADABLE", "ERROR")
    assert (unreadable["path"], unreadable["field"]) == ("users/user", "credits.paid")
    assert (crash["event"], crash["function"]) == ("CALL_FAILED", "createGenerationRequest")
    assert crash["correlationId"] == error["details"]["correlationId"]
    assert "documents/accounts.py" in crash["message"]
    assert "imagegen.documents.fields.Unreadable" in crash["message"]
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

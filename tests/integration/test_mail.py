"""Tests of e-mails: one for each queued request that has ended, if the operator wants them, and without the prompt."""

from dataclasses import replace
from typing import Any

import pytest

from imagegen import settings
from imagegen.bootstrap import Backend
from tests.support.api import Api
from tests.support.backend import AddUser, set_models
from tests.support.orders import order
from tests.support.wire import ObservedClient

ASYNC = order(size="512x512", mode="async", prompt="a secret garden")


@pytest.fixture
def mails(
    backend: Backend, api: Api, client: ObservedClient, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Run the backend with e-mails. Return a function that returns all of them."""
    settlements = replace(backend.execution.settlements, mail_collection="mail")
    execution = replace(backend.execution, settlements=settlements)
    mailing = replace(backend, execution=execution, generations=replace(backend.generations, execution=execution))
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: mailing)
    add_user(paid=20)
    return lambda: {mail.id: mail.to_dict() for mail in client.collection("mail").stream()}


def run(api: Api, backend: Backend) -> str:
    request_id: str = api.result("createGenerationRequest", ASYNC)["generationRequestId"]
    tasks: Any = backend.generations.queue.tasks
    _, task = tasks.put_so_far[-1]
    api.http.post("/generateWithModelA", json={"data": task})
    api.http.post("/generateWithModelA", json={"data": task})
    return request_id


def test_ended_request_is_told_once_without_its_prompt(mails: Any, api: Api, backend: Backend) -> None:
    request_id = run(api, backend)
    image_url = api.result("getGenerationRequest", {"generationRequestId": request_id})["imageUrl"]
    [(id, mail)] = mails().items()
    assert id == f"{request_id}-completed"
    assert mail == {
        "to": "user@example.com",
        "message": {"subject": "Your image is ready", "text": f"{image_url}\n\nRequest {request_id}"},
    }


def test_failed_request_is_told_too(mails: Any, api: Api, backend: Backend, client: ObservedClient) -> None:
    set_models(client, failureRate=1)
    request_id = run(api, backend)
    [(id, mail)] = mails().items()
    assert (id, mail["message"]["subject"]) == (f"{request_id}-failed", "Your image could not be made")
    assert "secret" not in str(mail)


def test_no_mail_for_a_sync_or_canceled_request_or_a_user_without_an_address(
    mails: Any, api: Api, backend: Backend, client: ObservedClient
) -> None:
    api.result("createGenerationRequest", order(size="512x512"))
    pending = api.result("createGenerationRequest", ASYNC)["generationRequestId"]
    api.result("cancelGenerationRequest", {"generationRequestId": pending})
    client.document("users/user").update({"email": None})
    run(api, backend)
    assert mails() == {}


def test_mail_is_off_by_default(
    backend: Backend, api: Api, client: ObservedClient, add_user: AddUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_user(paid=20)
    run(api, backend)
    assert not [collection.id for collection in client.collections() if collection.id == "mail"]
    assert settings.mail_collection() == ""
    monkeypatch.setenv("MAIL_COLLECTION", "users/x")
    with pytest.raises(ValueError, match="MAIL_COLLECTION"):
        settings.mail_collection()

"""Tests of the catalog in Firestore, which operators change while the backend runs."""

import json

import pytest

from imagegen.bootstrap import Backend
from imagegen.domain.catalog import Kind
from imagegen.errors import ServiceUnavailable
from imagegen.services.catalog import MAX_AGE_SECONDS
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.catalog import names
from tests.support.orders import ORDER, order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def test_catalog_change_takes_effect_within_seconds(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=20)
    api.result("createGenerationRequest", ORDER)
    client.document("sizes/1024x1024").update({"creditCost": 5})
    client.document("models/model-a").update({"imageUrl": "https://images.example.com/new.png"})
    client.document("styles/pop-art").set({"name": "pop art", "enabled": True})
    clock.sleep(MAX_AGE_SECONDS)
    created = api.result("createGenerationRequest", order(style="pop art"))
    assert created["deductedCredits"] == 5
    assert created["imageUrl"] == "https://images.example.com/new.png"


def test_cached_catalog_is_not_read_again(backend: Backend, client: ObservedClient) -> None:
    backend.catalogs.current()
    client.wire.reset()
    backend.catalogs.current()
    assert client.wire.round_trips == 0


def test_empty_catalog_raises_and_is_not_cached(backend: Backend, client: ObservedClient) -> None:
    sizes = {size.id: size.to_dict() or {} for size in client.collection("sizes").stream()}
    for size in sizes:
        client.document(f"sizes/{size}").delete()
    with pytest.raises(ServiceUnavailable, match="no sizes"):
        backend.catalogs.current()
    for size, data in sizes.items():
        client.document(f"sizes/{size}").set(data)
    assert len(backend.catalogs.current().sizes) == len(sizes)


def test_invalid_option_is_not_offered_and_is_logged(
    api: Api, client: ObservedClient, add_user: AddUser, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=10)
    client.document("sizes/huge").set({"name": "huge", "creditCost": -4, "width": 1, "height": 1})
    client.document("models/model-x").set({"name": "Model X"})
    client.document("models/model-y").set({"name": "Model Y", "provider": "nobody"})
    error = api.error("createGenerationRequest", order(size="huge"))
    [violation] = error["details"]["violations"]
    assert violation["allowed"] == names(Kind.SIZE)
    logged = [json.loads(line) for line in "".join(capfd.readouterr()).splitlines()]
    assert {entry["event"] for entry in logged} == {"OPTION_NOT_OFFERED"}
    problems = {entry["path"]: entry["problems"] for entry in logged}
    assert problems["sizes/huge"].startswith("creditCost: ")
    assert problems["models/model-x"].startswith("imageUrl: ")
    assert problems["models/model-y"] == "provider: there is no provider 'nobody'"
    offered = {model["name"] for model in api.result("getCatalog", {})["models"]}
    assert offered.isdisjoint({"Model X", "Model Y"})
    api.result("createGenerationRequest", ORDER)


def test_option_is_accepted_by_document_id(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    by_id = order(model="model-a", style="oil-painting")
    created = api.result("createGenerationRequest", by_id)
    recorded = client.document(f"generationRequests/{created['generationRequestId']}").get().to_dict() or {}
    assert (recorded["model"], recorded["style"]) == ("Model A", "oil painting")

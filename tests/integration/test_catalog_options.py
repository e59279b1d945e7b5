"""Tests of listCatalogOptions and updateCatalogOption: every option, its versions, and the record of changes."""

from datetime import timedelta
from typing import Any

import pytest

from imagegen.domain.times import rfc3339
from imagegen.services.catalog import MAX_AGE_SECONDS
from tests.support.api import Api
from tests.support.console import as_admin, refused
from tests.support.faults import FaultyDatabase, Lost
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

pytestmark = pytest.mark.usefixtures("accounts")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def listed(api: Api, path: str) -> Any:
    """Return an option from the list, by the path of its document."""
    kind, _, id = path.partition("s/")
    options = as_admin(api, "listCatalogOptions")["options"]
    return next(option for option in options if (option["kind"], option["id"]) == (kind, id))


def update(api: Api, path: str, version: str | None = None, **changes: object) -> Any:
    return as_admin(api, "updateCatalogOption", **_data(api, path, version, changes))


def _data(api: Api, path: str, version: str | None, changes: dict[str, object]) -> dict[str, Any]:
    kind, _, id = path.partition("s/")
    return {"kind": kind, "id": id, "version": version or listed(api, path)["version"], "changes": changes}


def refusals(api: Api, path: str, version: str | None = None, **changes: Any) -> Any:
    """Return the fields and messages of a refused update."""
    error = refused(api, "updateCatalogOption", **_data(api, path, version, changes))
    return {violation["field"]: violation["message"] for violation in error["details"]["violations"]}


def stored(client: ObservedClient, path: str) -> dict[str, Any]:
    return client.document(path).get().to_dict() or {}


def changes_stored(client: ObservedClient) -> list[dict[str, Any]]:
    return [document.to_dict() or {} for document in client.collection("catalogChanges").stream()]


def names_on_offer(api: Api) -> list[str]:
    return [model["name"] for model in api.result("getCatalog", {})["models"]]


def test_list_has_all_options_in_order_with_their_fields(api: Api, client: ObservedClient) -> None:
    client.document("models/model-a").update({"enabled": False})
    found = as_admin(api, "listCatalogOptions")
    kinds = [option["kind"] for option in found["options"]]
    assert kinds == ["model"] * 2 + ["style"] * 6 + ["color"] * 5 + ["size"] * 3
    model, size = listed(api, "models/model-a"), listed(api, "sizes/1024x1024")
    assert (model["enabled"], model["provider"], model["failureRate"]) == (False, "mock", 0)
    assert (size["name"], size["creditCost"], size["enabled"]) == ("1024x1024", 3, True)
    assert "creditCost" not in model
    assert "provider" not in size
    assert (found["unreadable"], found["changes"]) == ([], [])


def test_unreadable_option_is_listed_with_its_problems_and_can_be_repaired(api: Api, client: ObservedClient) -> None:
    client.document("sizes/1024x1024").update({"creditCost": "three", "width": None})
    client.document("models/model-b").update({"provider": "nobody"})
    found = as_admin(api, "listCatalogOptions")
    assert len(found["options"]) == 14
    model, size = sorted(found["unreadable"], key=lambda option: option["path"])
    assert (model["path"], model["problems"]) == (
        "models/model-b",
        [{"field": "provider", "message": "there is no provider 'nobody'"}],
    )
    assert [problem["field"] for problem in size["problems"]] == ["creditCost", "width"]
    assert set(refusals(api, "sizes/1024x1024", size["version"], creditCost=3)) == {"changes.width"}
    repaired = update(api, "models/model-b", model["version"], provider="mock")
    assert repaired["option"] == listed(api, "models/model-b")
    assert repaired["change"]["fields"] == [{"field": "provider", "before": "nobody", "after": "mock"}]


def test_change_is_recorded_and_callers_see_it_in_five_seconds(
    api: Api, client: ObservedClient, clock: ManualClock
) -> None:
    assert names_on_offer(api) == ["Model A", "Model B"]
    before = stored(client, "models/model-b")
    updated = update(api, "models/model-b", enabled=False, failureRate=0.25)
    assert updated["option"] == listed(api, "models/model-b")
    clock.at += timedelta(seconds=MAX_AGE_SECONDS)
    assert names_on_offer(api) == ["Model A"]
    assert stored(client, "models/model-b") == {**before, "enabled": False, "failureRate": 0.25}
    [change] = as_admin(api, "listCatalogOptions")["changes"]
    assert change == updated["change"]
    assert (change["kind"], change["id"], change["changedBy"]) == ("model", "model-b", "admin")
    assert change["changedAt"] == rfc3339(clock.at - timedelta(seconds=MAX_AGE_SECONDS))
    fields = {field["field"]: (field.get("before"), field["after"]) for field in change["fields"]}
    assert fields == {"enabled": (before.get("enabled"), False), "failureRate": (0, 0.25)}


def test_stale_version_is_refused_and_changes_nothing(api: Api, client: ObservedClient) -> None:
    version = listed(api, "sizes/512x512")["version"]
    update(api, "sizes/512x512", version, creditCost=2)
    error = refused(api, "updateCatalogOption", **_data(api, "sizes/512x512", version, {"creditCost": 5}))
    assert error["status"] == "ABORTED"
    assert error["details"] == {"reason": "OPTION_CHANGED", "kind": "size", "id": "512x512"}
    assert stored(client, "sizes/512x512")["creditCost"] == 2
    assert len(changes_stored(client)) == 1


def test_change_that_an_operator_makes_meanwhile_is_not_lost(
    api: Api, client: ObservedClient, faulty: FaultyDatabase
) -> None:
    version = listed(api, "sizes/512x512")["version"]
    faulty.faults = [lambda: client.document("sizes/512x512").update({"creditCost": 9})]
    error = refused(api, "updateCatalogOption", **_data(api, "sizes/512x512", version, {"creditCost": 5}))
    assert error["details"]["reason"] == "OPTION_CHANGED"
    assert stored(client, "sizes/512x512")["creditCost"] == 9
    assert changes_stored(client) == []


@pytest.mark.parametrize("lost", Lost)
def test_lost_answer_changes_the_option_once(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, lost: Lost
) -> None:
    version = listed(api, "sizes/512x512")["version"]
    faulty.faults = [lost]
    updated = update(api, "sizes/512x512", version, creditCost=2)
    assert "replayed" not in updated
    assert updated["option"] == listed(api, "sizes/512x512")
    assert len(changes_stored(client)) == 1
    again = update(api, "sizes/512x512", version, creditCost=2)
    assert again == {**updated, "replayed": True}
    other = refused(api, "updateCatalogOption", **_data(api, "sizes/512x512", version, {"creditCost": 2, "order": 9}))
    assert other["details"]["reason"] == "OPTION_CHANGED"
    assert len(changes_stored(client)) == 1


def test_value_that_is_there_already_changes_nothing(api: Api, client: ObservedClient) -> None:
    version = listed(api, "sizes/512x512")["version"]
    assert update(api, "sizes/512x512", version, creditCost=1) == {"option": listed(api, "sizes/512x512")}
    assert listed(api, "sizes/512x512")["version"] == version
    assert changes_stored(client) == []
    client.document("models/model-a").update({"maxAttempts": True})  # equal to 1, but not a number
    changed = update(api, "models/model-a", maxAttempts=1)
    assert changed["change"]["fields"] == [{"field": "maxAttempts", "before": True, "after": 1}]


def test_update_that_the_catalog_could_not_read_is_refused(api: Api, client: ObservedClient) -> None:
    before = stored(client, "models/model-a"), stored(client, "sizes/512x512")
    assert refusals(api, "models/model-a", provider="nobody") == {"changes.provider": "there is no provider 'nobody'"}
    client.document("models/model-b").update({"provider": "canvas", "imageUrl": ""})
    assert set(refusals(api, "models/model-b", provider="mock")) == {"changes.imageUrl"}
    invalid: dict[str, list[dict[str, Any]]] = {
        "sizes/512x512": [
            {"creditCost": 0},
            {"creditCost": "3"},
            {"creditCost": 1.5},
            {"enabled": "no"},
            {"order": 10**7},
            {"name": "Other"},
            {},
            {"enabled": None},
        ],
        "models/model-a": [
            {"failureRate": 1.1},
            {"failureRate": -0.1},
            {"failureRate": True},
            {"timeoutSeconds": 61},
            {"timeoutSeconds": 0},
            {"maxAttempts": 0},
            {"provider": ""},
            {"provider": "a\u202e"},
        ],
    }
    for path, refused_changes in invalid.items():
        for changes in refused_changes:
            assert refused(api, "updateCatalogOption", **_data(api, path, None, changes))["details"]["violations"]
    assert (stored(client, "models/model-a"), stored(client, "sizes/512x512")) == before
    assert changes_stored(client) == []


def test_field_of_another_kind_is_refused(api: Api) -> None:
    assert set(refusals(api, "styles/anime", creditCost=3, provider="mock")) == {
        "changes.creditCost",
        "changes.provider",
    }
    assert set(refusals(api, "models/model-a", creditCost=3)) == {"changes.creditCost"}
    assert set(refusals(api, "sizes/512x512", failureRate=0.5)) == {"changes.failureRate"}


def test_last_enabled_option_of_a_kind_stays_enabled(api: Api, client: ObservedClient) -> None:
    update(api, "models/model-a", enabled=False)
    assert set(refusals(api, "models/model-b", enabled=False)) == {"changes.enabled"}
    client.document("models/broken").set({"name": "Broken", "enabled": True, "provider": "nobody"})
    assert set(refusals(api, "models/model-b", enabled=False)) == {"changes.enabled"}
    update(api, "models/model-a", enabled=True)
    assert update(api, "models/model-b", enabled=False)["option"]["enabled"] is False


def test_field_in_the_map_of_the_provider_is_changed_there(api: Api, client: ObservedClient) -> None:
    client.document("models/model-a").update({"providerOptions": {"failureRate": 0.5, "other": 1}})
    changed = update(api, "models/model-a", failureRate=0.75)
    assert changed["option"]["failureRate"] == 0.75
    assert changed["change"]["fields"] == [{"field": "failureRate", "before": 0.5, "after": 0.75}]
    assert stored(client, "models/model-a")["providerOptions"] == {"failureRate": 0.75, "other": 1}


def test_missing_option_is_not_created(api: Api, client: ObservedClient) -> None:
    error = refused(api, "updateCatalogOption", **_data(api, "styles/none", "any", {"enabled": True}))
    assert error["details"] == {"reason": "OPTION_NOT_FOUND", "kind": "style", "id": "none"}
    assert stored(client, "styles/none") == {}


def test_latest_changes_are_listed_newest_first_without_a_bad_one(
    api: Api, client: ObservedClient, clock: ManualClock
) -> None:
    for cost in range(2, 24):
        clock.at += timedelta(seconds=1)
        update(api, "sizes/512x512", creditCost=cost)
    client.document("catalogChanges/bad").set({"changedAt": clock.at + timedelta(days=1), "fields": "all"})
    found = as_admin(api, "listCatalogOptions")["changes"]
    assert [change["fields"][0]["after"] for change in found] == list(range(23, 3, -1))

"""Looking at requests: one, and a user's, newest first, filtered and counted."""

from datetime import timedelta
from typing import Any

import pytest

from imagegen.domain.catalog import Kind
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.catalog import CATALOG, names
from tests.support.orders import ORDER, order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock

CREATE, GET, LIST = "createGenerationRequest", "getGenerationRequest", "listGenerationRequests"
PHOTO = {"type": "photo", "photoUrl": "https://images.example.com/me.jpg?size=1"}
ADDRESS = {"type": "address", "address": "Brückenstraße 5\n10179 Berlin"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def made(api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser) -> list[str]:
    """Twelve requests of a user, an hour apart, oldest first; every third one failed. Another user has one."""
    add_user("user", paid=100)
    add_user("other", paid=100)
    client.document("models/model-b").update({"failureRate": 1})
    ids = []
    for number in range(12):
        clock.at = NOON + timedelta(hours=number)
        options = {
            "model": "Model B" if number % 3 == 0 else "Model A",
            "style": ("anime", "sketch")[number % 2],
            "color": ("neon", "pastel")[number // 6],
            "size": ("512x512", "1024x1024")[number % 2],
        }
        answer = api.call(CREATE, order(**options)).get_json()
        ids.append((answer.get("result") or answer["error"]["details"])["generationRequestId"])
    api.result(CREATE, order(userId="other"))
    return ids


def listed(api: Api, **params: object) -> list[str]:
    return [request["generationRequestId"] for request in api.result(LIST, {"userId": "user", **params})["requests"]]


# One


def test_a_completed_request_is_told_whole(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    client.collection("models").document("model-a").update({"latencySeconds": 1.25})
    request_id = api.result(CREATE, order(input=PHOTO))["generationRequestId"]
    assert api.result(GET, {"generationRequestId": request_id}) == {
        "generationRequestId": request_id,
        **ORDER,
        "input": PHOTO,
        "status": "completed",
        "cost": 3,
        "refunded": False,
        "mode": "sync",
        "createdAt": "2026-11-18T12:00:00Z",
        "startedAt": "2026-11-18T12:00:00Z",
        "finishedAt": "2026-11-18T12:00:01.250000Z",
        "processingTimeMs": 1250,
        "imageUrl": "https://images.example.com/model-a.png",
    }


def test_a_failed_request_tells_why_and_that_it_was_refunded(api: Api, made: list[str]) -> None:
    request = api.result(GET, {"generationRequestId": made[0]})
    assert (request["status"], request["refunded"]) == ("failed", True)
    assert request["error"]["reason"] == "GENERATION_FAILED"
    assert "imageUrl" not in request


def test_an_unfinished_request_has_no_end_yet(api: Api, client: ObservedClient, made: list[str]) -> None:
    unfinished = {"status": "processing", "finishedAt": None, "imageUrl": None}
    before = client.document(f"generationRequests/{made[1]}").get().to_dict() or {}
    client.document(f"generationRequests/{made[1]}").update(unfinished)
    request = api.result(GET, {"generationRequestId": made[1]})
    assert request["status"] == "processing"
    assert request.keys().isdisjoint({"finishedAt", "processingTimeMs", "imageUrl", "error"})
    client.document(f"generationRequests/{made[1]}").set(before)


def test_what_does_not_exist_is_not_found(api: Api, made: list[str]) -> None:
    error = api.error(GET, {"generationRequestId": "nothing"})
    assert (error["status"], error["details"]["reason"]) == ("NOT_FOUND", "REQUEST_NOT_FOUND")


# Many


def test_a_list_is_the_users_own_newest_first(api: Api, made: list[str]) -> None:
    assert listed(api) == made[::-1]


def test_pages_have_no_gaps_or_repeats_though_requests_are_made_meanwhile(
    api: Api, clock: ManualClock, made: list[str]
) -> None:
    params: dict[str, Any] = {"userId": "user", "pageSize": 5}
    found = []
    for expected in (5, 5, 2):
        page = api.result(LIST, params)
        assert len(page["requests"]) == expected
        found += [request["generationRequestId"] for request in page["requests"]]
        params["pageToken"] = page.get("nextPageToken")
        clock.at += timedelta(hours=1)
        api.result(CREATE, ORDER)
    assert found == made[::-1]
    assert params["pageToken"] is None


def test_requests_of_the_same_moment_are_all_listed(api: Api, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=50)
    made = {api.result(CREATE, ORDER)["generationRequestId"] for _ in range(5)}
    params: dict[str, Any] = {"userId": "user", "pageSize": 2}
    found = []
    while True:
        page = api.result(LIST, params)
        found += [request["generationRequestId"] for request in page["requests"]]
        if "nextPageToken" not in page:
            break
        params["pageToken"] = page["nextPageToken"]
    assert len(found) == 5
    assert set(found) == made


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": "failed"}, [9, 6, 3, 0]),
        ({"status": "processing"}, []),
        ({"model": "Model B"}, [9, 6, 3, 0]),
        ({"model": "model-b"}, [9, 6, 3, 0]),
        ({"style": "anime"}, [10, 8, 6, 4, 2, 0]),
        ({"color": "pastel"}, [11, 10, 9, 8, 7, 6]),
        ({"size": "512x512"}, [10, 8, 6, 4, 2, 0]),
        ({"size": "never on offer"}, []),
        ({"createdFrom": "2026-11-18T20:00:00Z"}, [11, 10, 9, 8]),
        ({"createdBefore": "2026-11-18T14:00:00Z"}, [1, 0]),
        ({"createdFrom": "2026-11-18T14:00:00+01:00", "createdBefore": "2026-11-18T15:30:00Z"}, [3, 2, 1]),
        ({"status": "completed", "style": "anime", "color": "pastel", "createdBefore": "2026-11-18T21:00:00Z"}, [8]),
        ({"status": None, "model": None, "createdFrom": None, "pageToken": None, "pageSize": 2}, [11, 10]),
    ],
    ids=str,
)
def test_filters_select_and_a_count_is_exact(
    api: Api, made: list[str], params: dict[str, object], expected: list[int]
) -> None:
    assert listed(api, **params) == [made[number] for number in expected]
    counted = api.result(LIST, {"userId": "user", **params, "includeTotalCount": True})["totalCount"]
    assert counted == (12 if "pageSize" in params else len(expected))


def test_nothing_is_counted_that_nobody_asked_for(api: Api, client: ObservedClient, made: list[str]) -> None:
    client.wire.reset()
    assert "totalCount" not in api.result(LIST, {"userId": "user"})
    assert client.wire.round_trips == 1


def test_a_page_token_belongs_to_its_user_and_filters(api: Api, made: list[str]) -> None:
    token = api.result(LIST, {"userId": "user", "pageSize": 1})["nextPageToken"]
    for params in ({"userId": "other"}, {"userId": "user", "style": "anime"}):
        [violation] = api.error(LIST, {**params, "pageToken": token})["details"]["violations"]
        assert violation["field"] == "pageToken"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "done"),
        ("status", 1),
        ("model", ""),
        ("style", "x" * 201),
        ("createdFrom", "2026-11-18"),
        ("createdFrom", "2026-11-18T12:00:00"),
        ("createdBefore", "0001-01-01T00:00:00+14:00"),
        ("createdBefore", 1_763_467_200),
        ("includeTotalCount", "yes"),
        ("pageSize", 201),
        ("pageToken", "xx"),
        ("order", "asc"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(api: Api, add_user: AddUser, field: str, value: object) -> None:
    [violation] = api.error(LIST, {"userId": "user", field: value})["details"]["violations"]
    assert violation["field"] == field


# The catalog


def test_the_catalog_is_what_can_be_ordered_now(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    client.document("styles/sketch").update({"enabled": False})
    offered = api.result("getCatalog", {})
    assert offered["models"] == [{"id": model.id, "name": model.name} for model in CATALOG.models]
    assert [style["name"] for style in offered["styles"]] == names(Kind.STYLE, without="sketch")
    assert [color["name"] for color in offered["colors"]] == names(Kind.COLOR)
    assert [(size["name"], size["creditCost"], size["width"], size["height"]) for size in offered["sizes"]] == [
        (size.name, size.credit_cost, size.width, size.height) for size in CATALOG.sizes
    ]


# What the image is of, besides the prompt


@pytest.mark.parametrize("input", [PHOTO, ADDRESS, None], ids=str)
def test_an_input_is_stored_and_returned_and_costs_nothing(
    api: Api, client: ObservedClient, add_user: AddUser, input: object
) -> None:
    add_user(paid=10)
    created = api.result(CREATE, order(input=input))
    assert created["deductedCredits"] == 3
    request_id = created["generationRequestId"]
    assert client.document(f"generationRequests/{request_id}").get().get("input") == input
    assert api.result(GET, {"generationRequestId": request_id}).get("input") == input


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ("https://images.example.com/me.jpg", "input"),
        ({}, "input"),
        ({"type": "video"}, "input"),
        ({"type": "photo"}, "input.photoUrl"),
        ({"type": "photo", "photoUrl": "http://images.example.com/me.jpg"}, "input.photoUrl"),
        ({"type": "photo", "photoUrl": "javascript:alert(1)"}, "input.photoUrl"),
        ({"type": "photo", "photoUrl": "https://user:secret@images.example.com/"}, "input.photoUrl"),
        ({"type": "photo", "photoUrl": "https://"}, "input.photoUrl"),
        ({"type": "photo", "photoUrl": "https://images.example.com/" + "x" * 2048}, "input.photoUrl"),
        ({"type": "photo", "photoUrl": PHOTO["photoUrl"], "address": "x"}, "input.address"),
        ({"type": "address", "address": " "}, "input.address"),
        ({"type": "address", "address": "x" * 501}, "input.address"),
        ({"type": "address", "address": "a\x00b"}, "input.address"),
    ],
    ids=str,
)
def test_an_input_is_validated_by_its_type(api: Api, add_user: AddUser, input: object, field: str) -> None:
    add_user(paid=10)
    [violation] = api.error(CREATE, order(input=input))["details"]["violations"]
    assert violation["field"] == field
    assert api.result("getCreditBalance", {"userId": "user"})["totalAvailable"] == 10

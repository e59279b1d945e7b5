"""Tests of getGenerationRequest, listGenerationRequests, getCatalog and the input of a request."""

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
def request_ids(api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser) -> list[str]:
    """Make 12 requests an hour apart, of which every third fails, and one of another user.

    Return the ids of the 12 requests, oldest first.
    """
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


def test_completed_request_is_returned_with_all_fields(
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
        "refundedCredits": 0,
        "netCredits": 3,
        "mode": "sync",
        "createdAt": "2026-11-18T12:00:00.000000Z",
        "startedAt": "2026-11-18T12:00:00.000000Z",
        "finishedAt": "2026-11-18T12:00:01.250000Z",
        "processingTimeMs": 1250,
        "imageUrl": "https://site.example.com/models/model-a.webp",
    }


def test_failed_request_is_returned_with_error_and_refund(api: Api, request_ids: list[str]) -> None:
    request = api.result(GET, {"generationRequestId": request_ids[0]})
    assert (request["status"], request["refunded"]) == ("failed", True)
    assert (request["cost"], request["refundedCredits"], request["netCredits"]) == (1, 1, 0)
    assert request["error"]["reason"] == "GENERATION_FAILED"
    assert "imageUrl" not in request


def test_unfinished_request_has_no_finish_fields(api: Api, client: ObservedClient, request_ids: list[str]) -> None:
    unfinished = {"status": "processing", "finishedAt": None, "imageUrl": None}
    before = client.document(f"generationRequests/{request_ids[1]}").get().to_dict() or {}
    client.document(f"generationRequests/{request_ids[1]}").update(unfinished)
    request = api.result(GET, {"generationRequestId": request_ids[1]})
    assert request["status"] == "processing"
    assert request.keys().isdisjoint({"finishedAt", "processingTimeMs", "imageUrl", "error"})
    client.document(f"generationRequests/{request_ids[1]}").set(before)


def test_unknown_request_is_not_found(api: Api, request_ids: list[str]) -> None:
    error = api.error(GET, {"generationRequestId": "nothing"})
    assert (error["status"], error["details"]["reason"]) == ("NOT_FOUND", "REQUEST_NOT_FOUND")


# Many


def test_list_has_only_the_users_requests_newest_first(api: Api, request_ids: list[str]) -> None:
    assert listed(api) == request_ids[::-1]


def test_new_requests_do_not_shift_the_pages(api: Api, clock: ManualClock, request_ids: list[str]) -> None:
    params: dict[str, Any] = {"userId": "user", "pageSize": 5}
    found = []
    for expected in (5, 5, 2):
        page = api.result(LIST, params)
        assert len(page["requests"]) == expected
        found += [request["generationRequestId"] for request in page["requests"]]
        params["pageToken"] = page.get("nextPageToken")
        clock.at += timedelta(hours=1)
        api.result(CREATE, ORDER)
    assert found == request_ids[::-1]
    assert params["pageToken"] is None


def test_requests_of_the_same_time_are_all_listed(api: Api, clock: ManualClock, add_user: AddUser) -> None:
    add_user(paid=50)
    request_ids = {api.result(CREATE, ORDER)["generationRequestId"] for _ in range(5)}
    params: dict[str, Any] = {"userId": "user", "pageSize": 2}
    found = []
    while True:
        page = api.result(LIST, params)
        found += [request["generationRequestId"] for request in page["requests"]]
        if "nextPageToken" not in page:
            break
        params["pageToken"] = page["nextPageToken"]
    assert len(found) == 5
    assert set(found) == request_ids


FILTERS: list[tuple[dict[str, object], list[int]]] = [
    ({"status": "failed"}, [9, 6, 3, 0]),
    ({"status": "processing"}, []),
    ({"model": "Model B"}, [9, 6, 3, 0]),
    ({"model": "model-b"}, [9, 6, 3, 0]),
    ({"style": "anime"}, [10, 8, 6, 4, 2, 0]),
    ({"color": "pastel"}, [11, 10, 9, 8, 7, 6]),
    ({"size": "512x512"}, [10, 8, 6, 4, 2, 0]),
    ({"createdFrom": "2026-11-18T20:00:00Z"}, [11, 10, 9, 8]),
    ({"createdBefore": "2026-11-18T14:00:00Z"}, [1, 0]),
    ({"createdFrom": "2026-11-18T14:00:00+01:00", "createdBefore": "2026-11-18T15:30:00Z"}, [3, 2, 1]),
    ({"status": "completed", "style": "anime", "color": "pastel", "createdBefore": "2026-11-18T21:00:00Z"}, [8]),
    ({"status": None, "model": None, "createdFrom": None, "pageToken": None, "pageSize": 2}, [11, 10]),
]
"""Filters, each with the numbers of the requests that it lists."""


def test_filters_apply_to_the_list_and_the_count(api: Api, request_ids: list[str]) -> None:
    for params, expected in FILTERS:
        assert listed(api, **params) == [request_ids[number] for number in expected], params
        counted = api.result(LIST, {"userId": "user", **params, "includeTotalCount": True})["totalCount"]
        assert counted == (12 if "pageSize" in params else len(expected)), params


def test_count_is_made_only_on_request(api: Api, client: ObservedClient, request_ids: list[str]) -> None:
    client.wire.reset()
    assert "totalCount" not in api.result(LIST, {"userId": "user"})
    assert client.wire.round_trips == 2  # the user, whose account may be deleted, and the list


def test_page_token_of_another_user_or_filter_is_refused(api: Api, request_ids: list[str]) -> None:
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
        ("pageSize", -1),
        ("pageToken", "xx"),
        ("order", "asc"),
    ],
)
def test_invalid_list_parameter_is_refused(api: Api, add_user: AddUser, field: str, value: object) -> None:
    [violation] = api.error(LIST, {"userId": "user", field: value})["details"]["violations"]
    assert violation["field"] == field


# The catalog


def test_get_catalog_returns_the_enabled_options(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    client.document("styles/sketch").update({"enabled": False})
    offered = api.result("getCatalog", {})
    assert offered["models"] == [
        {"id": model.id, "name": model.name, "takesSeed": model.takes_seed} for model in CATALOG.models
    ]
    assert [style["name"] for style in offered["styles"]] == names(Kind.STYLE, without="sketch")
    assert [color["name"] for color in offered["colors"]] == names(Kind.COLOR)
    assert [(size["name"], size["creditCost"], size["width"], size["height"]) for size in offered["sizes"]] == [
        (size.name, size.credit_cost, size.width, size.height) for size in CATALOG.sizes
    ]


# The input


@pytest.mark.parametrize("input", [PHOTO, ADDRESS, None], ids=str)
def test_input_is_stored_and_returned_and_costs_nothing(
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
def test_input_is_validated_by_its_type(api: Api, add_user: AddUser, input: object, field: str) -> None:
    add_user(paid=10)
    [violation] = api.error(CREATE, order(input=input))["details"]["violations"]
    assert violation["field"] == field
    assert api.result("getCreditBalance", {"userId": "user"})["totalAvailable"] == 10

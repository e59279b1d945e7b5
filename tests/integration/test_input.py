"""Tests of invalid input: the answer lists the violations, nothing is charged, and no traceback is logged."""

import json
from typing import Any

import pytest

from imagegen.domain.catalog import Kind
from tests.support.api import CALLABLES, Api
from tests.support.backend import AddUser
from tests.support.catalog import names
from tests.support.orders import ORDER, order
from tests.support.wire import ObservedClient

BLANK = ["\u200b", "\u2060\ufeff", "\u3164", "\u2800\t", "\U000e0020", "\u034f ", " \n\u00a0", "\u115f\u180e"]
WITHOUT_PROMPT: dict[str, object] = {field: value for field, value in ORDER.items() if field != "prompt"}

INVALID_ORDERS: dict[str, tuple[dict[str, object], set[str]]] = {
    "nothing at all": ({}, {"userId", "model", "style", "color", "size", "prompt"}),
    "a missing field": (WITHOUT_PROMPT, {"prompt"}),
    "null": (order(prompt=None), {"prompt"}),
    "an unknown field": (order(quality="high"), {"quality"}),
    "a misspelt field": ({**WITHOUT_PROMPT, "promt": "a fox"}, {"prompt", "promt"}),
    "a field without a name": (order(**{"": 1}), {""}),
    "a field in snake case": (order(user_id="user"), {"user_id"}),
    "wrong types": (order(userId=7, model=["Model A"], prompt={"text": "a fox"}), {"userId", "model", "prompt"}),
    "a number as text": (order(prompt=7), {"prompt"}),
    "an unknown option": (order(style="baroque"), {"style"}),
    "another case": (order(model="model a"), {"model"}),
    "an empty option": (order(size=""), {"size"}),
    "a disabled option": (order(color="vintage"), {"color"}),
    "everything wrong at once": (
        order(userId="", model="x", style=None, color=1, size="1x1", prompt=" "),
        {"userId", "model", "style", "color", "size", "prompt"},
    ),
    "an empty prompt": (order(prompt=""), {"prompt"}),
    "a blank prompt": (order(prompt=" \n\t "), {"prompt"}),
    "an oversized prompt": (order(prompt="x" * 2001), {"prompt"}),
    "a control character": (order(prompt="a\x00fox"), {"prompt"}),
    "an escape sequence": (order(prompt="a \x1b[31mred fox"), {"prompt"}),
    "a slash in the user id": (order(userId="users/user"), {"userId"}),
    "a user id of dots": (order(userId=".."), {"userId"}),
    "a reserved user id": (order(userId="__name__"), {"userId"}),
    "a user id that is too long": (order(userId="é" * 751), {"userId"}),
    "an empty key": (order(idempotencyKey=""), {"idempotencyKey"}),
    "a key that is too long": (order(idempotencyKey="k" * 256), {"idempotencyKey"}),
    "an unprintable key": (order(idempotencyKey="a\tb"), {"idempotencyKey"}),
}


@pytest.mark.parametrize("case", INVALID_ORDERS)
def test_invalid_order_is_refused_with_every_violation(
    api: Api, client: ObservedClient, add_user: AddUser, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=10)
    client.document("colors/vintage").update({"enabled": False})
    data, fields = INVALID_ORDERS[case]
    error = api.error("createGenerationRequest", data)
    assert (error["status"], error["details"]["reason"]) == ("INVALID_ARGUMENT", "INVALID_INPUT")
    assert {violation["field"] for violation in error["details"]["violations"]} == fields
    assert all(violation["message"] for violation in error["details"]["violations"])
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 10
    assert list(client.collection("generationRequests").stream()) == []
    assert "Traceback" not in "".join(capfd.readouterr())


def test_option_violations_list_the_allowed_values(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    client.document("colors/vintage").update({"enabled": False})
    error = api.error("createGenerationRequest", {"userId": "user", "size": "huge", "prompt": "a fox"})
    allowed = {violation["field"]: violation["allowed"] for violation in error["details"]["violations"]}
    assert allowed == {kind.value: names(kind, without="vintage") for kind in Kind}


def test_answer_has_at_most_100_violations(api: Api) -> None:
    error = api.error("createGenerationRequest", {f"field-{number}": number for number in range(3_000)})
    assert len(error["details"]["violations"]) == 100


@pytest.mark.parametrize("prompt", ["x" * 2000, "two\nlines\tand a tab", "Ein Füchslein 🦊", "a"])
def test_unusual_prompts_are_stored_unchanged(api: Api, client: ObservedClient, add_user: AddUser, prompt: str) -> None:
    add_user(paid=10)
    created = api.result("createGenerationRequest", order(prompt=prompt))
    document = client.document(f"generationRequests/{created['generationRequestId']}").get().to_dict() or {}
    assert document["prompt"] == prompt


def test_page_violations_are_reported_together(api: Api) -> None:
    error = api.error("getUserCredits", {"userId": "user", "pageSize": -5, "pageToken": "xx", "page": 1})
    assert {violation["field"] for violation in error["details"]["violations"]} == {"pageSize", "pageToken", "page"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "userId"),
        ({"userId": "", "pageToken": "MUBvdGhlcg"}, "userId"),
        ({"userId": "user", "pageSize": -1}, "pageSize"),
        ({"userId": "user", "pageSize": 1.5}, "pageSize"),
        ({"userId": "user", "pageSize": "50"}, "pageSize"),
        ({"userId": "user", "pageSize": True}, "pageSize"),
        ({"userId": "user", "pageToken": 7}, "pageToken"),
        ({"userId": "user", "pageToken": "not a token"}, "pageToken"),
        ({"userId": "user", "pageToken": "AAAA"}, "pageToken"),
        ({"userId": "user", "pageToken": "ä"}, "pageToken"),
        ({"userId": "user", "pageToken": "MUBvdGhlcg"}, "pageToken"),  # 1@other: of another user
        ({"userId": "user", "pageToken": "LTFAdXNlcg"}, "pageToken"),  # -1@user
        ({"userId": "user", "pageToken": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5QHVzZXI"}, "pageToken"),  # larger than 64 bits
    ],
)
def test_invalid_get_user_credits_is_refused(api: Api, add_user: AddUser, data: dict[str, object], field: str) -> None:
    add_user(paid=10)
    error = api.error("getUserCredits", data)
    assert (error["status"], error["details"]["reason"]) == ("INVALID_ARGUMENT", "INVALID_INPUT")
    assert [violation["field"] for violation in error["details"]["violations"]] == [field]


NESTED = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("method", "body", "content_type", "field"),
    [
        ("POST", b"", "application/json", "body"),
        ("POST", b"{", "application/json", "body"),
        ("POST", b"userId=user", "application/json", "body"),
        ("POST", b"\xff\xfe", "application/json", "body"),
        ("POST", b'{"data": {"userId": NaN}}', "application/json", "body"),
        ("POST", b'{"data": {"userId": 1e400}}', "application/json", "body"),
        ("POST", b'{"data": {"userId": ' + b"9" * 401 + b"}}", "application/json", "body"),
        ("POST", b'{"data": {"userId": "user", "userId": "user"}}', "application/json", "body"),
        ("POST", b'{"data": {}, "data": {}}', "application/json", "body"),
        ("POST", b'{"data": {"userId": "\\ud800"}}', "application/json", "userId"),
        ("POST", NESTED, "application/json", "body"),
        ("POST", b"[]", "application/json", "body"),
        ("POST", b'["data"]', "application/json", "body"),
        ("POST", b"null", "application/json", "body"),
        ("POST", b"{}", "application/json", "body"),
        ("POST", b'{"data": {}, "more": 1}', "application/json", "body"),
        ("POST", b'{"data": []}', "application/json", "data"),
        ("POST", b'{"data": "user"}', "application/json", "data"),
        ("POST", b'{"data": {"userId": "user"}}', "text/plain", "Content-Type"),
        ("POST", b'{"data": {"userId": "user"}}', None, "Content-Type"),
    ],
)
def test_malformed_http_request_is_refused(
    api: Api, method: str, body: bytes, content_type: str | None, field: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for function in ("getCreditBalance", "getUserCredits"):
        response = api.http.open(f"/{function}", method=method, data=body, content_type=content_type)
        error: Any = response.get_json()["error"]
        assert (response.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
        assert error["details"]["reason"] == "INVALID_INPUT"
        assert [violation["field"] for violation in error["details"]["violations"]] == [field]
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_method_is_not_allowed(api: Api, method: str) -> None:
    response = api.http.open("/getCatalog", method=method)
    error: Any = response.get_json()["error"]
    assert (response.status_code, response.headers["Allow"]) == (405, "POST, OPTIONS")
    assert [violation["field"] for violation in error["details"]["violations"]] == ["method"]


@pytest.mark.parametrize("function", ["getCatalog", "listWeeklyReports"])
def test_null_equals_data_without_fields(api: Api, function: str) -> None:
    assert api.call(function, None).get_json() == api.call(function, {}).get_json()


def test_byte_order_mark_is_skipped(api: Api) -> None:
    body = b'\xef\xbb\xbf{"data": {}}'
    assert api.http.post("/getCatalog", data=body, content_type="application/json").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, br", "identity, gzip"])
def test_encoded_body_is_refused_by_name(api: Api, encoding: str) -> None:
    response = api.call("getCatalog", {}, **{"Content-Encoding": encoding})
    [violation] = (response.get_json() or {})["error"]["details"]["violations"]
    assert (response.status_code, violation["field"]) == (400, "Content-Encoding")
    assert api.call("getCatalog", {}, **{"Content-Encoding": " Identity"}).status_code == 200


def test_name_that_occurs_twice_is_named(api: Api) -> None:
    body = b'{"data": {"size": "512x512", "size": "1024x1792"}}'
    response = api.http.post("/createGenerationRequest", data=body, content_type="application/json")
    [violation] = (response.get_json() or {})["error"]["details"]["violations"]
    assert violation == {"field": "body", "message": 'has the name "size" twice in one object'}


@pytest.mark.parametrize("depth", [50, 51, 500, 100_000])
def test_depth_of_json_is_bounded(api: Api, depth: int) -> None:
    body = b'{"data": {"more": ' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}"
    response = api.http.post("/getCatalog", data=body, content_type="application/json")
    [violation] = (response.get_json() or {})["error"]["details"]["violations"]
    assert violation["field"] == ("more" if depth <= 50 else "body")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("\ud83d", "must not contain half of a surrogate pair, as if it was cut inside a character"),
        ("a fo\u0000x", "must not contain control characters: U+0000 is at position 4"),
        ("a\u009ffox", "must not contain control characters: U+009F is at position 1"),
        *((blank, "must not be blank") for blank in BLANK),
    ],
)
def test_text_without_visible_characters_or_with_invalid_ones_is_refused(api: Api, prompt: str, message: str) -> None:
    [violation] = api.error("createGenerationRequest", order(prompt=prompt))["details"]["violations"]
    assert violation == {"field": "prompt", "message": message}


@pytest.mark.parametrize("kind", Kind)
def test_filter_by_unknown_option_is_refused_and_by_withdrawn_one_is_not(
    api: Api, client: ObservedClient, add_user: AddUser, kind: Kind
) -> None:
    add_user(paid=10)
    option = next(iter(client.collection(kind.collection).stream()))
    option.reference.update({"enabled": False})
    for known in (option.id, option.get("name")):
        assert api.result("listGenerationRequests", {"userId": "user", kind.value: known}) == {"requests": []}
    [violation] = api.error("listGenerationRequests", {"userId": "user", kind.value: "Oil Painting"})["details"][
        "violations"
    ]
    assert violation["field"] == kind.value
    assert violation["allowed"] == names(kind, without=option.get("name"))


@pytest.mark.parametrize(("data", "kind"), [({}, "result"), ({"more": 1}, "error")])
def test_answer_is_one_event_for_callers_that_stream(api: Api, data: dict[str, object], kind: str) -> None:
    plain = api.call("getCatalog", data)
    streamed = api.call("getCatalog", data, Accept="text/event-stream")
    assert (streamed.status_code, streamed.mimetype) == (plain.status_code, "text/event-stream")
    [event, *rest] = streamed.get_data(as_text=True).split("\n")
    assert rest == ["", ""]
    assert json.loads(event.removeprefix("data: ")) == plain.get_json()
    assert kind in (plain.get_json() or {})


@pytest.mark.parametrize("function", CALLABLES)
def test_cors_preflight_is_answered_and_cached(api: Api, function: str) -> None:
    headers = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    response = api.http.options(f"/{function}", headers=headers)
    assert response.status_code == 200
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "authorization" in response.headers["Access-Control-Allow-Headers"]
    assert response.headers["Access-Control-Max-Age"] == "7200"


@pytest.mark.parametrize("function", CALLABLES)
def test_browser_may_read_the_headers(api: Api, function: str) -> None:
    response = api.call(function, None, Origin="https://app.example.com")
    assert response.headers["Access-Control-Expose-Headers"] == "Idempotent-Replayed, Retry-After"


def test_bug_is_internal_error_with_traceback_in_the_log(
    api: Api, client: ObservedClient, add_user: AddUser, capfd: pytest.CaptureFixture[str]
) -> None:
    add_user(paid=10)
    client.document("users/user").update({"ledger": "not a ledger"})
    error = api.error("getUserCredits", {"userId": "user"})
    assert error["status"] == "INTERNAL"
    assert set(error["details"]) == {"reason", "correlationId"}
    assert "ledger" not in error["message"]
    log = "".join(capfd.readouterr())
    assert error["details"]["correlationId"] in log
    assert "Traceback" in log
    client.document("users/user").delete()


def test_longest_id_is_accepted(api: Api) -> None:
    longest = {"userId": "🦊" * 128, "model": "Model A"}
    everything = {**longest, "status": "failed", "createdFrom": "2026-01-01T00:00:00Z", "includeTotalCount": True}
    assert api.result("listGenerationRequests", everything) == {"requests": [], "totalCount": 0}
    assert api.error("getCreditBalance", {"userId": longest["userId"]})["details"]["reason"] == "USER_NOT_FOUND"
    [violation] = api.error("getCreditBalance", {"userId": "🦊" * 129})["details"]["violations"]
    assert violation == {"field": "userId", "message": "must have at most 128 characters"}

"""Tests of invalid input over HTTP: it is refused as INVALID_INPUT, not charged, and not logged as a crash."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from imagegen.domain.catalog import Kind
from tests.support.catalog import names
from tests.support.live import Live, order

NOBODY = order("user-nobody")
JSON = {"Content-Type": "application/json"}

MALFORMED: dict[str, dict[str, Any]] = {
    "no body": {"headers": JSON},
    "invalid JSON": {"data": "{data", "headers": JSON},
    "no data": {"json": {}},
    "an array": {"json": [{"data": NOBODY}]},
    "a string": {"json": "data"},
    "an extra key": {"json": {"data": NOBODY, "context": {}}},
    "no content type": {"data": json.dumps({"data": NOBODY}).encode()},
    "a form": {"data": {"userId": "user-nobody"}},
    "another content type": {"data": json.dumps({"data": NOBODY}), "headers": {"Content-Type": "text/plain"}},
    "deep nesting": {"data": '{"data":' + "[" * 100_000 + "]" * 100_000 + "}", "headers": JSON},
    "NaN": {"data": '{"data": NaN}', "headers": JSON},
    "a lone surrogate": {"data": r'{"data": {"userId": "\ud800"}}', "headers": JSON},
    "invalid UTF-8": {"data": b'{"data": {"userId": "\xff"}}', "headers": JSON},
    "a number too long": {"data": '{"data": ' + "9" * 5_000 + "}", "headers": JSON},
    "compressed data": {"json": {"data": NOBODY}, "headers": {"Content-Encoding": "gzip"}},
    "the same name twice": {"data": '{"data": {"userId": "a", "userId": "b"}}', "headers": JSON},
    "data that is an array": {"json": {"data": [NOBODY]}},
    "data of a type that the SDK decodes": {
        "json": {"data": {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": "x"}}
    },
}

INVALID: list[tuple[str, object]] = [
    ("userId", ""),
    ("userId", None),
    ("userId", "users/user-100"),
    ("userId", "ü" * 751),
    ("userId", "__user__"),
    ("model", "model a"),
    ("style", {"name": "anime"}),
    ("style", "retired"),
    ("color", None),
    ("size", 512),
    ("prompt", ""),
    ("prompt", " \n "),
    ("prompt", "a" * 2_001),
    ("prompt", "a\u0000fox"),
    ("prompt", "\u200b\ufeff"),
    ("prompt", "\ud83d"),
    ("prompt", 7),
    ("idempotencyKey", ""),
    ("idempotencyKey", "a" * 256),
    ("failureRate", 0),
]

INVALID_PAGES: list[tuple[str, object]] = [
    ("userId", 100),
    ("pageSize", -1),
    ("pageSize", 2.5),
    ("pageSize", "50"),
    ("pageSize", True),
    ("pageToken", "page 2"),
    ("pageToken", 2),
    ("pagesize", 10),
]


@pytest.fixture(autouse=True)
def _no_crash_in_the_log(live: Live) -> Iterator[None]:
    """Assert after each test that the log contains neither a traceback nor an error."""
    before = live.log()
    yield
    logged = live.log()[len(before) :]
    assert "Finished" in logged
    assert "Traceback" not in logged
    assert '"severity": "ERROR"' not in logged


def _violations(response: requests.Response) -> list[dict[str, Any]]:
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["details"].keys() == {"reason", "violations"}
    assert error["details"]["reason"] == "INVALID_INPUT"
    violations: list[dict[str, Any]] = error["details"]["violations"]
    assert all(violation["field"] and violation["message"] for violation in violations)
    return violations


@pytest.mark.parametrize("function", ["createGenerationRequest", "getUserCredits"])
@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_malformed_call_is_invalid_input(live: Live, function: str, malformed: dict[str, Any]) -> None:
    assert _violations(live.send(function, **malformed))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_method_is_not_allowed(live: Live, method: str) -> None:
    response = live.send("getUserCredits", method, json={"data": {"userId": "user-100"}})

    assert (response.status_code, response.headers["Allow"]) == (405, "POST, OPTIONS")
    assert [violation["field"] for violation in response.json()["error"]["details"]["violations"]] == ["method"]


@pytest.mark.parametrize(("field", "value"), INVALID)
def test_invalid_field_is_reported_and_not_charged(live: Live, field: str, value: object) -> None:
    user = live.add_user(paid=1)

    [violation] = _violations(live.create(user, **{field: value}))

    assert violation["field"] == field
    assert live.credits(user) == 1
    assert live.transactions(user) == []


@pytest.mark.parametrize(("field", "value"), INVALID_PAGES)
def test_invalid_page_is_refused(live: Live, field: str, value: object) -> None:
    [violation] = _violations(live.call("getUserCredits", {"userId": "user-ada", field: value}))

    assert violation["field"] == field


def test_page_token_of_another_user_is_refused(live: Live) -> None:
    token = live.result("getUserCredits", {"userId": "user-ada"})["nextPageToken"]

    [violation] = _violations(live.call("getUserCredits", {"userId": "user-bela", "pageToken": token}))

    assert violation["field"] == "pageToken"


def test_all_violations_are_reported_together(live: Live) -> None:
    data = {"userId": "a/b", "model": "Model Z", "style": 7, "colour": "neon", "prompt": " ", "idempotencyKey": None}

    violations = {
        violation["field"]: violation for violation in _violations(live.call("createGenerationRequest", data))
    }

    assert violations.keys() == {"userId", "model", "style", "color", "colour", "size", "prompt"}
    for kind in Kind:
        assert set(names(kind)) <= set(violations[kind.value]["allowed"])
    assert "retired" not in violations["style"]["allowed"]
    assert "allowed" not in violations["prompt"]

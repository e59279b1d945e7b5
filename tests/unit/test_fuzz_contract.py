"""Tests of the fuzzer's checks: they find every kind of invalid answer, and every write of a refused call."""

import json
from typing import Any

import pytest

from tests.fuzz.contract import Answer, Contract, unexplained
from tests.support.calls import Call, of_function
from tools.docs import openapi, openapi_rest

CONTRACT = Contract(openapi.document(), openapi_rest.document())
VALID: dict[str, Any] = {"userId": "user-100", "pageSize": 1}
DEDUCTION = {
    "id": "r-deduction",
    "type": "deduction",
    "credits": 1,
    "generationRequestId": "r",
    "timestamp": "2026-11-09T00:00:00.000000Z",
}
CHARGE: dict[str, Any] = {"deductedCredits": 1, "cost": 1, "refundedCredits": 0, "netCredits": 1}
CREDITS: dict[str, Any] = {"currentCredits": 3, "transactions": [DEDUCTION]}
INVALID_INPUT = {
    "status": "INVALID_ARGUMENT",
    "message": "Invalid input.",
    "details": {"reason": "INVALID_INPUT", "violations": [{"field": "pageSize", "message": "must be at most 200"}]},
}


BALANCE = {"trial_credits": 0, "token_balance": 3, "total_available": 3}
REQUEST = {
    "generation_request_id": "r7",
    "user_id": "ada",
    "status": "pending",
    "model": "m",
    "style": "s",
    "color": "c",
    "size": "s",
    "prompt": "p",
    "cost": 1,
    "refunded_credits": 0,
    "net_credits": 1,
    "refunded": False,
    "mode": "async",
    "created_at": "2026-11-09T00:00:00.000000Z",
}
GENERATIONS = "/api/v1/generations"


def answer(status: int, body: object, sent: dict[str, Any] = VALID, function: str = "getUserCredits") -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(of_function(function, sent), status, text)


def balance(path: str = "/api/v1/credits/balance", body: object = BALANCE) -> Answer:
    return Answer(Call("get_balance", path, method="GET"), 200, json.dumps(body))


def listed(query: str) -> Answer:
    page = {"items": [REQUEST], "total": 1, "limit": 20, "offset": 0}
    return Answer(Call("list_generations", f"{GENERATIONS}?{query}", method="GET"), 200, json.dumps(page))


def problem(path: str, status: int, content_type: str = "application/problem+json", **facts: object) -> Answer:
    text = json.dumps({"type": "about:blank", "title": "Not Found", "status": status, "detail": "No.", **facts})
    return Answer(Call("get_generation_request", path, method="GET"), status, text, content_type)


def created(path: str = GENERATIONS, **fields: object) -> Answer:
    sent = {name: REQUEST[name] for name in ("model", "style", "color", "size", "prompt")}
    return Answer(Call("create_generation", path, json.dumps({**sent, **fields}).encode()), 201, json.dumps(REQUEST))


def error(status: str, message: str = "", **details: object) -> dict[str, Any]:
    return {"error": {"status": status, "message": message, "details": details}}


VALID_ANSWERS = {
    "a result": answer(200, {"result": CREDITS}),
    "one without optional fields": answer(200, {"result": {**CREDITS, "transactions": []}}, sent={}),
    "a refusal": answer(400, {"error": INVALID_INPUT}, sent={**VALID, "pageSize": 201}),
    "a refusal by the backend alone": answer(400, {"error": INVALID_INPUT}),
    "a route": balance(),
    "a route with a query": listed("limit=5&offset=1000&user_id=ada"),
    "a created request": created(user_id="ada"),
    "a request that is not found": problem(
        f"{GENERATIONS}/r", 404, reason="REQUEST_NOT_FOUND", details={"generation_request_id": "r"}
    ),
    "a path of another route": problem(f"{GENERATIONS}/a%2Fb", 404, reason="ROUTE_NOT_FOUND"),
    "a page size in long form": answer(
        200,
        {"result": CREDITS},
        sent={"pageSize": {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": "7"}},
    ),
}

INVALID_ANSWERS = {
    "an undocumented status": answer(418, error("TEAPOT", reason="TEAPOT")),
    "a documented one of another function": answer(
        404, error("NOT_FOUND", reason="REQUEST_NOT_FOUND", generationRequestId="r"), function="getUserCredits"
    ),
    "a crash with its documented body": answer(500, error("INTERNAL", reason="INTERNAL", correlationId="c")),
    "a crash of the server": answer(500, "Internal Server Error"),
    "an unavailable server": answer(503, "upstream connect error"),
    "no JSON": answer(200, "OK"),
    "no result": answer(200, {}),
    "a field too many": answer(200, {"result": {**CREDITS, "email": "ada@example.com"}}),
    "a field too few": answer(200, {"result": {"transactions": []}}),
    "null for what should be left out": answer(200, {"result": {**CREDITS, "nextPageToken": None}}),
    "a number as text": answer(200, {"result": {**CREDITS, "currentCredits": "3"}}),
    "a negative balance": answer(200, {"result": {**CREDITS, "currentCredits": -1}}),
    "an undocumented type": answer(200, {"result": {**CREDITS, "transactions": [{**DEDUCTION, "type": "grant"}]}}),
    "a result with an error's status": answer(400, {"result": CREDITS}),
    "a reason of another function": answer(
        400, error("FAILED_PRECONDITION", reason="INSUFFICIENT_CREDITS", requiredCredits=1, currentCredits=0)
    ),
    "an error without its facts": answer(400, error("INVALID_ARGUMENT", reason="INVALID_INPUT")),
    "an error with undocumented facts": answer(403, error("PERMISSION_DENIED", reason="PERMISSION_DENIED", uid="x")),
    "the wrong status for its reason": answer(403, error("NOT_FOUND", reason="PERMISSION_DENIED")),
    "a traceback": answer(
        403, error("PERMISSION_DENIED", "Traceback (most recent call last)", reason="PERMISSION_DENIED")
    ),
    "a path": answer(403, error("PERMISSION_DENIED", "in /workspace/functions", reason="PERMISSION_DENIED")),
    "a source file": answer(403, error("PERMISSION_DENIED", "entry/api.py: no", reason="PERMISSION_DENIED")),
    "a negative page size, accepted": answer(200, {"result": CREDITS}, sent={**VALID, "pageSize": -1}),
    "an unknown field, accepted": answer(200, {"result": CREDITS}, sent={**VALID, "admin": True}),
    "a field of a route in camelCase": balance(body={**BALANCE, "trialCredits": 0}),
    "a documented path, not found": problem(f"{GENERATIONS}/r", 404, reason="ROUTE_NOT_FOUND"),
    "a problem as plain JSON": problem(
        f"{GENERATIONS}/r", 404, "application/json", reason="REQUEST_NOT_FOUND", details={"generation_request_id": "r"}
    ),
    "an unknown parameter, accepted": balance("/api/v1/credits/balance?userId=ada"),
    "a parameter given twice, accepted": balance("/api/v1/credits/balance?user_id=ada&user_id=bela"),
    "a limit that is too high, accepted": listed("limit=101"),
    "a limit that is not a number, accepted": listed("limit=many"),
    "a mode, accepted by a route": created(mode="sync"),
    "a long integer, accepted by a route": created(
        max_credits={"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": "7"}
    ),
    "a blank key, accepted": answer(
        200,
        {"result": {"generationRequestId": "r", **CHARGE, "imageUrl": "https://x"}},
        sent={"model": "m", "style": "s", "color": "c", "size": "s", "prompt": "p", "idempotencyKey": ""},
        function="createGenerationRequest",
    ),
}


@pytest.mark.parametrize("case", VALID_ANSWERS)
def test_valid_answer_has_no_problems(case: str) -> None:
    assert CONTRACT.problems(VALID_ANSWERS[case]) == []


@pytest.mark.parametrize("case", INVALID_ANSWERS)
def test_invalid_answer_has_problems(case: str) -> None:
    assert CONTRACT.problems(INVALID_ANSWERS[case])


# Writes to the database

CREATED = answer(
    200,
    {"result": {"generationRequestId": "r1", **CHARGE, "imageUrl": "https://x"}},
    function="createGenerationRequest",
)
FAILED = answer(
    503,
    error("UNAVAILABLE", reason="GENERATION_FAILED", generationRequestId="r2", refundedCredits=1, currentCredits=3),
    function="createGenerationRequest",
)
CANCELED = answer(
    200,
    {"result": {"generationRequestId": "r4", "status": "canceled", "refundedCredits": 1, "currentCredits": 3}},
    function="cancelGenerationRequest",
)
WITH_WEBHOOK = answer(
    200,
    {"result": {"generationRequestId": "r5", **CHARGE, "imageUrl": "https://x"}},
    sent={"webhookUrl": "https://receiver.invalid/"},
    function="createGenerationRequest",
)
RESENT = answer(200, {"result": {"deliveryId": "r6-failed"}}, function="resendWebhook")
ROTATED = answer(200, {"result": {"webhookSecret": "whsec_"}}, sent={"userId": "cleo"}, function="getWebhookSecret")
REPORTED = answer(200, {"result": {"report": {"week": "2026-W45"}}}, function="runWeeklyReport")
REGISTERED = answer(200, {"result": {"userId": "dora", "trialCredits": 10}}, function="registerUser")
DELETED = answer(200, {"result": {"userId": "emil", "status": "running"}}, function="deleteAccount")
QUEUED_BY_REST = created()
GRANTED_BY_REST = Answer(
    Call("grant_credits", "/api/v1/credits/grants", b'{"user_id": "ada"}'), 200, '{"transaction_id": "grant-g1"}'
)
CANCELED_BY_REST = Answer(
    Call("cancel_generation_request", f"{GENERATIONS}/r8/cancel"), 200, '{"generation_request_id": "r8"}'
)
ACCEPTED = [
    QUEUED_BY_REST,
    GRANTED_BY_REST,
    CANCELED_BY_REST,
    CREATED,
    FAILED,
    CANCELED,
    WITH_WEBHOOK,
    RESENT,
    ROTATED,
    REPORTED,
    REGISTERED,
    DELETED,
]
REFUSED = answer(429, error("RESOURCE_EXHAUSTED", reason="RATE_LIMITED", retryAfterSeconds=1))
BEFORE = {"users/ada": 1, "users/bela": 1}
AFTER = {
    **BEFORE,
    "users/ada": 2,
    "generationRequests/r1": 2,
    "users/ada/creditTransactions/r1-deduction": 2,
    "generationRequests/r2": 3,
    "users/ada/creditTransactions/r2-deduction": 3,
    "users/ada/creditTransactions/r2-refund": 4,
    "generationRequests/r4": 5,
    "users/ada/creditTransactions/r4-refund": 5,
    "webhookDeliveries/r4-canceled": 5,
    "generationRequests/r5": 5,
    "users/ada/creditTransactions/r5-deduction": 5,
    "webhookDeliveries/r5-completed": 5,
    "webhookDeliveries/r6-failed": 5,
    "generationRequests/r7": 5,
    "users/ada/creditTransactions/r7-deduction": 5,
    "serverKeys/tickets": 5,
    "grants/g1": 5,
    "users/ada/creditTransactions/grant-g1": 5,
    "generationRequests/r8": 5,
    "users/ada/creditTransactions/r8-refund": 5,
    "webhookDeliveries/r8-canceled": 5,
    "webhookSecrets/cleo": 5,
    "weeklyReports/2026-W45": 5,
    "dailyUsage/2026-11-08": 5,
    "users/dora": 5,
    "users/dora/creditTransactions/welcome-grant": 5,
    "trialClaims/a-hash": 5,
    "serverKeys/trial-claims": 5,
    "webhookDeliveries/r1-completed-endpoint": 5,
    "accountDeletions/emil": 5,
    "users/emil": 5,
    "users/emil/creditTransactions/forfeit": 5,
    "generationRequests/r9": 5,
}
OWNERS = {"generationRequests/r9": "emil", "generationRequests/r10": "ada"}


def test_writes_of_accepted_calls_are_explained() -> None:
    assert unexplained(BEFORE, AFTER, ACCEPTED, OWNERS) == set()
    assert not FAILED.refused
    assert REFUSED.refused


@pytest.mark.parametrize(
    "trace",
    [
        {"users/bela": 2},
        {"users/new": 5},
        {"generationRequests/r3": 5},
        {"users/bela/creditTransactions/r3-deduction": 5},
        {"users/ada/creditTransactions/r1-refund": 5},
        {"grants/g": 5},
        {"models/model-a": 5},
        {"webhookDeliveries/r1-completed": 5},
        {"weeklyReports/2026-W44": 5},
        {"dailyUsage/2026-11-09": 5},
        {"serverKeys/another": 5},
        {"webhookDeliveries/r3-completed-endpoint": 5},
        {"accountDeletions/bela": 5},
        {"generationRequests/r10": 5},
    ],
    ids=str,
)
def test_writes_without_an_accepted_call_are_unexplained(trace: dict[str, int]) -> None:
    assert unexplained(BEFORE, {**AFTER, **trace}, [*ACCEPTED, REFUSED], OWNERS) == trace.keys()


def test_claim_without_a_registration_is_unexplained() -> None:
    assert unexplained({}, {"trialClaims/a-hash": 5}, [CREATED, REPORTED]) == {"trialClaims/a-hash"}


def test_deleted_document_is_unexplained() -> None:
    assert unexplained({**BEFORE, "users/gone": 1}, AFTER, ACCEPTED, OWNERS) == {"users/gone"}

"""Tests of the fuzzer's checks: they find every kind of invalid answer, and every write of a refused call."""

import json
from typing import Any

import pytest

from tests.fuzz.contract import Answer, Contract, unexplained
from tools.docs import openapi

CONTRACT = Contract(openapi.document())
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


def answer(status: int, body: object, sent: object = VALID, function: str = "getUserCredits") -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(function, json.dumps({"data": sent}).encode(), status, text)


def error(status: str, message: str = "", **details: object) -> dict[str, Any]:
    return {"error": {"status": status, "message": message, "details": details}}


VALID_ANSWERS = {
    "a result": answer(200, {"result": CREDITS}),
    "one without optional fields": answer(200, {"result": {**CREDITS, "transactions": []}}, sent={}),
    "a refusal": answer(400, {"error": INVALID_INPUT}, sent={**VALID, "pageSize": 201}),
    "a refusal by the backend alone": answer(400, {"error": INVALID_INPUT}),
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
ACCEPTED = [CREATED, FAILED, CANCELED, WITH_WEBHOOK, RESENT, ROTATED, REPORTED, REGISTERED]
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
    "webhookSecrets/cleo": 5,
    "weeklyReports/2026-W45": 5,
    "dailyUsage/2026-11-08": 5,
    "users/dora": 5,
    "users/dora/creditTransactions/welcome-grant": 5,
    "trialClaims/a-hash": 5,
    "serverKeys/trial-claims": 5,
}


def test_writes_of_accepted_calls_are_explained() -> None:
    assert unexplained(BEFORE, AFTER, ACCEPTED) == set()
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
    ],
    ids=str,
)
def test_writes_without_an_accepted_call_are_unexplained(trace: dict[str, int]) -> None:
    assert unexplained(BEFORE, {**AFTER, **trace}, [*ACCEPTED, REFUSED]) == trace.keys()


def test_claim_without_a_registration_is_unexplained() -> None:
    assert unexplained({}, {"trialClaims/a-hash": 5}, [CREATED, REPORTED]) == {"trialClaims/a-hash"}


def test_deleted_document_is_unexplained() -> None:
    assert unexplained({**BEFORE, "users/gone": 1}, AFTER, ACCEPTED) == {"users/gone"}

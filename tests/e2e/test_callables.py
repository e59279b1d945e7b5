"""Tests of createGenerationRequest and getUserCredits over HTTP, with the documents that they write."""

import itertools
import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import requests

from imagegen.domain.catalog import Kind
from tests.support.catalog import COSTS
from tests.support.live import Live, order, until
from tests.support.models import BROKEN, SLOW
from tools.seed import history

OPTIONS = [
    (kind, option.name, spelling)
    for kind in Kind
    for option in history.catalog().options(kind)
    for spelling in sorted({option.name, option.id})
]


def test_the_curl_that_the_start_prints_works(live: Live) -> None:
    until(lambda: "Press Ctrl-C to stop" in live.suite.output(), seconds=30)
    output = live.suite.output()
    for name in ("functions", "firestore", "auth"):
        assert f"http://{live.suite.project.ports()[name]}" in output
    [curl] = [line for line in output.splitlines() if line.startswith("curl ")]

    answer = subprocess.check_output(["bash", "-c", curl.replace("user-100", live.add_user(paid=4))], text=True)

    assert json.loads(answer)["result"]["imageUrl"]


def test_successful_request_is_charged_and_recorded(live: Live) -> None:
    user = live.add_user(paid=10)
    params = order(
        user, model="Model B", style="oil painting", color="vintage", size="1024x1792", prompt="a fox\nin snow"
    )

    result = live.result("createGenerationRequest", params)

    charge = {"deductedCredits", "cost", "refundedCredits", "netCredits", "currentCredits"}
    assert result.keys() == {"generationRequestId", *charge, "imageUrl"}
    assert result["deductedCredits"] == 4
    assert result["imageUrl"] == f"{live.suite.hosting_url}/models/model-b.webp"
    image = requests.get(result["imageUrl"], timeout=30)  # as in a browser
    assert (image.status_code, image.headers["Content-Type"]) == (200, "image/webp")
    assert live.credits(user) == 6
    request = live.request(result["generationRequestId"])
    assert params.items() <= request.items()
    assert (request["status"], request["cost"], request["error"]) == ("completed", 4, None)
    assert request["imageUrl"] == result["imageUrl"]
    assert request["createdAt"] <= request["startedAt"] <= request["finishedAt"] <= datetime.now(UTC)


def test_history_lists_a_deduction(live: Live) -> None:
    user = live.add_user(trial=2, paid=5)
    called_at = datetime.now(UTC)

    request_id = live.create(user, size="1024x1024").json()["result"]["generationRequestId"]

    [deduction] = live.transactions(user)
    timestamp = deduction.pop("timestamp")
    assert deduction.pop("id")
    assert deduction == {"type": "deduction", "credits": 3, "generationRequestId": request_id}
    assert timestamp.endswith("Z")
    assert called_at - timedelta(seconds=1) <= datetime.fromisoformat(timestamp) <= datetime.now(UTC)
    assert live.user(user)["credits"] == {"trial": 0, "paid": 4}


@pytest.mark.parametrize(("kind", "name", "spelling"), OPTIONS, ids=str)
def test_every_option_is_accepted_by_name_and_by_id(live: Live, kind: Kind, name: str, spelling: str) -> None:
    response = live.create(live.add_user(paid=max(COSTS.values())), **{kind.value: spelling})

    assert response.status_code == 200, response.text
    result = response.json()["result"]
    request = live.request(result["generationRequestId"])
    assert request[kind.value] == name
    assert result["deductedCredits"] == COSTS[request["size"]]


@pytest.mark.parametrize(
    ("model", "http_status", "status", "reason"),
    [(BROKEN, 503, "UNAVAILABLE", "GENERATION_FAILED"), (SLOW, 504, "DEADLINE_EXCEEDED", "GENERATION_TIMEOUT")],
)
def test_failed_generation_is_refunded(live: Live, model: str, http_status: int, status: str, reason: str) -> None:
    user = live.add_user(trial=2, paid=5)

    response = live.create(user, model=model, size="1024x1024")

    assert response.status_code == http_status
    error = response.json()["error"]
    request_id = error["details"]["generationRequestId"]
    assert error["status"] == status
    assert error["details"] == {
        "reason": reason,
        "generationRequestId": request_id,
        "cost": 3,
        "refundedCredits": 3,
        "netCredits": 0,
        "currentCredits": 7,
    }
    refund, deduction = live.transactions(user)
    assert (refund["type"], refund["credits"], refund["generationRequestId"]) == ("refund", 3, request_id)
    assert (deduction["type"], deduction["credits"], deduction["generationRequestId"]) == ("deduction", 3, request_id)
    assert live.user(user)["credits"] == {"trial": 2, "paid": 5}
    request = live.request(request_id)
    assert (request["status"], request["error"]["reason"], request["imageUrl"]) == ("failed", reason, None)


def test_insufficient_balance_is_refused_and_not_charged(live: Live) -> None:
    user = live.add_user(trial=1, paid=1)

    response = live.create(user, size="1024x1024")

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["status"] == "FAILED_PRECONDITION"
    assert error["details"] == {"reason": "INSUFFICIENT_CREDITS", "requiredCredits": 3, "currentCredits": 2}
    assert live.credits(user) == 2
    assert live.transactions(user) == []


@pytest.mark.parametrize("function", ["createGenerationRequest", "getUserCredits"])
def test_unknown_user_is_not_found(live: Live, function: str) -> None:
    data = order("user-nobody") if function == "createGenerationRequest" else {"userId": "user-nobody"}

    response = live.call(function, data)

    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["status"], error["details"]["reason"]) == ("NOT_FOUND", "USER_NOT_FOUND")


def test_history_pages_have_no_gaps_or_repeats(live: Live) -> None:
    expected = [entry["id"] for entry in reversed(live.ledger("user-ada")) if entry["type"] != "grant"]
    pages = []
    data: dict[str, object] = {"userId": "user-ada", "pageSize": 200}
    while True:
        page = live.result("getUserCredits", data)
        pages.append(page["transactions"])
        if "nextPageToken" not in page:
            break
        data["pageToken"] = page["nextPageToken"]

    listed = list(itertools.chain(*pages))
    assert len(expected) > 400
    assert [entry["id"] for entry in listed] == expected
    assert {len(page) for page in pages[:-1]} == {200}
    moments = [datetime.fromisoformat(entry["timestamp"]) for entry in listed]
    assert moments == sorted(moments, reverse=True)


def test_default_page_has_50_entries(live: Live) -> None:
    assert len(live.transactions("user-ada")) == 50


def facts(answer: requests.Response) -> dict[str, object]:
    """Return the result or the error details of an answer."""
    body = answer.json()
    facts: dict[str, object] = body.get("result") or body["error"]["details"]
    return facts


@pytest.mark.parametrize("model", ["Model A", BROKEN])
def test_repeated_key_returns_the_same_answer_and_is_charged_once(live: Live, model: str) -> None:
    user = live.add_user(paid=10)

    first, *later = [live.create(user, model=model, idempotencyKey="order 1") for _ in range(3)]

    assert first.status_code == (503 if model == BROKEN else 200)
    for answer in later:
        assert answer.status_code == (400 if model == BROKEN else 200)
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert facts(answer) == {**facts(first), "replayed": True}
    assert len(live.transactions(user)) == (2 if model == BROKEN else 1)
    assert live.credits(user) == (10 if model == BROKEN else 9)


def test_repeated_key_with_another_payload_is_refused(live: Live) -> None:
    user = live.add_user(paid=10)
    live.create(user, idempotencyKey="order 1")

    response = live.create(user, idempotencyKey="order 1", prompt="something else")

    assert response.status_code == 409
    error = response.json()["error"]
    assert (error["status"], error["details"]["reason"]) == ("ALREADY_EXISTS", "IDEMPOTENCY_MISMATCH")
    assert live.credits(user) == 9


def test_added_option_is_offered_within_seconds(live: Live) -> None:
    user = live.add_user(paid=1)
    assert live.create(user, style="fresco").status_code == 400

    live.operator.document("styles/fresco").set({"name": "fresco", "enabled": True, "order": 100})

    until(lambda: live.create(user, style="fresco").status_code == 200, seconds=10)
    assert live.credits(user) == 0

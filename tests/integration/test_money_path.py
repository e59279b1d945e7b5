"""Tests of reserving, generating and settling in mode sync. An audit follows each test."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from imagegen.ports.image_generator import Job
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.orders import ORDER, order
from tests.support.wire import ObservedClient


def request_document(client: ObservedClient, request_id: str) -> dict[str, Any]:
    return client.document(f"generationRequests/{request_id}").get().to_dict() or {}


def test_successful_request_is_charged_and_recorded(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    result = api.result("createGenerationRequest", ORDER)
    assert result == {
        "generationRequestId": result["generationRequestId"],
        "deductedCredits": 3,
        "cost": 3,
        "refundedCredits": 0,
        "netCredits": 3,
        "currentCredits": 7,
        "imageUrl": "https://site.example.com/models/model-a.webp",
    }
    recorded = request_document(client, result["generationRequestId"])
    assert {field: recorded[field] for field in ORDER} == ORDER
    assert recorded["status"] == "completed"
    assert recorded["cost"] == 3
    assert recorded["imageUrl"] == result["imageUrl"]
    assert recorded["createdAt"] <= recorded["startedAt"] <= recorded["finishedAt"]
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 7


@pytest.mark.parametrize(("size", "cost"), [("512x512", 1), ("1024x1024", 3), ("1024x1792", 4)])
def test_only_the_size_determines_the_price(api: Api, add_user: AddUser, size: str, cost: int) -> None:
    add_user(paid=20)
    for model in ("Model A", "Model B"):
        for style, color in (("anime", "vintage"), ("sketch", "pastel")):
            params = order(model=model, style=style, color=color, size=size)
            assert api.result("createGenerationRequest", params)["deductedCredits"] == cost


def test_each_model_returns_its_own_image(api: Api, add_user: AddUser) -> None:
    add_user(paid=10)
    images = {api.result("createGenerationRequest", order(model=m))["imageUrl"] for m in ("Model A", "Model B")}
    assert images == {"https://site.example.com/models/model-a.webp", "https://site.example.com/models/model-b.webp"}


def test_failed_generation_is_refunded(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1)
    for _ in range(5):
        error = api.error("createGenerationRequest", ORDER)
        assert error["status"] == "UNAVAILABLE"
        assert error["details"] == {
            "reason": "GENERATION_FAILED",
            "generationRequestId": error["details"]["generationRequestId"],
            "cost": 3,
            "refundedCredits": 3,
            "netCredits": 0,
            "currentCredits": 10,
        }
        recorded = request_document(client, error["details"]["generationRequestId"])
        assert (recorded["status"], recorded["imageUrl"]) == ("failed", None)
    history = api.result("getUserCredits", {"userId": "user"})
    assert Counter(entry["type"] for entry in history["transactions"]) == {"deduction": 5, "refund": 5}


def test_slow_generation_is_refunded_as_a_timeout(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    set_models(client, latencySeconds=30, timeoutSeconds=0.05)
    error = api.error("createGenerationRequest", ORDER)
    assert error["status"] == "DEADLINE_EXCEEDED"
    assert error["details"]["reason"] == "GENERATION_TIMEOUT"
    assert (error["details"]["refundedCredits"], error["details"]["currentCredits"]) == (3, 10)


def test_provider_gets_all_options_and_the_input(
    api: Api, client: ObservedClient, provider: Provider, add_user: AddUser
) -> None:
    add_user(paid=10)
    client.document("models/model-a").set(
        {"name": "Model A", "provider": "mock", "providerModel": "artist-2", "imageUrl": "https://x", "quality": "high"}
    )
    jobs: list[Job] = []

    def generate(job: Job) -> str:
        jobs.append(job)
        return "https://images.example.com/tall.png"

    provider.generate = generate
    photo = {"type": "photo", "photoUrl": "https://photos.example.com/1.jpg"}
    made = api.result("createGenerationRequest", order(size="1024x1792", input=photo))
    api.result("createGenerationRequest", order(model="Model B"))
    assert jobs[0] == Job(
        request_id=made["generationRequestId"],
        model="Model A",
        provider_model="artist-2",
        provider_options={"imageUrl": "https://x", "quality": "high"},
        prompt="a lighthouse",
        provider_prompt="a lighthouse. Style: oil painting. Colors: neon.",
        input=photo,
        style="oil painting",
        color="neon",
        size="1024x1792",
        width=1024,
        height=1792,
        timeout_seconds=30,
        max_attempts=1,
    )
    assert jobs[1].provider_model == "Model B"


def test_refund_returns_to_the_buckets_that_paid(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(trial=2, paid=5)
    set_models(client, failureRate=1)
    api.error("createGenerationRequest", ORDER)
    refunded = client.document("users/user").get().to_dict() or {}
    assert refunded["credits"] == {"trial": 2, "paid": 5}
    entries = [entry.to_dict() or {} for entry in client.collection("users/user/creditTransactions").stream()]
    assert [entry["buckets"] for entry in entries if entry["type"] != "grant"] == [{"trial": 2, "paid": 1}] * 2


def test_insufficient_balance_is_refused_and_not_charged(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=2)
    error = api.error("createGenerationRequest", ORDER)
    assert error["status"] == "FAILED_PRECONDITION"
    assert error["details"] == {"reason": "INSUFFICIENT_CREDITS", "requiredCredits": 3, "currentCredits": 2}
    assert list(client.collection("generationRequests").stream()) == []


@pytest.mark.parametrize("max_credits", [3, 4, None, 3.0])
def test_price_up_to_max_credits_is_accepted(api: Api, add_user: AddUser, max_credits: object) -> None:
    add_user(paid=10)
    assert api.result("createGenerationRequest", order(maxCredits=max_credits))["currentCredits"] == 7


def test_price_above_max_credits_is_refused_and_not_charged(
    api: Api, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    client.wire.reset()
    for max_credits in (2, 0):
        error = api.error("createGenerationRequest", order(maxCredits=max_credits))
        assert error["status"] == "FAILED_PRECONDITION"
        assert error["details"] == {"reason": "PRICE_TOO_HIGH", "requiredCredits": 3, "maxCredits": max_credits}
    assert client.wire.writes == 0
    assert api.result("getUserCredits", {"userId": "user"}) == {"currentCredits": 10, "transactions": []}


@pytest.mark.parametrize("max_credits", [-1, 1_000_001, 2.5, "3", True])
def test_invalid_max_credits_is_refused(api: Api, max_credits: object) -> None:
    [violation] = api.error("createGenerationRequest", order(maxCredits=max_credits))["details"]["violations"]
    assert violation["field"] == "maxCredits"


def test_unknown_user_is_not_found(api: Api, client: ObservedClient) -> None:
    for function, data in (("createGenerationRequest", ORDER), ("getUserCredits", {"userId": "user"})):
        error = api.error(function, data)
        assert (error["status"], error["details"]["reason"]) == ("NOT_FOUND", "USER_NOT_FOUND")
    assert list(client.collection("generationRequests").stream()) == []


def test_unknown_fields_of_a_user_are_preserved(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    unknown = {"newsletter": True, "credits.bonus": 5, "ledger.note": "checked", "usage.`2026-W01`": {"gifts": 1}}
    client.document("users/user").update(unknown)
    api.result("createGenerationRequest", ORDER)
    set_models(client, failureRate=1)
    after = client.document("users/user").get()
    assert {path: after.get(path) for path in unknown} == unknown


def test_concurrent_requests_never_overdraw(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: api.call("createGenerationRequest", ORDER).get_json(), range(50)))
    reasons = Counter(answer["error"]["details"]["reason"] if "error" in answer else "delivered" for answer in answers)
    assert reasons == {"delivered": 3, "INSUFFICIENT_CREDITS": 47}
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 1


def test_concurrent_failures_are_all_refunded(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(trial=3, paid=57)
    set_models(client, failureRate=1)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: api.error("createGenerationRequest", ORDER), range(20)))
    assert {answer["details"]["reason"] for answer in answers} == {"GENERATION_FAILED"}
    assert (client.document("users/user").get().to_dict() or {})["credits"] == {"trial": 3, "paid": 57}


def test_success_costs_3_round_trips_2_reads_and_4_writes(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    backend.catalogs.current()
    client.wire.reset()
    api.result("createGenerationRequest", ORDER)
    assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == (3, 2, 4)


def test_failure_costs_4_round_trips_3_reads_and_6_writes(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1)
    backend.catalogs.current()
    client.wire.reset()
    api.error("createGenerationRequest", ORDER)
    assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == (4, 3, 6)


@pytest.mark.parametrize(("fails", "reads"), [(False, 1), (True, 2)], ids=["completed", "refunded"])
def test_simultaneous_requests_of_a_user_are_not_refused_and_read_no_more(
    api: Api, backend: Backend, client: ObservedClient, add_user: AddUser, fails: bool, reads: int
) -> None:
    backend.generations.turns._seconds_max = 60  # on a busy machine, a turn can take long
    add_user(paid=90)
    set_models(client, failureRate=int(fails))
    backend.catalogs.current()
    client.wire.reset()
    with ThreadPoolExecutor(15) as pool:
        statuses = list(pool.map(lambda _: api.call("createGenerationRequest", ORDER).status_code, range(30)))
    assert set(statuses) == {503 if fails else 200}
    made = Counter(method for method, _ in client.wire.calls if method in ("BatchGetDocuments", "Commit"))
    assert made == {"BatchGetDocuments": 30 * reads, "Commit": 30 * 2}

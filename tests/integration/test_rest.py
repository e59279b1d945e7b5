"""Tests of the REST API on the Firestore emulator: routes, names, statuses, problems, lists and waiting."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from imagegen.bootstrap import Backend
from imagegen.domain.limits import Limits
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.faults import FaultyDatabase
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import NO_LIMITS, ManualClock, TaskList

ORDER = {
    "user_id": "user",
    "model": "Model A",
    "style": "oil painting",
    "color": "neon",
    "size": "1024x1024",
    "prompt": "a lighthouse",
}
GENERATIONS = "/v1/generations"
LIST = f"{GENERATIONS}?user_id=user"


class Clock(ManualClock):
    """A clock that calls ``asleep`` while someone waits. Nothing else takes time."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.asleep: Callable[[], object] = lambda: None
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.sleeps.append(seconds)
        self.asleep()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def queue() -> TaskList:
    return TaskList()


@pytest.fixture
def run_tasks(backend: Backend, queue: TaskList) -> Callable[[], None]:
    """Return a function that runs the waiting tasks, as the queue does."""

    def run() -> None:
        while queue.put_so_far:
            _, task = queue.put_so_far.pop()
            backend.worker.run(task["generationRequestId"], task["ticket"])

    return run


def create(api: Api, key: str | None = None, wait: str | None = None, **changes: object) -> TestResponse:
    headers = {"Idempotency-Key": key, "Prefer": wait}
    given = {name: value for name, value in headers.items() if value is not None}
    return api.rest("POST", GENERATIONS, {**ORDER, **changes}, **given)


def problem(response: TestResponse) -> dict[str, Any]:
    """Return the problem document of an answer, whose common members are checked here."""
    content: dict[str, Any] = response.get_json()
    assert response.mimetype == "application/problem+json"
    assert content.keys() - {"details"} == {"type", "title", "status", "detail", "reason"}
    assert (content["type"], content["status"]) == ("about:blank", response.status_code)
    assert response.headers["Cache-Control"] == "no-store"
    return content


def reason(response: TestResponse) -> tuple[int, str]:
    return response.status_code, problem(response)["reason"]


def violations(response: TestResponse) -> dict[str, str]:
    assert reason(response) == (400, "INVALID_INPUT")
    return {one["field"]: one["message"] for one in response.get_json()["details"]["violations"]}


# Creating


def test_created_request_is_queued_and_returned(api: Api, add_user: AddUser, queue: TaskList) -> None:
    add_user(paid=10)
    response = create(api, input={"type": "photo", "photo_url": "https://images.example.com/me.jpg"})
    created = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"generations/{created['generation_request_id']}"
    assert created["status"] == "pending"
    assert created["input"] == {"type": "photo", "photo_url": "https://images.example.com/me.jpg"}
    assert [task["generationRequestId"] for _, task in queue.put_so_far] == [created["generation_request_id"]]
    assert api.rest("GET", f"/v1/{response.headers['Location']}").get_json() == created


def test_repeat_under_a_key_is_200_and_charged_once(api: Api, add_user: AddUser, queue: TaskList, clock: Clock) -> None:
    add_user(paid=10)
    first = create(api, "key").get_json()
    again = create(api, "key", wait="wait=50")
    assert clock.sleeps == []
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.get_json()) == (200, {**first, "replayed": True})
    assert again.headers["Location"] == f"generations/{first['generation_request_id']}"
    assert len(queue.put_so_far) == 1
    assert api.rest("GET", "/v1/credits/balance?user_id=user").get_json()["total_available"] == 7


def test_key_with_another_payload_is_422(api: Api, add_user: AddUser) -> None:
    add_user(paid=10)
    create(api, "key")
    assert reason(create(api, "key", prompt="a fox")) == (422, "IDEMPOTENCY_MISMATCH")


def test_repeat_is_answered_after_its_style_was_withdrawn(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    first = create(api, "key").get_json()
    client.document("styles/oil-painting").update({"enabled": False})
    api.rest("GET", "/v1/catalog")
    again = create(api, "key")
    assert (again.status_code, again.get_json()) == (200, {**first, "replayed": True})


def test_key_is_the_same_in_both_apis(api: Api, add_user: AddUser) -> None:
    add_user(paid=10)
    first = create(api, "key").get_json()["generation_request_id"]
    again = api.call("createGenerationRequest", order(mode="async"), **{"Idempotency-Key": "key"}).get_json()
    assert again["result"]["generationRequestId"] == first


def test_reused_request_is_200_and_costs_nothing(
    api: Api, add_user: AddUser, clock: Clock, run_tasks: Callable[[], None]
) -> None:
    add_user(paid=10)
    clock.asleep = run_tasks
    first = create(api, wait="wait=10").get_json()
    again = create(api, reuse={"max_age_seconds": 60})
    assert (again.status_code, again.get_json()) == (200, {**first, "reused": True})
    assert "Idempotent-Replayed" not in again.headers
    assert again.headers["Location"] == f"generations/{first['generation_request_id']}"
    assert api.rest("GET", "/v1/credits/balance?user_id=user").get_json()["total_available"] == 7


@pytest.mark.parametrize("field", ["mode", "wait", "userId", "webhookUrl"])
def test_field_of_another_api_is_refused_under_the_name_that_was_sent(api: Api, field: str) -> None:
    response = api.rest("POST", GENERATIONS, {**ORDER, field: "async"})
    assert violations(response) == {field: "is not a known field"}


def test_money_path_has_the_round_trips_of_mode_async(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    create(api)  # reads the catalog and the key of the tickets
    client.wire.reset()
    create(api)
    assert (client.wire.round_trips, client.wire.documents_read, client.wire.writes) == (2, 2, 3)


# Waiting


def test_waiting_call_returns_the_image(
    api: Api, add_user: AddUser, clock: Clock, run_tasks: Callable[[], None]
) -> None:
    add_user(paid=10)
    clock.asleep = run_tasks
    created = create(api, wait="wait=10")
    assert created.status_code == 201
    assert created.get_json()["status"] == "completed"
    assert created.get_json()["image_url"] == "https://site.example.com/models/model-a.webp"
    assert clock.sleeps == [0.1]


def test_waiting_call_returns_the_failure_with_its_refund(
    api: Api, client: ObservedClient, add_user: AddUser, clock: Clock, run_tasks: Callable[[], None]
) -> None:
    add_user(paid=10)
    client.document("models/model-a").update({"failureRate": 1})
    clock.asleep = run_tasks
    created = create(api, wait="wait=10")
    assert created.status_code == 201
    assert created.get_json()["status"] == "failed"
    assert created.get_json()["error"]["reason"] == "GENERATION_FAILED"
    assert created.get_json()["refunded"] is True


@pytest.mark.parametrize(
    ("preference", "seconds"),
    [
        ("wait=3", 3),
        ("respond-async, wait=3", 3),
        ('wait="3"', 3),
        ("wait=3; other=1", 3),
        ("wait=50", 50),
        ("wait=51", 50),
        (f"wait={'9' * 5_000}", 50),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=³", 0),
        ("wait", 0),
        ("wait=", 0),
        ("return=minimal", 0),
        (",,;=", 0),
    ],
)
def test_call_waits_as_long_as_it_prefers(
    api: Api, client: ObservedClient, add_user: AddUser, clock: Clock, preference: str, seconds: int
) -> None:
    """The request goes on, and the answer shows it as it is. The reads of the longest wait are bounded."""
    add_user(paid=10)
    created = create(api, wait=preference.encode().decode("latin-1"))
    assert (created.status_code, created.get_json()["status"]) == (201, "pending")
    assert (clock.now() - NOON) / timedelta(seconds=1) == pytest.approx(seconds)
    assert len(clock.sleeps) <= seconds + 4
    assert client.wire.documents_read <= 2 + 1 + len(clock.sleeps)  # the ticket's key is read once


def test_call_that_cannot_read_its_request_returns_what_it_knows(
    api: Api, add_user: AddUser, clock: Clock, faulty: FaultyDatabase
) -> None:
    add_user(paid=10)
    clock.asleep = lambda: setattr(faulty, "down", True)
    created = create(api, wait="wait=2")
    assert (created.status_code, created.get_json()["status"]) == (201, "pending")


def test_call_waits_no_longer_once_its_request_is_canceled(api: Api, add_user: AddUser, clock: Clock) -> None:
    add_user(paid=10)

    def cancel() -> None:
        [request] = api.rest("GET", LIST).get_json()["items"]
        assert api.rest("POST", f"{GENERATIONS}/{request['generation_request_id']}/cancel").status_code == 200

    clock.asleep = cancel
    assert create(api, wait="wait=50").get_json()["status"] == "canceled"
    assert len(clock.sleeps) == 1


# Reading


@pytest.fixture
def made(api: Api, add_user: AddUser, clock: Clock) -> list[str]:
    """Make five requests, a second apart. Return their ids, newest first."""
    add_user(paid=10)
    ids = []
    for _ in range(5):
        ids.append(create(api, size="512x512").get_json()["generation_request_id"])
        clock.at += timedelta(seconds=1)
    return ids[::-1]


def listed(api: Api, query: str) -> tuple[list[str], dict[str, Any]]:
    page = api.rest("GET", f"{LIST}{query}").get_json()
    return [request["generation_request_id"] for request in page.pop("items")], page


def test_pages_by_offset(api: Api, made: list[str]) -> None:
    ids, page = listed(api, "&limit=2&offset=1")
    assert ids == made[1:3]
    assert page == {"total": 5, "limit": 2, "offset": 1, "next": page["next"]}
    assert listed(api, f"&limit=2&page_token={page['next']}")[0] == made[3:5]
    assert listed(api, "&offset=4") == (made[4:], {"total": 5, "limit": 20, "offset": 4})
    assert listed(api, "&offset=1000") == ([], {"total": 5, "limit": 20, "offset": 1000})


def test_token_is_the_same_in_both_apis(api: Api, made: list[str]) -> None:
    token = listed(api, "&limit=3")[1]["next"]
    page = api.result("listGenerationRequests", {"userId": "user", "pageToken": token})
    assert [request["generationRequestId"] for request in page["requests"]] == made[3:]


def test_list_is_filtered(api: Api, made: list[str]) -> None:
    assert listed(api, "&status=pending&model=model-a&size=512x512&created_from=2026-11-18T12:00:02Z")[0] == made[:3]
    assert listed(api, "&status=failed") == ([], {"total": 0, "limit": 20, "offset": 0})


def test_offset_and_total_are_billed_up_to_their_bounds(
    api: Api, client: ObservedClient, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.api.rest.generations.TOTAL_MAX", 3)
    client.wire.reset()
    _, page = listed(api, "&limit=1&offset=2")
    assert page["total"] == 3
    [listing, counting] = [query for _, query, _ in client.wire.queries]
    assert (listing.offset, listing.limit, counting.limit) == (2, 2, 3)


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("&limit=0", "limit", "must be at least 1"),
        ("&limit=101", "limit", "must be at most 100"),
        ("&limit=-5", "limit", "must be at least 1"),
        ("&limit=2.0", "limit", "must be an integer"),
        ("&limit=", "limit", "must be an integer"),
        ("&limit=²", "limit", "must be an integer"),
        (f"&limit={'9' * 30}", "limit", "must be an integer"),
        ("&offset=1001", "offset", "must be at most 1000"),
        ("&offset=-1", "offset", "must be at least 0"),
        ("&limit=1&limit=2", "limit", "must be given only once"),
        ("&page_size=1", "page_size", "is not a known field"),
        ("&pageToken=x", "pageToken", "is not a known field"),
        ("&page_token=x", "page_token", "is not a token from an earlier answer to this query"),
        ("&created_from=yesterday", "created_from", "must be an RFC 3339 time with a time zone, such as"),
        ("&status=lost", "status", "must be 'pending'"),
    ],
)
def test_invalid_query_is_refused(api: Api, query: str, field: str, message: str) -> None:
    found = violations(api.rest("GET", f"{LIST}{query}"))
    assert found.keys() == {field}
    assert found[field].startswith(message)


def test_offset_with_a_token_is_refused(api: Api, made: list[str]) -> None:
    token = listed(api, "&limit=1")[1]["next"]
    response = api.rest("GET", f"{LIST}&offset=1&page_token={token}")
    assert violations(response) == {"offset": "must be left out if there is a page token"}


def test_transactions_page_by_page(api: Api, made: list[str]) -> None:
    path = "/v1/credits/transactions?user_id=user&limit=3"
    first = api.rest("GET", path).get_json()
    second = api.rest("GET", f"{path}&page_token={first['next']}").get_json()
    granted, *deductions = (first["items"] + second["items"])[::-1]
    assert (granted["type"], granted["balance_after"]) == ("grant", 10)
    assert [entry["generation_request_id"] for entry in deductions] == made[::-1]
    assert "next" not in second
    assert [entry["type"] for entry in api.rest("GET", f"{path}&type=grant").get_json()["items"]] == ["grant"]


def test_balance_and_catalog(api: Api, add_user: AddUser) -> None:
    add_user(trial=2, paid=5)
    balance = api.rest("GET", "/v1/credits/balance?user_id=user").get_json()
    assert balance == {"trial_credits": 2, "token_balance": 5, "total_available": 7}
    catalog = api.rest("GET", "/v1/catalog").get_json()
    assert catalog["sizes"][0] == {"id": "512x512", "name": "512x512", "width": 512, "height": 512, "credit_cost": 1}


def test_canceled_request_is_refunded_once(api: Api, made: list[str]) -> None:
    path = f"{GENERATIONS}/{made[0]}/cancel"
    assert api.rest("POST", path).get_json()["refunded_credits"] == 1
    again = api.rest("POST", path, {})
    assert (again.status_code, again.get_json()["replayed"]) == (200, True)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_request_that_has_ended_is_not_canceled(api: Api, made: list[str], run_tasks: Callable[[], None]) -> None:
    run_tasks()
    response = api.rest("POST", f"{GENERATIONS}/{made[0]}/cancel")
    assert reason(response) == (409, "REQUEST_ENDED")
    assert response.get_json()["details"]["status"] == "completed"


def test_offset_of_a_page_does_not_count_twice(api: Api, client: ObservedClient, made: list[str]) -> None:
    """A document that cannot be read is left out, and the next one takes its place."""
    client.document(f"generationRequests/{made[1]}").update({"cost": "free"})
    ids, page = listed(api, "&limit=2&offset=1")
    assert ids == made[2:4]
    assert listed(api, f"&page_token={page['next']}")[0] == made[4:]
    client.document(f"generationRequests/{made[1]}").update({"cost": 1})


# Problems


def test_too_few_credits_are_402(api: Api, add_user: AddUser) -> None:
    add_user(paid=2)
    response = create(api)
    assert reason(response) == (402, "INSUFFICIENT_CREDITS")
    assert response.get_json()["details"] == {"required_credits": 3, "current_credits": 2}


@pytest.mark.parametrize("limits", [replace(NO_LIMITS, burst=1, per_minute=1)])
def test_too_many_requests_are_429_with_retry_after(api: Api, add_user: AddUser, limits: Limits) -> None:
    add_user(paid=10)
    create(api)
    response = create(api)
    assert reason(response) == (429, "RATE_LIMITED")
    assert response.headers["Retry-After"] == str(response.get_json()["details"]["retry_after_seconds"]) == "60"


def test_violations_have_the_names_that_were_sent(api: Api) -> None:
    response = create(api, webhook_url=5, input={"type": "photo", "photo_url": "x"}, prompt=None)
    found = violations(response)
    assert found.keys() == {"webhook_url", "input.photo_url", "prompt"}
    assert "webhook_url must be a string" in response.get_json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v2/catalog"),
        ("GET", "/v1/catalog/"),
        ("GET", "/v1//catalog"),
        ("POST", "/v1/generations/"),
        ("GET", "/v1/generations/a/b"),
        ("GET", "/v1/generations/a%2Fb"),
        ("DELETE", "/v1/nothing"),
    ],
)
def test_unknown_path_is_404(api: Api, method: str, path: str) -> None:
    assert reason(api.rest(method, path)) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/generations", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/v1/generations/a", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/generations/a/cancel", "OPTIONS, POST"),
        ("PATCH", "/v1/catalog", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_method_is_405_with_the_allowed_methods(api: Api, method: str, path: str, allowed: str) -> None:
    response = api.rest(method, path)
    assert reason(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["Allow"] == allowed


def test_head_is_answered_like_get_without_a_body(api: Api) -> None:
    get, head = (api.rest(method, "/v1/catalog") for method in ("GET", "HEAD"))
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.data))


def test_preflight_is_answered(api: Api) -> None:
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    response = api.rest(
        "OPTIONS", GENERATIONS, **asked, **{"Access-Control-Request-Headers": "authorization, idempotency-key, prefer"}
    )
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert response.headers["Access-Control-Allow-Headers"] == "authorization, idempotency-key, prefer"
    assert response.headers["Access-Control-Max-Age"] == "7200"


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"[]", "application/json", "must be a JSON object"),
        (b"null", "application/json", "must be a JSON object"),
        (b"{", "application/json", "is not valid JSON"),
        (b'{"prompt": 1, "prompt": 2}', "application/json", 'has the name "prompt" twice in one object'),
        (b"x" * 70_000, "application/json", "must have at most 65536 bytes"),
        (b"{}", "text/plain", "must be application/json"),
    ],
)
def test_malformed_body_is_refused(api: Api, body: bytes, content_type: str, message: str) -> None:
    response = api.http.post(f"/api{GENERATIONS}", data=body, content_type=content_type)
    [found] = violations(response).values()
    assert found.startswith(message)


def test_empty_body_has_no_fields(api: Api) -> None:
    assert violations(api.rest("POST", GENERATIONS)).keys() == {"user_id", "model", "style", "color", "size", "prompt"}


def test_field_in_the_path_is_refused_in_the_body(api: Api) -> None:
    response = api.rest("POST", f"{GENERATIONS}/a/cancel", {"generation_request_id": "b"})
    assert violations(response) == {"generation_request_id": "must be in the path only"}


def test_unexpected_exception_is_answered_as_internal(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Backend:
        raise KeyError("secret")

    monkeypatch.setattr("imagegen.bootstrap.backend", fail)
    response = api.rest("GET", "/v1/catalog")
    assert reason(response) == (500, "INTERNAL")
    assert "secret" not in response.text


def test_missing_token_is_401_with_its_scheme(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "true")
    response = api.rest("GET", "/v1/catalog")
    assert reason(response) == (401, "UNAUTHENTICATED")
    assert response.headers["WWW-Authenticate"] == "Bearer"

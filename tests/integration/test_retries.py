"""Tests of retries by clients and of commits: nothing is charged or refunded twice."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.cloud import firestore

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.api.auth import Caller
from imagegen.api.context import Context
from imagegen.api.orders import CreateGenerationRequest
from imagegen.api.validation import parse
from imagegen.bootstrap import Backend
from imagegen.domain.generation import Fingerprint, keyed_request_id
from imagegen.ports.database import OutcomeUnknown
from imagegen.ports.image_generator import (
    GeneratorFailed,
    GeneratorMisconfigured,
    GeneratorRefused,
    GeneratorUnavailable,
    Job,
    Misconfiguration,
)
from imagegen.services.catalog import MAX_AGE_SECONDS
from imagegen.services.images.storage import Images
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.faults import FaultyDatabase, Lost, refuse
from tests.support.invariants import violations
from tests.support.orders import ORDER, order
from tests.support.settling import refund
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import NO_LIMITS, AcceptingSender, FileStore, ManualClock, TaskList

KEYED = order(idempotencyKey="key-1")
CATALOG_ROUND_TRIPS = 4


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def balance(api: Api) -> int:
    credits: int = api.result("getUserCredits", {"userId": "user"})["currentCredits"]
    return credits


def entry_types(api: Api) -> list[str]:
    return [entry["type"] for entry in api.result("getUserCredits", {"userId": "user"})["transactions"]]


# Retries by clients


def test_repeated_key_returns_the_same_answer_and_is_charged_once(api: Api, add_user: AddUser) -> None:
    add_user(paid=10)
    first = api.result("createGenerationRequest", KEYED)
    assert api.result("createGenerationRequest", KEYED) == {**first, "replayed": True}
    assert api.result("createGenerationRequest", dict(reversed(KEYED.items()))) == {**first, "replayed": True}
    assert balance(api) == 7


@pytest.mark.parametrize("failure_rate", [0, 1])
@pytest.mark.parametrize("withdrawn", [False, True])
def test_replay_says_that_it_is_one_with_the_balance_of_now(
    api: Api, client: ObservedClient, backend: Backend, add_user: AddUser, failure_rate: int, *, withdrawn: bool
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=failure_rate)
    first = api.call("createGenerationRequest", KEYED)
    set_models(client, failureRate=0)
    backend.generations.clock.sleep(MAX_AGE_SECONDS)
    api.result("createGenerationRequest", order(size="512x512"))
    if withdrawn:
        client.document("styles/oil-painting").update({"enabled": False})
        backend.generations.clock.sleep(MAX_AGE_SECONDS)
    client.wire.reset()
    again = api.call("createGenerationRequest", KEYED)
    assert client.wire.round_trips == (1 if not withdrawn else 1 + CATALOG_ROUND_TRIPS)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    name = "details" if failure_rate else "result"
    before, now = ((body.get("error") or body)[name] for body in (first.get_json() or {}, again.get_json() or {}))
    assert now == {**before, "replayed": True, "currentCredits": balance(api)}
    assert before["currentCredits"] == (10 if failure_rate else 7)
    if failure_rate:
        error = (again.get_json() or {})["error"]
        assert (again.status_code, error["status"]) == (400, "FAILED_PRECONDITION")
        assert "new idempotency key" in error["message"]


def test_replay_works_without_the_users_document(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    first = api.result("createGenerationRequest", KEYED)
    user = client.document("users/user")
    data = user.get().to_dict() or {}
    for damage in (lambda: user.update({"credits": "all"}), user.delete):
        damage()
        again = api.result("createGenerationRequest", KEYED)
        assert {**again, "currentCredits": 7} == {**first, "replayed": True}
        assert "currentCredits" not in again
    user.set(data)


def test_repeated_key_returns_the_same_answer_after_options_are_withdrawn(
    api: Api, client: ObservedClient, backend: Backend, add_user: AddUser
) -> None:
    add_user(paid=10)
    first = api.result("createGenerationRequest", KEYED)
    client.document("styles/oil-painting").update({"enabled": False})
    client.document("sizes/1024x1024").delete()
    backend.generations.clock.sleep(MAX_AGE_SECONDS)
    assert api.result("createGenerationRequest", KEYED) == {**first, "replayed": True}
    for fresh in (ORDER, {**KEYED, "idempotencyKey": "key-2"}, {**KEYED, "prompt": "another"}):
        error = api.error("createGenerationRequest", fresh)
        assert {violation["field"] for violation in error["details"]["violations"]} == {"style", "size"}
    assert balance(api) == 7


def test_repeated_key_of_a_failure_is_refunded_once(api: Api, client: ObservedClient, add_user: AddUser) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1)
    first = api.error("createGenerationRequest", KEYED)
    set_models(client, failureRate=0)
    again = api.error("createGenerationRequest", KEYED)
    assert again["details"] == {**first["details"], "replayed": True}
    assert entry_types(api) == ["refund", "deduction"]


def test_key_is_accepted_as_a_header(api: Api, add_user: AddUser) -> None:
    add_user(paid=10)
    first = api.call("createGenerationRequest", ORDER, **{"Idempotency-Key": "key-1"}).get_json() or {}
    replay = {"result": {**first["result"], "replayed": True}}
    assert api.call("createGenerationRequest", ORDER, **{"Idempotency-Key": "key-1"}).get_json() == replay
    assert api.call("createGenerationRequest", KEYED).get_json() == replay
    for headers in ({"Idempotency-Key": "key-2"}, {"Idempotency-Key": "x" * 256}, {"Idempotency-Key": ""}):
        data = KEYED if headers["Idempotency-Key"] == "key-2" else ORDER
        error = api.call("createGenerationRequest", data, **headers).get_json()["error"]
        assert [violation["field"] for violation in error["details"]["violations"]] == ["idempotencyKey"]
    assert balance(api) == 7


def test_price_that_rose_is_refused_for_a_new_request_only(
    api: Api, client: ObservedClient, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    accepted = order(maxCredits=3, idempotencyKey="key-1")
    first = api.result("createGenerationRequest", accepted)
    client.document("sizes/1024x1024").update({"creditCost": 4})
    clock.sleep(MAX_AGE_SECONDS)
    assert api.result("createGenerationRequest", accepted) == {**first, "replayed": True}
    error = api.error("createGenerationRequest", {**accepted, "idempotencyKey": "key-2"})
    assert error["details"] == {"reason": "PRICE_TOO_HIGH", "requiredCredits": 4, "maxCredits": 3}
    assert api.result("createGenerationRequest", {**accepted, "idempotencyKey": "key-2", "maxCredits": 4})["cost"] == 4


PHOTO = {"type": "photo", "photoUrl": "https://photos.example.com"}
EVERYTHING = {**KEYED, "mode": "sync", "input": PHOTO, "webhookUrl": "https://hooks.example.com/"}
SAME_PAYLOADS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "null and left out": (KEYED, {**KEYED, "input": None, "mode": None, "webhookUrl": None}),
    "the default and left out": (KEYED, {**KEYED, "mode": "sync", "reuse": False}),
    "ids and names": (
        KEYED,
        {**KEYED, "model": "model-a", "style": "oil-painting", "color": "neon", "size": "1024x1024"},
    ),
    "spellings of an integer": (
        {**KEYED, "seed": 7.0},
        {**KEYED, "seed": {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": "7"}},
    ),
    "a URL and its normalized form": (
        EVERYTHING,
        {
            **EVERYTHING,
            "input": {**PHOTO, "photoUrl": "https://photos.example.com:443/"},
            "webhookUrl": "https://HOOKS.example.com",
        },
    ),
}


@pytest.mark.parametrize("case", SAME_PAYLOADS)
def test_other_ways_to_write_a_payload_are_the_same_payload(
    api: Api, client: ObservedClient, add_user: AddUser, case: str
) -> None:
    add_user(paid=10)
    set_models(client, takesSeed=True)
    one, other = SAME_PAYLOADS[case]
    for key, (first, second) in {"a": (one, other), "b": (other, one)}.items():
        made = api.result("createGenerationRequest", {**first, "idempotencyKey": key})
        assert api.result("createGenerationRequest", {**second, "idempotencyKey": key}) == {**made, "replayed": True}
    assert balance(api) == 4


def test_payload_by_id_is_the_same_after_the_option_is_withdrawn_or_renamed(
    api: Api, client: ObservedClient, backend: Backend, add_user: AddUser
) -> None:
    add_user(paid=10)
    by_id = {**KEYED, "style": "oil-painting"}
    first = api.result("createGenerationRequest", by_id)
    style = client.document("styles/oil-painting")
    style.update({"enabled": False})
    backend.generations.clock.sleep(MAX_AGE_SECONDS)
    for repeated in (KEYED, by_id):
        assert api.result("createGenerationRequest", repeated) == {**first, "replayed": True}
    style.update({"enabled": True, "name": "oil"})
    backend.generations.clock.sleep(MAX_AGE_SECONDS)
    assert api.result("createGenerationRequest", by_id) == {**first, "replayed": True}


def test_request_of_an_earlier_version_is_compared_by_its_rules(
    api: Api, client: ObservedClient, add_user: AddUser
) -> None:
    """Version 1 compares the data as sent."""
    add_user(paid=10)
    first = api.result("createGenerationRequest", KEYED)
    request = client.document(f"generationRequests/{first['generationRequestId']}")
    request.update({"canonicalFingerprint": firestore.DELETE_FIELD})
    assert api.result("createGenerationRequest", KEYED) == {**first, "replayed": True}
    error = api.error("createGenerationRequest", {**KEYED, "mode": None})
    assert error["details"]["reason"] == "IDEMPOTENCY_MISMATCH"


def call_with(api: Api, key: str, data: dict[str, object] = ORDER) -> Any:  # type: ignore[assignment]
    return api.call("createGenerationRequest", data, **{"Idempotency-Key": key}).get_json()


@pytest.mark.parametrize(("key", "quoted"), [("key-1", '"key-1"'), ('a "b" \\', '"a \\"b\\" \\\\"')])
def test_quoted_and_bare_header_are_one_key(
    api: Api, client: ObservedClient, add_user: AddUser, key: str, quoted: str
) -> None:
    add_user(paid=10)
    first = call_with(api, quoted)["result"]
    client.wire.reset()
    for again in (call_with(api, key), call_with(api, quoted), call_with(api, quoted, order(idempotencyKey=key))):
        assert again["result"] == {**first, "replayed": True}
    assert (client.wire.round_trips, client.wire.documents_read) == (3, 2 + 3 + 3)  # the earlier id of a quoted key
    assert balance(api) == 7
    assert api.result("createGenerationRequest", order(idempotencyKey=key)) == {**first, "replayed": True}


@pytest.mark.parametrize("withdrawn", [False, True])
def test_quoted_header_finds_the_request_of_an_earlier_version(
    api: Api, client: ObservedClient, backend: Backend, add_user: AddUser, *, withdrawn: bool
) -> None:
    """Earlier versions took the quotes for a part of the key."""
    add_user(paid=10)
    first = api.result("createGenerationRequest", order(idempotencyKey='"key-1"'))
    request = client.document(f"generationRequests/{first['generationRequestId']}")
    request.update({"canonicalFingerprint": firestore.DELETE_FIELD})
    if withdrawn:
        client.document("styles/oil-painting").update({"enabled": False})
        backend.generations.clock.sleep(MAX_AGE_SECONDS)
    assert call_with(api, '"key-1"')["result"] == {**first, "replayed": True}
    if not withdrawn:
        other = call_with(api, '"key-1"', order(prompt="another"))
        assert other["error"]["details"]["reason"] == "IDEMPOTENCY_MISMATCH"
        assert call_with(api, "key-1")["result"]["generationRequestId"] != first["generationRequestId"]


@pytest.mark.parametrize("header", ["a,b", "a, b", '"a", "b"', '"a","a"', 'a,"b"', '"a,b", "c"', ",", "a,"])
def test_header_with_a_comma_outside_of_quotes_is_refused(api: Api, add_user: AddUser, header: str) -> None:
    add_user(paid=10)
    [violation] = call_with(api, header)["error"]["details"]["violations"]
    assert violation["field"] == "idempotencyKey"
    assert "comma" in violation["message"]
    assert balance(api) == 10


@pytest.mark.parametrize("header", ['"a', '"a"b', '"a";x=1', '"a\\b"', '"é"', '""', '"' + "x" * 256 + '"'])
def test_header_that_is_not_a_key_is_refused(api: Api, add_user: AddUser, header: str) -> None:
    [violation] = call_with(api, header)["error"]["details"]["violations"]
    assert violation["field"] == "idempotencyKey"


def test_key_may_hold_commas_in_quotes_or_in_the_body(api: Api, add_user: AddUser) -> None:
    add_user(paid=10)
    first = api.result("createGenerationRequest", order(idempotencyKey="a, b"))
    assert call_with(api, '"a, b"')["result"] == {**first, "replayed": True}


@pytest.mark.parametrize(
    "change",
    [
        {"model": "Model B"},
        {"style": "anime"},
        {"color": "pastel"},
        {"size": "512x512"},
        {"prompt": "something else"},
        {"mode": "async"},
    ],
)
def test_repeated_key_with_another_payload_is_refused(api: Api, add_user: AddUser, change: dict[str, str]) -> None:
    add_user(paid=10)
    api.result("createGenerationRequest", KEYED)
    error = api.error("createGenerationRequest", {**KEYED, **change})
    assert (error["status"], error["details"]["reason"]) == ("ALREADY_EXISTS", "IDEMPOTENCY_MISMATCH")
    assert balance(api) == 7


def test_same_key_of_another_user_is_another_request(api: Api, add_user: AddUser) -> None:
    add_user("user", paid=10)
    add_user("other", paid=10)
    ids = {
        api.result("createGenerationRequest", {**KEYED, "userId": user})["generationRequestId"]
        for user in ("user", "other")
    }
    assert len(ids) == 2


def test_repeated_key_of_a_running_request_is_request_in_progress(
    api: Api, provider: Provider, add_user: AddUser
) -> None:
    add_user(paid=10)
    reached, go_on = threading.Event(), threading.Event()

    def wait(_job: Job) -> str:
        reached.set()
        assert go_on.wait(20)
        return "https://images.example.com/slow.png"

    provider.generate = wait
    with ThreadPoolExecutor() as pool:
        first = pool.submit(api.result, "createGenerationRequest", KEYED)
        assert reached.wait(20)
        error = api.error("createGenerationRequest", KEYED)
        mismatch = api.error("createGenerationRequest", {**KEYED, "prompt": "something else"})
        go_on.set()
    assert mismatch["details"]["reason"] == "IDEMPOTENCY_MISMATCH"
    assert (error["status"], error["details"]["reason"]) == ("ABORTED", "REQUEST_IN_PROGRESS")
    assert error["details"]["generationRequestId"] == first.result()["generationRequestId"]
    assert balance(api) == 7


def test_refused_request_does_not_use_its_key(api: Api, add_user: AddUser) -> None:
    add_user(paid=2)
    assert api.error("createGenerationRequest", KEYED)["details"]["reason"] == "INSUFFICIENT_CREDITS"
    assert api.result("createGenerationRequest", {**KEYED, "size": "512x512"})["deductedCredits"] == 1


def test_concurrent_calls_with_one_key_are_charged_once(api: Api, add_user: AddUser) -> None:
    add_user(paid=10)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.call("createGenerationRequest", KEYED).get_json(), range(16)))
    results = [answer["result"] for answer in answers if "result" in answer]
    reasons = {answer["error"]["details"]["reason"] for answer in answers if "error" in answer}
    assert results
    assert sum(result.pop("replayed", False) for result in results) == len(results) - 1
    assert all(result == results[0] for result in results)
    assert reasons <= {"REQUEST_IN_PROGRESS"}
    assert balance(api) == 7


# Commits whose answer is lost


@pytest.mark.parametrize("lost", Lost)
@pytest.mark.parametrize("commit", ["reserve", "complete"])
def test_lost_commit_is_charged_once(
    api: Api, faulty: FaultyDatabase, add_user: AddUser, lost: Lost, commit: str
) -> None:
    add_user(paid=10)
    faulty.faults = [lost] if commit == "reserve" else [None, lost]
    assert api.result("createGenerationRequest", ORDER)["deductedCredits"] == 3
    assert entry_types(api) == ["deduction"]


@pytest.mark.parametrize("lost", Lost)
def test_lost_commit_is_refunded_once(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, add_user: AddUser, lost: Lost
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1)
    faulty.faults = [None, lost]
    error = api.error("createGenerationRequest", ORDER)
    assert (error["details"]["refundedCredits"], error["details"]["currentCredits"]) == (3, 10)
    assert entry_types(api) == ["refund", "deduction"]


# Providers that fail


def test_transient_error_is_retried_up_to_max_attempts(
    api: Api, client: ObservedClient, provider: Provider, add_user: AddUser
) -> None:
    add_user(paid=10)
    set_models(client, maxAttempts=3)
    calls: list[str] = []

    def generate(job: Job) -> str:
        calls.append(job.request_id)
        if len(calls) % 4:
            raise GeneratorUnavailable("try again")
        return "https://images.example.com/at-last.png"

    provider.generate = generate
    assert api.error("createGenerationRequest", ORDER)["details"]["refundedCredits"] == 3
    assert len(calls) == 3
    assert api.result("createGenerationRequest", ORDER)["imageUrl"] == "https://images.example.com/at-last.png"
    assert len(calls) == 4
    assert len(set(calls)) == 2


def test_next_attempt_waits_as_long_as_the_provider_asks(
    api: Api, client: ObservedClient, provider: Provider, clock: ManualClock, add_user: AddUser
) -> None:
    add_user(paid=10)
    set_models(client, maxAttempts=3)
    starts: list[float] = []

    def generate(job: Job) -> str:
        starts.append(clock.monotonic())
        raise GeneratorUnavailable("busy", retry_after_seconds=7 if len(starts) == 1 else job.timeout_seconds)

    provider.generate = generate
    assert api.error("createGenerationRequest", ORDER)["details"]["reason"] == "GENERATION_FAILED"
    first, second = starts  # a third attempt would start after the deadline
    assert 7 <= second - first < 18


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (GeneratorRefused("Model A does not show this."), "FAILED_PRECONDITION", "CONTENT_REFUSED"),
        (GeneratorMisconfigured("Model A is off.", Misconfiguration.KEY), "UNAVAILABLE", "MODEL_UNAVAILABLE"),
    ],
)
def test_error_that_lasts_is_refunded_and_not_retried(
    api: Api,
    client: ObservedClient,
    provider: Provider,
    add_user: AddUser,
    capfd: pytest.CaptureFixture[str],
    error: GeneratorFailed,
    status: str,
    reason: str,
) -> None:
    add_user(paid=10)
    set_models(client, maxAttempts=3)
    attempts: list[str] = []

    def generate(job: Job) -> str:
        attempts.append(job.request_id)
        raise error

    provider.generate = generate
    answer = api.error("createGenerationRequest", ORDER)
    assert (answer["status"], answer["details"]["reason"]) == (status, reason)
    assert answer["message"].startswith(f"{error} The credits were refunded.")
    assert answer["details"]["refundedCredits"] == 3
    assert attempts == [answer["details"]["generationRequestId"]]
    request = api.result("getGenerationRequest", {"generationRequestId": attempts[0]})
    assert (request["status"], request["error"]["reason"]) == ("failed", reason)
    logged = "".join(capfd.readouterr())
    assert ('"event": "PROVIDER_MISCONFIGURED"' in logged) == isinstance(error, GeneratorMisconfigured)


def test_crash_of_a_provider_is_a_failed_generation(api: Api, provider: Provider, add_user: AddUser) -> None:
    def crash(_job: Job) -> str:
        raise RuntimeError("secret of the provider")

    provider.generate = crash
    add_user(paid=10)
    error = api.error("createGenerationRequest", ORDER)
    assert error["details"]["reason"] == "GENERATION_FAILED"
    assert "secret" not in str(error)
    assert balance(api) == 10


def test_generation_without_an_image_is_refunded(api: Api, provider: Provider, add_user: AddUser) -> None:
    provider.generate = lambda _job: ""
    add_user(paid=10)
    assert api.error("createGenerationRequest", ORDER)["details"]["refundedCredits"] == 3


# Conflicting commits


def test_refused_commit_is_retried(api: Api, client: ObservedClient, faulty: FaultyDatabase, add_user: AddUser) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1)

    def touch() -> None:
        client.document("users/user").update({"newsletter": True})

    faulty.faults = [touch, touch, None, touch]
    assert api.error("createGenerationRequest", ORDER)["details"]["currentCredits"] == 10
    assert entry_types(api) == ["refund", "deduction"]


def test_retry_decides_on_fresh_reads(
    api: Api, faulty: FaultyDatabase, database: FirestoreDatabase, provider: Provider, add_user: AddUser
) -> None:
    add_user(paid=4)
    other_process = Backend.on(
        database,
        TaskList(),
        AcceptingSender(),
        {"mock": provider},
        Images(FileStore()),
        ManualClock(NOON),
        random.Random(2),
        (f"other-{n}" for n in range(9)).__next__,
        NO_LIMITS,
    )
    params = parse(CreateGenerationRequest, ORDER, Context(Caller(), other_process.catalogs.current))
    faulty.faults = [lambda: other_process.generations.create(params.order(Fingerprint("other")))]
    error = api.error("createGenerationRequest", ORDER)
    assert error["details"] == {"reason": "INSUFFICIENT_CREDITS", "requiredCredits": 3, "currentCredits": 1}


def test_contention_after_all_retries_is_not_charged(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, add_user: AddUser
) -> None:
    add_user(paid=10)
    faulty.faults = [refuse] * 200
    error = api.error("createGenerationRequest", ORDER)
    assert (error["status"], error["details"]["reason"]) == ("ABORTED", "CONTENTION")
    faulty.faults.clear()
    assert (balance(api), entry_types(api)) == (10, [])


def test_settled_request_is_not_settled_again(api: Api, faulty: FaultyDatabase, add_user: AddUser) -> None:
    """Another process refunds the request while its model runs. The late image must not complete the request."""
    add_user(paid=10)
    request_id = keyed_request_id("user", "key-1")
    faulty.faults = [None, lambda: refund(faulty.database, request_id)]
    error = api.error("createGenerationRequest", KEYED)
    assert (error["status"], error["details"]["refundedCredits"]) == ("UNAVAILABLE", 3)
    assert entry_types(api) == ["refund", "deduction"]


# Unreachable database


def test_unreachable_database_is_service_unavailable_and_not_charged(
    api: Api, faulty: FaultyDatabase, add_user: AddUser
) -> None:
    add_user(paid=10)
    faulty.down = True
    for function, data in (("createGenerationRequest", ORDER), ("getUserCredits", {"userId": "user"})):
        error = api.error(function, data)
        assert (error["status"], error["details"]["reason"]) == ("UNAVAILABLE", "SERVICE_UNAVAILABLE")
    faulty.down = False
    assert balance(api) == 10


@pytest.mark.parametrize("params", [ORDER, KEYED], ids=["without a key", "with a key"])
def test_unconfirmed_reservation_is_reported_as_maybe_charged(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, add_user: AddUser, params: dict[str, object]
) -> None:
    """The first commit is delayed. It may still be applied after a read that did not see it."""
    add_user(paid=10)

    def late() -> None:
        raise OutcomeUnknown("still on its way")

    faulty.faults = [late, *[refuse] * 200]
    error = api.error("createGenerationRequest", params)
    assert (error["status"], error["details"]["reason"]) == ("UNAVAILABLE", "SERVICE_UNAVAILABLE")
    assert set(error["details"]) == {"reason", "generationRequestId"}
    assert "may have been charged" in error["message"]


def test_unrecorded_outcome_is_settlement_pending(
    api: Api, client: ObservedClient, faulty: FaultyDatabase, add_user: AddUser
) -> None:
    add_user(paid=10)
    set_models(client, failureRate=1)
    faulty.faults = [None, *[Lost.BEFORE] * 200]
    error = api.error("createGenerationRequest", KEYED)
    request_id = error["details"]["generationRequestId"]
    assert error["details"] == {
        "reason": "SETTLEMENT_PENDING",
        "generationRequestId": request_id,
        "deductedCredits": 3,
        "cost": 3,
        "refundedCredits": 0,
        "netCredits": 3,
    }
    assert violations(client, in_flight=1) == []
    assert balance(api) == 7
    faulty.faults.clear()
    assert api.error("createGenerationRequest", KEYED)["details"]["reason"] == "REQUEST_IN_PROGRESS"
    refund(faulty.database, request_id)

"""Tests that kill the functions' processes with SIGKILL during calls, under the real Firebase CLI.

When a process dies, the CLI answers 500 and starts a new process for the next call. It never logs the end of the call,
which ``live.log`` waits for. The tests therefore use their own suite.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
import requests
from google.cloud.firestore_v1.base_query import FieldFilter

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.adapters.stripe_payments import StripePayments
from imagegen.documents.generations import REQUESTS, request_path
from imagegen.domain.generation import keyed_request_id
from imagegen.domain.images import LEFTOVERS_KEPT, SUFFIX
from imagegen.ports.clock import SystemClock
from imagegen.ports.database import Put
from imagegen.services.purchases.audit import PaymentAudit
from tests.support.buying import control_stripe, create, press_button, purchase_of, session_of
from tests.support.catalog import COSTS
from tests.support.crashes import (
    CALLS_AT_ONCE,
    attempt,
    call_and_kill,
    kill_all,
    warm_up,
)
from tests.support.invariants import violations
from tests.support.live import Live, cut_off, operator_of, order, until
from tests.support.scale import only_full, scaled
from tools.emulators.suite import Suite, workspace
from tools.fakes import NO_LIMITS_SETTINGS
from tools.seed import history

SEED = 25
KILLS = scaled(2, 25)
KILLS_WHILE_PROCESSING_MIN = scaled(1, 5)
ROUNDS_WITHOUT_KILLS = scaled(1, 3)
ROUNDS_MAX = 30
KILLS_OF_WEBHOOKS = 25
LONGEST_WEBHOOK_SECONDS = 0.5
RETRIES_SECONDS = 86_400
STORING_EVERY = scaled(4, 2)
"""One in so many calls stores its image. A restarted process takes seconds to import the client of the store."""

STRIPE_WEBHOOK = "stripeWebhook"
WORKER = "generateWithModelA"
_CALLED = {"latencySeconds": 0.06, "timeoutSeconds": 5}
_QUEUED = {"latencySeconds": 0.8, "timeoutSeconds": 5, "queue": WORKER}  # half of a round; the queue takes the rest
_MODELS: dict[str, dict[str, dict[str, object]]] = {
    "sync": {
        "Model Crash Canvas": {"provider": "canvas"},
        "Model Crash": {**_CALLED, "failureRate": 0},
        "Model Crash Broken": {**_CALLED, "failureRate": 1},
    },
    "async": {
        "Model Queued Crash Canvas": {"provider": "canvas", "queue": WORKER},
        "Model Queued Crash": {**_QUEUED, "failureRate": 0},
        "Model Queued Crash Broken": {**_QUEUED, "failureRate": 1},
    },
}

Answer = dict[str, Any]
"""The body of a response that came from the function, not from the CLI."""

Document = dict[str, Any]
"""A request's document, with its ``id``."""


class Phase(StrEnum):
    """The progress of a call when its process was killed."""

    NOTHING = "no request yet"
    PROCESSING = "processing"
    SETTLED = "already settled"


@dataclass
class Call:
    """A call, the answers to it and its repeats, and the phase in which its process was killed.

    Its prompt is unique, so that its request can be found even without an idempotency key.
    """

    data: dict[str, object]
    phase: Phase | None = None
    answers: list[Answer] = field(default_factory=list)

    @property
    def user_id(self) -> str:
        return str(self.data["userId"])

    @property
    def key(self) -> str | None:
        key = self.data.get("idempotencyKey")
        return None if key is None else str(key)

    @property
    def final_answers(self) -> list[Answer]:
        """The answers that must be the same for every repeat."""
        return [answer for answer in self.answers if reason(answer) != "REQUEST_IN_PROGRESS"]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Yield a suite without users. Its catalog has six more models, which take some time. Two store their images."""
    directory = workspace(tmp_path_factory.mktemp("crashes") / "project", seed=None, settings=NO_LIMITS_SETTINGS)
    with Suite(directory, "--only", "functions,firestore,storage") as suite, operator_of(suite) as operator:
        documents = dict(history.documents())
        for name, fields in [model for models in _MODELS.values() for model in models.items()]:
            documents[f"models/{name.lower().replace(' ', '-')}"] = {
                **documents["models/model-a"],
                "name": name,
                **fields,
            }
        FirestoreDatabase(operator).commit(*(Put(path, data) for path, data in documents.items()))
        yield Live(suite, operator)


def test_no_credit_is_lost_or_created_when_processes_are_killed_during_calls(live: Live) -> None:
    rng = random.Random(SEED)
    granted = {live.add_user(trial=5, paid=995): 1000 for _ in range(3)}

    calls = make_calls_with_kills(live, rng, list(granted))
    phases = Counter(call.phase for call in calls if call.phase)
    print(f"\nkilled: {', '.join(f'{phases[phase]} {phase}' for phase in Phase)}; {len(calls)} calls in all")
    assert phases.total() >= KILLS
    assert phases[Phase.PROCESSING] >= KILLS_WHILE_PROCESSING_MIN

    # The sweeper must not touch a request before its lease expires, because its process may still be alive.
    warm_up(live, "sweepAbandonedRequests", sweep_sender(live))
    assert [answer.json() for answer in sweep_concurrently(live, times=2)] == [{"swept": 0}] * 2
    interrupted = requests_where(live, status="processing")
    assert len(interrupted) >= KILLS_WHILE_PROCESSING_MIN
    expire_leases(live, interrupted)

    # Kill two concurrent sweepers. Then run two concurrent sweepers and one more to the end.
    sweeps = [lambda: attempt(live, "sweepAbandonedRequests-0")] * 2
    call_and_kill(live, "sweepAbandonedRequests", sweeps, [rng.uniform(0, 0.2) for _ in sweeps])
    unswept = requests_where(live, status="processing")
    print(f"the killed sweepers left {len(unswept)} of {len(interrupted)} requests to the next sweepers")
    assert {answer.status_code for answer in sweep_concurrently(live, times=2)} == {200}
    assert [answer.json() for answer in sweep_concurrently(live, times=1)] == [{"swept": 0}]
    assert {live.request(request["id"])["error"]["reason"] for request in interrupted} == {"ABANDONED"}
    for call in calls * 2:
        if call.key:
            repeater(live, call)()

    check_credits(live, granted)
    for call in calls:
        check_answers_match_record(live, call)
    check_files(live)


@only_full
def test_every_queued_request_ends_and_no_credit_is_lost_when_workers_are_killed(live: Live) -> None:
    rng = random.Random(SEED)
    granted = {live.add_user(trial=5, paid=995): 1000 for _ in range(3)}

    calls = queue_calls_with_kills(live, rng, list(granted))
    interrupted = requests_where(live, status="processing")
    print(f"\nkilled at least {KILLS} workers; {len(interrupted)} of {len(calls)} queued requests were interrupted")
    assert len(interrupted) >= KILLS_WHILE_PROCESSING_MIN

    # The queue has delivered each task again, without an effect, because the first worker may be alive.
    expire_leases(live, interrupted)
    assert {answer.status_code for answer in sweep_concurrently(live, times=2)} == {200}
    assert [answer.json() for answer in sweep_concurrently(live, times=1)] == [{"swept": 0}]
    assert {live.request(request["id"])["error"]["reason"] for request in interrupted} == {"ABANDONED"}

    check_credits(live, granted)
    for call in calls:
        [queued], [request] = call.answers, requests_where(live, prompt=call.data["prompt"])
        cost = COSTS[request["size"]]
        charge = {"deductedCredits": cost, "cost": cost, "refundedCredits": 0, "netCredits": cost}
        stated = {"generationRequestId": request["id"], **charge, "status": "pending"}
        assert {**queued["result"], **stated} == queued["result"]
        if request["status"] == "failed":
            assert request["error"]["refundedCredits"] == COSTS[request["size"]]
    check_files(live)


@only_full
def test_everything_paid_arrives_when_the_webhook_of_stripe_is_killed(live: Live) -> None:
    """Every other process is killed while it waits for Stripe, so between the receipt of an event and its commit."""
    rng = random.Random(SEED)
    user_ids = [live.add_user() for _ in range(3)]
    bought: dict[str, str] = {}
    for number in range(KILLS_OF_WEBHOOKS):
        user_id = rng.choice(user_ids)
        purchase = create(live, user_id, f"key {number}")
        bought[purchase["purchaseId"]] = user_id
        session_id = session_of(purchase)
        warm_up(live, STRIPE_WEBHOOK, lambda: live.send(STRIPE_WEBHOOK), at_once=1)
        if number % 2 == 0:
            control_stripe(live, "faults", path=f"/v1/checkout/sessions/{session_id}", method="GET", kind="hang")
        press_button(live, session_id, "pay")
        if number % 2 == 0:
            # Earlier events, whose process was killed, may keep all senders busy until their timeout of 30 s.
            until(lambda: not control_stripe(live, "faults"), seconds=60)
        else:
            time.sleep(rng.uniform(0, LONGEST_WEBHOOK_SECONDS))
        kill_all(live, STRIPE_WEBHOOK)

    # An event whose attempts were all killed is otherwise sent again after minutes or hours.
    control_stripe(live, "clock", seconds=RETRIES_SECONDS)
    until(lambda: {purchase_of(live, id)["status"] for id in bought} == {"paid"}, seconds=60)
    control_stripe(live, "deliveries/wait", seconds=60)
    for user_id in user_ids:
        credits = 50 * sum(buyer == user_id for buyer in bought.values())
        assert live.credits(user_id) == credits
    assert violations(live.operator) == []
    stripe = StripePayments("sk_test_demo", (), live.suite.stripe_url)
    assert list(PaymentAudit(FirestoreDatabase(live.operator), stripe, SystemClock()).findings()) == []
    deliveries = [delivery["statuses"] for delivery in control_stripe(live, "deliveries")]
    print(f"\nkilled {KILLS_OF_WEBHOOKS} times; {sum(len(each) > 1 for each in deliveries)} events were sent again")
    assert sum(each[0] == 500 for each in deliveries) >= KILLS_OF_WEBHOOKS // 2
    assert {each[-1] for each in deliveries} == {200}


# Calls and kills


def make_calls_with_kills(live: Live, rng: random.Random, user_ids: Sequence[str]) -> list[Call]:
    """Make calls in rounds until enough were killed. Repeat killed calls that have a key. Return all calls."""
    warm_up(live, "createGenerationRequest", lambda: live.create("user-nobody"))
    calls = make(live, new_calls(rng, user_ids, 0), [])  # slow, because the processes import the client of the store
    seconds_without_kills = []
    for _ in range(ROUNDS_WITHOUT_KILLS):
        began = time.monotonic()
        calls += make(live, new_calls(rng, user_ids, len(calls)), [])
        seconds_without_kills.append(time.monotonic() - began)

    for _ in range(ROUNDS_MAX):
        phases = Counter(call.phase for call in calls if call.phase)
        missing = max(KILLS - phases.total(), KILLS_WHILE_PROCESSING_MIN - phases[Phase.PROCESSING])
        if missing <= 0:
            break
        moments = [rng.uniform(0, min(seconds_without_kills)) for _ in range(min(missing, CALLS_AT_ONCE))]
        made = make(live, new_calls(rng, user_ids, len(calls)), moments)
        warm_up(live, "createGenerationRequest", lambda: live.create("user-nobody"))
        repeats = [repeater(live, call) for call in made if call.key and call.phase]
        call_and_kill(live, "createGenerationRequest", repeats, [])
        calls += made
    return calls


def queue_calls_with_kills(live: Live, rng: random.Random, user_ids: Sequence[str]) -> list[Call]:
    """Queue requests in rounds and kill workers until enough requests were interrupted. Return all calls.

    A round with kills ends when all its requests were claimed, and a round without kills when all have ended. The
    queue delivers a task again if its worker did not respond.
    """
    calls: list[Call] = []

    def queue(kill_after_seconds: Sequence[float]) -> float:
        """Run the next round and return its duration in seconds."""
        warm_up(live, WORKER, lambda: live.call(WORKER, {"generationRequestId": "none", "ticket": "none"}))
        made = new_calls(rng, user_ids, len(calls), mode="async")
        calls.extend(made)
        began = time.monotonic()
        call_and_kill(live, WORKER, [sender(live, call) for call in made], kill_after_seconds)
        not_ended = {"pending"} if kill_after_seconds else {"pending", "processing"}
        prompts = {call.data["prompt"] for call in made}
        until(
            lambda: not any(r["prompt"] in prompts and r["status"] in not_ended for r in requests_where(live)),
            seconds=60,
        )
        return time.monotonic() - began

    queue([])  # slow, because the processes import the client of the store
    seconds_without_kills = [queue([]) for _ in range(ROUNDS_WITHOUT_KILLS)]
    killed = 0
    for _ in range(ROUNDS_MAX):
        interrupted = len(requests_where(live, status="processing"))
        missing = max(KILLS - killed, KILLS_WHILE_PROCESSING_MIN - interrupted)
        if missing <= 0:
            break
        moments = [rng.uniform(0, min(seconds_without_kills)) for _ in range(min(missing, CALLS_AT_ONCE))]
        queue(moments)
        killed += len(moments)
        # Requests with a living worker end during this round. Requests still processing after it were interrupted.
        queue([])
    return calls


def make(live: Live, calls: list[Call], kill_after_seconds: Sequence[float]) -> list[Call]:
    """Make the calls concurrently. Return them with their answers, or with the phase in which they were killed."""
    call_and_kill(live, "createGenerationRequest", [sender(live, call) for call in calls], kill_after_seconds)
    for call in calls:
        if not call.answers:
            call.phase = phase_of(live, call)
    assert sum(call.phase is not None for call in calls) <= len(kill_after_seconds)
    return calls


def new_calls(rng: random.Random, user_ids: Sequence[str], first: int, mode: str = "sync") -> list[Call]:
    return [new_call(rng, user_ids, number, mode) for number in range(first, first + CALLS_AT_ONCE)]


def new_call(rng: random.Random, user_ids: Sequence[str], number: int, mode: str) -> Call:
    """Return a random call. Half of all calls have a key. Some store their image.

    The model fails in a quarter of the others.
    """
    storing, *others = _MODELS[mode]
    options: dict[str, object] = {
        "model": rng.choices(others, [3, 1])[0] if number % STORING_EVERY else storing,
        "size": rng.choice(list(COSTS)),
        "prompt": f"{mode} crash {number}",
        "mode": mode,
    }
    if rng.random() < 0.5:
        options["idempotencyKey"] = f"{mode} key {number}"
    return Call(order(rng.choice(user_ids), **options))


def sender(live: Live, call: Call) -> Callable[[], None]:
    """Return a function that makes the call and records its answer, if any."""

    def send() -> None:
        response = attempt(live, "createGenerationRequest", json={"data": call.data})
        if response is None:
            return
        if not cut_off(response):
            call.answers.append(response.json())

    return send


def repeater(live: Live, call: Call) -> Callable[[], None]:
    """Return a function that repeats the call and records its answer."""
    return lambda: call.answers.append(live.call("createGenerationRequest", call.data).json())


def sweep_sender(live: Live) -> Callable[[], requests.Response]:
    return lambda: live.send("sweepAbandonedRequests-0")


def sweep_concurrently(live: Live, *, times: int) -> list[requests.Response]:
    """Run this many sweepers concurrently and return their responses."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: sweep_sender(live)(), range(times)))


# Checks against the database


def requests_where(live: Live, **fields: object) -> list[Document]:
    query: Any = live.operator.collection(REQUESTS)
    for name, value in fields.items():
        query = query.where(filter=FieldFilter(name, "==", value))
    return [{"id": document.id, **document.to_dict()} for document in query.stream()]


def expire_leases(live: Live, interrupted: list[Document]) -> None:
    """Set the leases of these requests to a time that has passed."""
    for request in interrupted:
        just_now = datetime.now(UTC) - timedelta(seconds=1)
        live.operator.document(request_path(request["id"])).update({"leaseExpiresAt": just_now})


def completed(live: Live, user_id: str) -> list[Document]:
    return requests_where(live, status="completed", userId=user_id)


def phase_of(live: Live, call: Call) -> Phase:
    found = requests_where(live, prompt=call.data["prompt"])
    if not found:
        return Phase.NOTHING
    return Phase.PROCESSING if found[0]["status"] == "processing" else Phase.SETTLED


def reason(answer: Answer) -> str | None:
    """Return the reason of an error, or None for a result."""
    return str(answer["error"]["details"]["reason"]) if "error" in answer else None


def check_credits(live: Live, granted: Mapping[str, int]) -> None:
    """Check that all requests have ended, all invariants hold, and users paid only for completed requests."""
    assert [request for status in ("pending", "processing") for request in requests_where(live, status=status)] == []
    assert violations(live.operator) == []
    for user_id, credits in granted.items():
        paid = sum(COSTS[request["size"]] for request in completed(live, user_id))
        assert live.credits(user_id) == sum(live.user(user_id)["credits"].values()) == credits - paid


def check_files(live: Live) -> None:
    """Check that the files of completed requests can be downloaded, and that a later sweep will delete all others."""
    kept: set[str] = set()
    interrupted: set[str] = set()
    for request in requests_where(live):
        folder = f"images/{request['userId']}/{request['id']}"
        if image := request.get("image"):
            assert request["status"] == "completed"
            kept |= {f"{folder}/{file['name']}{SUFFIX}" for file in image["files"]}
            [main, *_] = image["files"]
            answer = requests.get(request["imageUrl"], timeout=30)
            assert (answer.status_code, len(answer.content)) == (200, main["bytes"])
        elif (request.get("error") or {}).get("reason") == "ABANDONED":
            assert request["deleteImagesAt"] - request["finishedAt"] == LEFTOVERS_KEPT
            interrupted.add(folder)
    assert kept
    stored = stored_files(live)
    assert kept <= stored
    assert {path.rpartition("/")[0] for path in stored - kept} <= interrupted
    print(f"{len(kept)} files of completed requests, and {len(stored - kept)} files of interrupted requests")


def stored_files(live: Live) -> set[str]:
    """Return the paths of all files in the bucket."""
    bucket = f"http://{live.suite.storage_host}/storage/v1/b/{live.suite.project_id}.appspot.com/o"
    return {item["name"] for item in requests.get(bucket, timeout=30).json().get("items", [])}


def check_answers_match_record(live: Live, call: Call) -> None:
    """Check that the call has at most one request, or exactly one if it has a key, and that its answers match it."""
    found = requests_where(live, prompt=call.data["prompt"])
    if call.key:
        assert [request["id"] for request in found] == [keyed_request_id(call.user_id, call.key)]
        assert call.final_answers
    if not found:
        assert (call.phase, call.answers) == (Phase.NOTHING, [])
    for answer in call.final_answers:
        facts = answer.get("result") or answer["error"]["details"]
        unlike_the_first = ("replayed", "currentCredits")
        files = ("image", "variants")  # check_files checks them
        assert {name: value for name, value in facts.items() if name not in unlike_the_first + files} == outcome_of(
            *found
        )
        assert facts.get("image", {}).get("url") == (facts.get("imageUrl") if found[0].get("image") else None)


def outcome_of(request: Document) -> dict[str, object]:
    """Return the result or error details that the callers of an ended request must get."""
    cost = COSTS[request["size"]]
    if request["status"] == "completed":
        return {
            "generationRequestId": request["id"],
            "deductedCredits": cost,
            "cost": cost,
            "refundedCredits": 0,
            "netCredits": cost,
            "imageUrl": request["imageUrl"],
            **({"seed": request["seed"]} if "seed" in request else {}),
        }
    error = request["error"]
    assert error["refundedCredits"] == cost
    return {
        "reason": error["reason"],
        "generationRequestId": request["id"],
        "cost": cost,
        "refundedCredits": cost,
        "netCredits": 0,
    }

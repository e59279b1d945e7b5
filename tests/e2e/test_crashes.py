"""Real crashes: under the real CLI, the functions' processes are killed with SIGKILL in the middle of their work.

A suite of its own: the CLI never logs the end of a call whose process died, which the other tests' ``live.log`` waits
for. It survives such a death otherwise: it answers 500 and starts a new process for the next call.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import psutil
import pytest
import requests
from google.cloud.firestore_v1.base_query import FieldFilter

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.documents.generations import REQUESTS, request_path
from imagegen.domain.generation import keyed_request_id
from imagegen.ports.database import Put
from tests.support.catalog import COSTS
from tests.support.invariants import violations
from tests.support.live import Live, cut_off, operator_of, order, until
from tests.support.scale import scaled
from tools.emulators.suite import Suite, workspace
from tools.fakes import NO_LIMITS_SETTINGS
from tools.seed import history

SEED = 25
KILLS = scaled(4, 25)
KILLS_WHILE_PROCESSING_MIN = scaled(1, 5)
UNDISTURBED_ROUNDS = scaled(1, 3)
ROUNDS_MAX = 30
CALLS_AT_ONCE = 4
CUT_OFF_AFTER_SECONDS = 10
"""Many times what a call takes. The CLI never ends an answer whose process died after it had sent the headers."""

WORKER = "generateWithModelA"
_CALLED = {"latencySeconds": 0.06, "timeoutSeconds": 5}
_QUEUED = {"latencySeconds": 0.8, "timeoutSeconds": 5, "queue": WORKER}  # half of a round: the rest goes to the queue
_MODELS: dict[str, dict[str, dict[str, object]]] = {
    "sync": {
        "Model Crash": {**_CALLED, "failureRate": 0},
        "Model Crash Broken": {**_CALLED, "failureRate": 1},
    },
    "async": {
        "Model Queued Crash": {**_QUEUED, "failureRate": 0},
        "Model Queued Crash Broken": {**_QUEUED, "failureRate": 1},
    },
}

Answer = dict[str, Any]
"""The body of a function's own answer."""

Document = dict[str, Any]
"""A request's document, with its ``id``."""


class Phase(StrEnum):
    """How far a call had come when its process was killed."""

    NOTHING = "no request yet"
    PROCESSING = "processing"
    SETTLED = "already settled"


@dataclass
class Call:
    """One call, the phase in which its process was killed, if it was, and what its caller was told, repeats included.

    The prompt is the call's own, so that its request can be found, key or no key.
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
        """All that may never change again."""
        return [answer for answer in self.answers if reason(answer) != "REQUEST_IN_PROGRESS"]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A suite with nothing but the catalog, and two models in it that take a moment."""
    directory = workspace(tmp_path_factory.mktemp("crashes") / "project", seed=None, settings=NO_LIMITS_SETTINGS)
    with Suite(directory, "--only", "functions,firestore") as suite, operator_of(suite) as operator:
        documents = dict(history.documents())
        for name, fields in [model for models in _MODELS.values() for model in models.items()]:
            documents[f"models/{name.lower().replace(' ', '-')}"] = {
                **documents["models/model-a"],
                "name": name,
                **fields,
            }
        FirestoreDatabase(operator).commit(*(Put(path, data) for path, data in documents.items()))
        yield Live(suite, operator)


def test_no_credit_is_lost_or_invented_when_generations_are_killed_at_any_moment(live: Live) -> None:
    rng = random.Random(SEED)
    granted = {live.add_user(trial=5, paid=995): 1000 for _ in range(3)}

    calls = killed_calls(live, rng, list(granted))
    phases = Counter(call.phase for call in calls if call.phase)
    print(f"\nkilled: {', '.join(f'{phases[phase]} {phase}' for phase in Phase)}; {len(calls)} calls in all")
    assert phases.total() >= KILLS
    assert phases[Phase.PROCESSING] >= KILLS_WHILE_PROCESSING_MIN

    # While the leases run, nobody touches the requests: their processes might be alive.
    warm_up(live, "sweepAbandonedRequests", sending_a_sweep(live))
    assert [answer.json() for answer in swept(live, times=2)] == [{"swept": 0}] * 2
    interrupted = requests_where(live, status="processing")
    assert len(interrupted) >= KILLS_WHILE_PROCESSING_MIN
    run_out(live, interrupted)

    # Two sweepers at once that die halfway; then two that do not, and one more.
    doomed = [lambda: attempted(live, "sweepAbandonedRequests-0")] * 2
    under_fire(live, "sweepAbandonedRequests", doomed, [rng.uniform(0, 0.2) for _ in doomed])
    left = requests_where(live, status="processing")
    print(f"the sweepers that were killed left {len(left)} of {len(interrupted)} to the next")
    assert {answer.status_code for answer in swept(live, times=2)} == {200}
    assert [answer.json() for answer in swept(live, times=1)] == [{"swept": 0}]
    assert {live.request(request["id"])["error"]["reason"] for request in interrupted} == {"ABANDONED"}
    for call in calls * 2:
        if call.key:
            repeating(live, call)()

    check_books(live, granted)
    for call in calls:
        check_told_what_is_recorded(live, call)


def test_every_queued_request_ends_and_no_credit_is_lost_when_workers_are_killed_at_any_moment(live: Live) -> None:
    rng = random.Random(SEED)
    granted = {live.add_user(trial=5, paid=995): 1000 for _ in range(3)}

    calls = killed_workers(live, rng, list(granted))
    interrupted = requests_where(live, status="processing")
    print(f"\nkilled: {KILLS} workers or more; of {len(calls)} queued requests {len(interrupted)} were interrupted")
    assert len(interrupted) >= KILLS_WHILE_PROCESSING_MIN

    # The queue has delivered the task of each again, and left the request alone: its worker might be alive.
    run_out(live, interrupted)
    assert {answer.status_code for answer in swept(live, times=2)} == {200}
    assert [answer.json() for answer in swept(live, times=1)] == [{"swept": 0}]
    assert {live.request(request["id"])["error"]["reason"] for request in interrupted} == {"ABANDONED"}

    check_books(live, granted)
    for call in calls:
        [queued], [request] = call.answers, requests_where(live, prompt=call.data["prompt"])
        pending = {"deductedCredits": COSTS[request["size"]], "status": "pending"}
        assert queued == {"result": {"generationRequestId": request["id"], **pending}}
        if request["status"] == "failed":
            assert request["error"]["refundedCredits"] == COSTS[request["size"]]


# Calls under fire


def killed_calls(live: Live, rng: random.Random, user_ids: Sequence[str]) -> list[Call]:
    """Calls in rounds of some at once, until enough were interrupted; those with a key are repeated right after."""
    warm_up(live, "createGenerationRequest", lambda: live.create("user-nobody"))
    calls: list[Call] = []
    undisturbed_seconds = []
    for _ in range(UNDISTURBED_ROUNDS):
        began = time.monotonic()
        calls += make(live, new_calls(rng, user_ids, len(calls)), [])
        undisturbed_seconds.append(time.monotonic() - began)

    for _ in range(ROUNDS_MAX):
        phases = Counter(call.phase for call in calls if call.phase)
        left = max(KILLS - phases.total(), KILLS_WHILE_PROCESSING_MIN - phases[Phase.PROCESSING])
        if left <= 0:
            break
        moments = [rng.uniform(0, min(undisturbed_seconds)) for _ in range(min(left, CALLS_AT_ONCE))]
        made = make(live, new_calls(rng, user_ids, len(calls)), moments)
        warm_up(live, "createGenerationRequest", lambda: live.create("user-nobody"))
        repeats = [repeating(live, call) for call in made if call.key and call.phase]
        under_fire(live, "createGenerationRequest", repeats, [])
        calls += made
    return calls


def killed_workers(live: Live, rng: random.Random, user_ids: Sequence[str]) -> list[Call]:
    """Queued requests in rounds of some at once, whose workers are killed, until enough were.

    A round ends when each of its requests has been claimed; a round without kills, when each has ended. The queue
    delivers a task again that came back without an answer.
    """
    calls: list[Call] = []

    def queue(kill_after_seconds: Sequence[float]) -> float:
        """The seconds that the next round takes."""
        warm_up(live, WORKER, lambda: live.call(WORKER, {"generationRequestId": "none", "ticket": "none"}))
        made = new_calls(rng, user_ids, len(calls), mode="async")
        calls.extend(made)
        began = time.monotonic()
        under_fire(live, WORKER, [sending(live, call) for call in made], kill_after_seconds)
        under_way = {"pending"} if kill_after_seconds else {"pending", "processing"}
        prompts = {call.data["prompt"] for call in made}
        until(
            lambda: not any(r["prompt"] in prompts and r["status"] in under_way for r in requests_where(live)),
            seconds=60,
        )
        return time.monotonic() - began

    undisturbed_seconds = [queue([]) for _ in range(UNDISTURBED_ROUNDS)]
    killed = 0
    for _ in range(ROUNDS_MAX):
        interrupted = len(requests_where(live, status="processing"))
        left = max(KILLS - killed, KILLS_WHILE_PROCESSING_MIN - interrupted)
        if left <= 0:
            break
        moments = [rng.uniform(0, min(undisturbed_seconds)) for _ in range(min(left, CALLS_AT_ONCE))]
        queue(moments)
        killed += len(moments)
        # Requests that survived end during this round. Those that are processing after it were interrupted.
        queue([])
    return calls


def make(live: Live, calls: list[Call], kill_after_seconds: Sequence[float]) -> list[Call]:
    """The calls, made at once, each with its answer or the phase in which it was killed."""
    under_fire(live, "createGenerationRequest", [sending(live, call) for call in calls], kill_after_seconds)
    for call in calls:
        if not call.answers:
            call.phase = phase_of(live, call)
    assert sum(call.phase is not None for call in calls) <= len(kill_after_seconds)
    return calls


def new_calls(rng: random.Random, user_ids: Sequence[str], first: int, mode: str = "sync") -> list[Call]:
    return [new_call(rng, user_ids, number, mode) for number in range(first, first + CALLS_AT_ONCE)]


def new_call(rng: random.Random, user_ids: Sequence[str], number: int, mode: str) -> Call:
    """A call as seeded: half of them have a key, a quarter are going to fail."""
    options: dict[str, object] = {
        "model": rng.choices(list(_MODELS[mode]), [3, 1])[0],
        "size": rng.choice(list(COSTS)),
        "prompt": f"{mode} crash {number}",
        "mode": mode,
    }
    if rng.random() < 0.5:
        options["idempotencyKey"] = f"{mode} key {number}"
    return Call(order(rng.choice(user_ids), **options))


def under_fire(
    live: Live, function: str, calls: Sequence[Callable[[], object]], kill_after_seconds: Sequence[float]
) -> None:
    """Makes ``calls`` at once, and kills one of the function's processes at each of the moments."""
    # Only those that are ready: the CLI waits for a minute for one that dies while it starts.
    ready = processes(live, function)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        began = time.monotonic()
        running = [pool.submit(call) for call in calls]
        for seconds, process in zip(sorted(kill_after_seconds), ready, strict=False):
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            kill(process)
    for call in running:
        call.result()
    # As soon as the CLI has noticed, it starts new ones instead of calling the dead.
    _, unnoticed = psutil.wait_procs(ready[: len(kill_after_seconds)], timeout=10)
    assert not unnoticed


def warm_up(live: Live, function: str, call: Callable[[], object]) -> None:
    """Has a process ready for each of some calls at once, each at a port of its own.

    The CLI draws a port long before the process takes it. Where two drew the same, those of another suite included,
    one answers for both.
    """
    for _ in range(5):
        under_fire(live, function, [call] * CALLS_AT_ONCE, [])
        impostors = [process for process in processes(live, function) if not has_its_port(process)]
        if not impostors:
            return
        for process in impostors:
            kill(process)
        psutil.wait_procs(impostors, timeout=10)
    raise AssertionError("there is always a process without its port")


def has_its_port(shell: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        port = int(shell.environ()["PORT"])
        servers = shell.children(recursive=True)
        connections = [connection for server in servers for connection in server.net_connections("tcp")]
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)
    return False


def processes(live: Live, function: str) -> list[psutil.Process]:
    """The shells in which the CLI runs the processes of a function, each with the server in it as its child."""
    launcher = psutil.Process(live.suite.process.pid)  # which adopts what the CLI leaves behind
    [cli] = [child for child in launcher.children() if child.name() == "node"]
    found = []
    for process in cli.children():
        with suppress(psutil.NoSuchProcess):
            if process.environ().get("FUNCTION_TARGET") == function:
                found.append(process)
    return found


def kill(shell: psutil.Process) -> None:
    """What the out-of-memory killer does to an instance: no handler runs, in the server or in its worker."""
    with suppress(psutil.NoSuchProcess):
        # From the top, as the server would replace its worker.
        for process in (shell, *shell.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def sending(live: Live, call: Call) -> Callable[[], None]:
    """Makes the call, and notes its answer, if one comes."""

    def send() -> None:
        response = attempted(live, "createGenerationRequest", json={"data": call.data})
        if response is None:
            return
        if not cut_off(response):
            call.answers.append(response.json())

    return send


def attempted(live: Live, function: str, **arguments: Any) -> requests.Response | None:
    """The response to a call whose process may be killed; None where it was cut off halfway."""
    with suppress(requests.RequestException):
        return requests.post(f"{live.suite.functions_url}/{function}", timeout=CUT_OFF_AFTER_SECONDS, **arguments)
    return None


def repeating(live: Live, call: Call) -> Callable[[], None]:
    """Makes the call again, this time to be answered."""
    return lambda: call.answers.append(live.call("createGenerationRequest", call.data).json())


def sending_a_sweep(live: Live) -> Callable[[], requests.Response]:
    return lambda: live.send("sweepAbandonedRequests-0")


def swept(live: Live, *, times: int) -> list[requests.Response]:
    """The answers of sweepers that run at once."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: sending_a_sweep(live)(), range(times)))


# What the database says


def requests_where(live: Live, **fields: object) -> list[Document]:
    query: Any = live.operator.collection(REQUESTS)
    for name, value in fields.items():
        query = query.where(filter=FieldFilter(name, "==", value))
    return [{"id": document.id, **document.to_dict()} for document in query.stream()]


def run_out(live: Live, interrupted: list[Document]) -> None:
    """Time passes, until the leases of these requests have run out."""
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
    """Why there is no image; None where there is one."""
    return str(answer["error"]["details"]["reason"]) if "error" in answer else None


def check_books(live: Live, granted: Mapping[str, int]) -> None:
    """Every request has ended, every invariant holds, and users have paid for what was completed, and no more."""
    assert [request for status in ("pending", "processing") for request in requests_where(live, status=status)] == []
    assert violations(live.operator) == []
    for user_id, credits in granted.items():
        paid = sum(COSTS[request["size"]] for request in completed(live, user_id))
        assert live.credits(user_id) == sum(live.user(user_id)["credits"].values()) == credits - paid


def check_told_what_is_recorded(live: Live, call: Call) -> None:
    """At most one request, exactly one where a key was repeated, and every caller was told what became of it."""
    found = requests_where(live, prompt=call.data["prompt"])
    if call.key:
        assert [request["id"] for request in found] == [keyed_request_id(call.user_id, call.key)]
        assert call.final_answers
    if not found:
        assert (call.phase, call.answers) == (Phase.NOTHING, [])
    for answer in call.final_answers:
        assert answer == call.final_answers[0]
        assert answer.get("result", answer.get("error", {}).get("details")) == outcome_of(*found)


def outcome_of(request: Document) -> dict[str, object]:
    """What the request's callers have to be told."""
    if request["status"] == "completed":
        return {
            "generationRequestId": request["id"],
            "deductedCredits": COSTS[request["size"]],
            "imageUrl": request["imageUrl"],
        }
    error = request["error"]
    assert error["refundedCredits"] == COSTS[request["size"]]
    return {
        "reason": error["reason"],
        "generationRequestId": request["id"],
        "refundedCredits": error["refundedCredits"],
        "currentCredits": error["currentCredits"],
    }

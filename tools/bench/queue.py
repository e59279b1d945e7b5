"""`make bench-queue`: measures the speed of queued requests under the real Firebase CLI, compared with mode sync.

Both modes run in the same emulators, one after the other. Results are written only if every call is accepted, every
request ends, and every invariant holds afterwards.
"""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.documents.generations import request_of, request_path
from imagegen.domain.generation import GenerationRequest, Mode
from tests.support.invariants import violations
from tests.support.live import Live, operator_of, order, until
from tools.bench.tables import publish
from tools.emulators.suite import Suite, workspace
from tools.fakes import NO_LIMITS_SETTINGS

SEED = 500
REQUESTS_MADE = 500
USERS = 50
CALLERS = 4
MODELS = ("Model A", "Model B")
DRAIN_SECONDS_MAX = 900


@dataclass(frozen=True)
class Measured:
    """The response times, in seconds, and the requests of the calls of one mode."""

    answered_after: Sequence[float]
    requests: Sequence[GenerationRequest]

    @property
    def seconds(self) -> float:
        """The time from the creation of the first request to the end of the last."""
        ends = [request.finished_at for request in self.requests if request.finished_at]
        return (max(ends) - min(request.created_at for request in self.requests)).total_seconds()

    @property
    def outcomes(self) -> str:
        ends = Counter(request.status for request in self.requests)
        return ", ".join(f"{ends[status]} {status}" for status in sorted(ends))

    def waited(self, model: str) -> float:
        """Return the median time, in seconds, until a worker started a request of ``model``."""
        return median(
            (request.started_at - request.created_at).total_seconds()
            for request in self.requests
            if request.model == model and request.started_at
        )


def main(console: Console) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        directory = workspace(Path(temporary) / "project", settings=NO_LIMITS_SETTINGS)
        with Suite(directory) as suite, operator_of(suite) as operator:
            measured = {}
            for mode in Mode:
                with console.status(f"{REQUESTS_MADE} requests of {USERS} users in mode {mode}"):
                    measured[mode] = run(Live(suite, operator), mode, REQUESTS_MADE, USERS)
            broken = violations(operator)
    if broken:
        raise SystemExit("\n".join(broken))
    columns = (f"{REQUESTS_MADE} requests of {USERS} users", *(f"mode {mode}" for mode in measured))
    publish(console, "queue", columns, rows(list(measured.values())))


def rows(measured: Sequence[Measured]) -> list[Sequence[str]]:
    """Return the rows of the table, with a column for each mode."""
    return [
        ("a call's answer, median", *(f"{median(one.answered_after):.2f} s" for one in measured)),
        ("a call's answer, slowest", *(f"{max(one.answered_after):.2f} s" for one in measured)),
        *(
            (f"{model}: wait for a worker, median", *(f"{one.waited(model):.1f} s" for one in measured))
            for model in MODELS
        ),
        ("from the first call to the end of the last request", *(f"{one.seconds:.0f} s" for one in measured)),
        ("requests a second", *(f"{len(one.requests) / one.seconds:.1f}" for one in measured)),
        ("outcomes", *(one.outcomes for one in measured)),
    ]


def run(live: Live, mode: Mode, requests: int, users: int) -> Measured:
    """Make all calls of one mode, and wait until each request has ended.

    Raises RuntimeError if a call is refused, and AssertionError if a request does not end.
    """
    rng = random.Random(SEED)
    user_ids = [live.add_user(paid=requests) for _ in range(users)]
    orders = [
        order(user_ids[number % users], model=rng.choice(MODELS), mode=mode, prompt=f"{mode} {number}")
        for number in range(requests)
    ]
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda params: call(live, params), orders))
    return Measured([seconds for seconds, _ in answers], [ended(live, request_id) for _, request_id in answers])


def call(live: Live, params: dict[str, object]) -> tuple[float, str]:
    """Make a call. Return its duration in seconds and the id of its request.

    Raises RuntimeError unless the request is queued, completed, or failed by the model.
    """
    began = time.monotonic()
    body = live.call("createGenerationRequest", params).json()
    seconds = time.monotonic() - began
    if "result" in body:
        return seconds, body["result"]["generationRequestId"]
    if body["error"]["details"]["reason"] == "GENERATION_FAILED":
        return seconds, body["error"]["details"]["generationRequestId"]
    raise RuntimeError(f"A call was refused: {body}")


def ended(live: Live, request_id: str) -> GenerationRequest:
    """Wait until the request has ended, and return it."""
    database = FirestoreDatabase(live.operator)

    def current() -> GenerationRequest:
        return request_of(*database.read(request_path(request_id)))

    until(lambda: not current().is_open, seconds=DRAIN_SECONDS_MAX)
    return current()


if __name__ == "__main__":
    main(Console())

"""`make bench-queue`: how fast queued requests drain under the real Firebase CLI, beside the same calls in mode sync.

Both run in one suite, one after the other, by the same callers. Every call has to be taken, every request has to end,
and afterwards every invariant has to hold: else nothing is written.
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
    """What became of the calls of one mode; times in seconds."""

    answered_after: Sequence[float]
    requests: Sequence[GenerationRequest]

    @property
    def seconds(self) -> float:
        """From the first request's record to the end of the last."""
        ends = [request.finished_at for request in self.requests if request.finished_at]
        return (max(ends) - min(request.created_at for request in self.requests)).total_seconds()

    @property
    def outcomes(self) -> str:
        ends = Counter(request.status for request in self.requests)
        return ", ".join(f"{ends[status]} {status}" for status in sorted(ends))

    def waited(self, model: str) -> float:
        """The median time until a worker took a request of ``model``."""
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
    """The table's lines, a column for each mode."""
    return [
        ("a call's answer, median", *(f"{median(one.answered_after):.2f} s" for one in measured)),
        ("a call's answer, slowest", *(f"{max(one.answered_after):.2f} s" for one in measured)),
        *(
            (f"{model}: wait for a worker, median", *(f"{one.waited(model):.1f} s" for one in measured))
            for model in MODELS
        ),
        ("from the first call to the last end", *(f"{one.seconds:.0f} s" for one in measured)),
        ("requests a second", *(f"{len(one.requests) / one.seconds:.1f}" for one in measured)),
        ("ends", *(one.outcomes for one in measured)),
    ]


def run(live: Live, mode: Mode, requests: int, users: int) -> Measured:
    """All the calls of one mode, and their requests, each of which has ended.

    Raises RuntimeError if a call is refused, and AssertionError if a request does not end.
    """
    rng = random.Random(SEED)
    user_ids = [live.add_user(paid=requests) for _ in range(users)]
    orders = [
        order(user_ids[number % users], model=rng.choice(MODELS), mode=mode, prompt=f"{mode} {number}")
        for number in range(requests)
    ]
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda params: taken(live, params), orders))
    return Measured([seconds for seconds, _ in answers], [ended(live, request_id) for _, request_id in answers])


def taken(live: Live, params: dict[str, object]) -> tuple[float, str]:
    """The seconds and the request of a call that is queued, completed, or failed by the model."""
    began = time.monotonic()
    body = live.call("createGenerationRequest", params).json()
    seconds = time.monotonic() - began
    if "result" in body:
        return seconds, body["result"]["generationRequestId"]
    if body["error"]["details"]["reason"] == "GENERATION_FAILED":
        return seconds, body["error"]["details"]["generationRequestId"]
    raise RuntimeError(f"A call was refused: {body}")


def ended(live: Live, request_id: str) -> GenerationRequest:
    """The request, once it has come to its end."""
    database = FirestoreDatabase(live.operator)

    def current() -> GenerationRequest:
        return request_of(*database.read(request_path(request_id)))

    until(lambda: not current().is_open, seconds=DRAIN_SECONDS_MAX)
    return current()


if __name__ == "__main__":
    main(Console())

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

from imagegen.database import Query, Where
from imagegen.domain.generation import OPEN, GenerationRequest, Mode
from imagegen.firestore import FirestoreDatabase
from imagegen.records import REQUESTS, request_of
from tests.support.invariants import violations
from tests.support.live import Live, operator_of, order, until
from tools.benchmarks import publish
from tools.limits import NO_LIMITS_SETTINGS
from tools.suite import Suite, workspace

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
    measured = {}
    with tempfile.TemporaryDirectory() as temporary:
        directory = workspace(Path(temporary) / "project", settings=NO_LIMITS_SETTINGS)
        with Suite(directory) as suite, operator_of(suite) as operator:
            for mode in Mode:
                with console.status(f"{REQUESTS_MADE} requests of {USERS} users in mode {mode}"):
                    measured[mode] = run(Live(suite, operator), mode)
            broken = violations(operator)
    if broken:
        raise SystemExit("\n".join(broken))
    both = measured.values()
    columns = (f"{REQUESTS_MADE} requests of {USERS} users", *(f"mode {mode}" for mode in measured))
    rows = [
        ("a call's answer, median", *(f"{median(one.answered_after):.2f} s" for one in both)),
        ("a call's answer, slowest", *(f"{max(one.answered_after):.2f} s" for one in both)),
        *((f"{model}: wait for a worker, median", *(f"{one.waited(model):.1f} s" for one in both)) for model in MODELS),
        ("from the first call to the last end", *(f"{one.seconds:.0f} s" for one in both)),
        ("requests a second", *(f"{REQUESTS_MADE / one.seconds:.1f}" for one in both)),
        ("ends", *(one.outcomes for one in both)),
    ]
    publish(console, "queue", columns, rows)


def run(live: Live, mode: Mode) -> Measured:
    """All the calls of one mode, and their requests, each of which has ended."""
    rng = random.Random(SEED)
    users = [live.add_user(paid=REQUESTS_MADE) for _ in range(USERS)]
    orders = [
        order(users[number % USERS], model=rng.choice(MODELS), mode=mode, prompt=f"{mode} {number}")
        for number in range(REQUESTS_MADE)
    ]
    with ThreadPoolExecutor(CALLERS) as pool:
        answered_after = list(pool.map(lambda wish: seconds_of(live, wish), orders))
    database = FirestoreDatabase(live.operator)
    still_open = Query(REQUESTS, (Where("status", "in", tuple(status.value for status in OPEN)),), limit=1)
    until(lambda: not database.find(still_open), seconds=DRAIN_SECONDS_MAX)
    found = [database.find(Query(REQUESTS, (Where("userId", "==", user),))) for user in users]
    made = [request_of(document) for documents in found for document in documents]
    assert len(made) == REQUESTS_MADE
    return Measured(answered_after, made)


def seconds_of(live: Live, wish: dict[str, object]) -> float:
    """How long a call takes that is taken: queued, completed, or failed by the model."""
    began = time.monotonic()
    body = live.call("createGenerationRequest", wish).json()
    if "result" not in body and body["error"]["details"]["reason"] != "GENERATION_FAILED":
        raise RuntimeError(f"A call was refused: {body}")
    return time.monotonic() - began


if __name__ == "__main__":
    main(Console())

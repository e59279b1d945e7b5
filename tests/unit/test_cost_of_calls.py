"""Bounds the processor time of calls, counted as the function calls that they make in this process.

`make bench-requests` measures the time itself. The count does not depend on the machine.
"""

import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend, providers
from imagegen.documents.accounts import create_entry
from imagegen.domain.ledger import Credits, EntryType
from imagegen.services.credits.accounts import new_account
from imagegen.services.images.storage import Images
from tests.support.api import Api
from tests.support.canned import MOMENT, CannedClient
from tests.support.orders import ORDER
from tools.fakes import NO_LIMITS, AcceptingSender, AuthAccountList, FileStore, ManualClock, TaskList
from tools.seed import history

ENTRIES = 10

CALLS_MAX = {
    "mode sync": ("createGenerationRequest", ORDER, 1_450),
    "mode async": ("createGenerationRequest", {**ORDER, "mode": "async"}, 1_400),
    "getUserCredits": ("getUserCredits", {"userId": "user"}, 2_650),
}
"""The most function calls that a call of the API may make, Flask's and the test client's included."""


def documents() -> dict[str, Any]:
    """Return the catalog with models that never fail, and a user with some ledger entries."""
    wallet, [user, _grant] = new_account("user", {"displayName": "User"}, Credits(paid=100), MOMENT)
    written = [user]
    for number in range(ENTRIES):
        wallet, entry = wallet.post(
            EntryType.DEDUCTION,
            Credits(paid=3),
            entry_id=f"id-{number}-deduction",
            generation_request_id=f"id-{number}",
            timestamp=MOMENT,
        )
        written.append(create_entry(entry))
    offered = {path: {**data, "failureRate": 0} if "provider" in data else data for path, data in history.documents()}
    return {**offered, **{write.path: write.data for write in written}}  # type: ignore[union-attr]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    clock, rng, ids = ManualClock(MOMENT), random.Random(1), itertools.count()
    backend = Backend.on(
        FirestoreDatabase(CannedClient(documents())),
        TaskList(),
        AcceptingSender(),
        providers(clock, rng),
        Images(FileStore()),
        clock,
        rng,
        lambda: f"id-{next(ids)}",
        NO_LIMITS,
        auth_accounts=AuthAccountList(),
    )
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: backend)
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    return Api()


@pytest.mark.parametrize("case", CALLS_MAX)
def test_call_makes_few_function_calls(api: Api, case: str) -> None:
    function, data, calls_max = CALLS_MAX[case]
    traced = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}  # as Cloud Run adds to each call
    api.call(function, data, **traced)  # the first call loads the catalog, and builds what later calls use
    made = function_calls(lambda: api.call(function, data, **traced))
    most = ", ".join(f"{name} {count}" for name, count in made.most_common(15))
    assert made.total() <= calls_max, (
        f"{function} makes {made.total():,} function calls, and {calls_max:,} at most are allowed, because a call's "
        f"processor time is what limits an instance's throughput. The most are: {most}. Compare these with those of "
        "the last commit, and `make bench-requests PAIRS=2` before and after. If the calls are worth their time, "
        "raise CALLS_MAX."
    )


def function_calls(call: Callable[[], object]) -> Counter[str]:
    """Return how often ``call`` enters each function, in its own thread."""
    made: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            made[frame.f_code.co_qualname] += 1

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return made

"""Queued requests under the real CLI: the tasks emulator delivers, a stranger's call is refused."""

import pytest

from tests.support.live import Live, until
from tests.support.models import BROKEN
from tests.support.queue import queued, state


@pytest.mark.parametrize(
    ("model", "status", "left"), [("Model A", "completed", 9), ("Model B", "completed", 9), (BROKEN, "failed", 10)]
)
def test_the_queue_brings_a_request_to_its_end(live: Live, model: str, status: str, left: int) -> None:
    user = live.add_user(paid=10)

    request_id = queued(live, user, model=model)
    assert live.credits(user) in {9, left}

    until(lambda: state(live, request_id)["status"] == status, seconds=30)
    assert live.credits(user) == left


@pytest.mark.parametrize("function", ["generateImage", "generateWithModelA", "generateWithModelB"])
def test_a_strangers_call_of_a_worker_is_refused_and_changes_nothing(live: Live, function: str) -> None:
    request_id = live.create(live.add_user(paid=1)).json()["result"]["generationRequestId"]
    before = live.request(request_id)

    for data in ({"generationRequestId": request_id, "ticket": "guessed"}, {}, None):
        assert live.call(function, data).status_code in {400, 403}

    assert live.request(request_id) == before


def test_a_canceled_request_is_never_made(live: Live) -> None:
    user = live.add_user(paid=10)
    live.operator.document("models/model-later").set(
        {**(live.operator.document("models/model-a").get().to_dict() or {}), "name": "Model Later", "latencySeconds": 3}
    )
    params = {"model": "Model Later", "mode": "async", "idempotencyKey": "once"}
    until(lambda: live.create(user, **params).status_code == 200, seconds=10)
    request_id = live.create(user, **params).json()["result"]["generationRequestId"]
    canceled = live.result("cancelGenerationRequest", {"generationRequestId": request_id})

    assert (canceled["status"], canceled["currentCredits"]) == ("canceled", 10)
    assert live.call("cancelGenerationRequest", {"generationRequestId": request_id}).status_code == 400
    assert state(live, request_id)["status"] == "canceled"
    live.operator.document("models/model-later").delete()

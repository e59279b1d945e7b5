"""Tests of queued requests under the Firebase CLI, whose tasks emulator delivers the tasks."""

import pytest

from tests.support.live import Live, until
from tests.support.models import BROKEN
from tests.support.queue import queued, state


@pytest.mark.parametrize(
    ("model", "status", "left"), [("Model A", "completed", 9), ("Model B", "completed", 9), (BROKEN, "failed", 10)]
)
def test_queued_request_ends(live: Live, model: str, status: str, left: int) -> None:
    user = live.add_user(paid=10)

    request_id = queued(live, user, model=model)
    assert live.credits(user) in {9, left}

    until(lambda: state(live, request_id)["status"] == status, seconds=30)
    assert live.credits(user) == left


@pytest.mark.parametrize("function", ["generateImage", "generateWithModelA", "generateWithModelB"])
def test_call_of_a_worker_without_a_valid_ticket_is_refused(live: Live, function: str) -> None:
    request_id = live.create(live.add_user(paid=1)).json()["result"]["generationRequestId"]
    before = live.request(request_id)

    for data in ({"generationRequestId": request_id, "ticket": "guessed"}, {}, None):
        assert live.call(function, data).status_code in {400, 403}

    assert live.request(request_id) == before


def test_canceled_request_stays_canceled(live: Live) -> None:
    user = live.add_user(paid=10)
    live.operator.document("models/model-later").set(
        {**(live.operator.document("models/model-a").get().to_dict() or {}), "name": "Model Later", "latencySeconds": 3}
    )
    params = {"model": "Model Later", "mode": "async", "idempotencyKey": "once"}
    until(lambda: live.create(user, **params).status_code == 200, seconds=10)
    request_id = live.create(user, **params).json()["result"]["generationRequestId"]
    canceled = live.result("cancelGenerationRequest", {"generationRequestId": request_id})

    assert (canceled["status"], canceled["currentCredits"]) == ("canceled", 10)
    again = live.result("cancelGenerationRequest", {"generationRequestId": request_id})
    assert again == {**canceled, "replayed": True}
    assert state(live, request_id)["status"] == "canceled"
    live.operator.document("models/model-later").delete()

"""Many at once on one user's account, on the real Firestore emulator."""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.orders import order
from tests.support.wire import ObservedClient


def test_200_requests_of_one_user_32_at_a_time_are_delivered_or_take_nothing(
    api: Api, client: ObservedClient, add_user: AddUser
) -> None:
    add_user(trial=50, paid=200)
    began = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        params = order(size="512x512")
        answers = list(pool.map(lambda _: api.call("createGenerationRequest", params).get_json(), range(200)))

    delivered = {answer["result"]["generationRequestId"] for answer in answers if "result" in answer}
    refused = [answer["error"]["details"]["reason"] for answer in answers if "error" in answer]
    print(f"\n{len(delivered)} of 200 requests got through in {time.monotonic() - began:.1f} s, 32 at a time")
    assert len(delivered) + len(refused) == 200
    assert set(refused) <= {"CONTENTION"}
    # A contender that gave up left neither a request nor a deduction behind.
    recorded = {request.id: request.get("status") for request in client.collection("generationRequests").stream()}
    assert recorded == dict.fromkeys(delivered, "completed")
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 250 - len(delivered)
    assert len(delivered) >= 190

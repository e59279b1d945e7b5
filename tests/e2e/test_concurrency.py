"""Tests of concurrent calls under the Firebase CLI, which runs each call in its own process."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.live import Live
from tests.support.models import BROKEN

CALLS_AT_ONCE = 12


def create_concurrently(live: Live, user_id: str, **options: object) -> list[requests.Response]:
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        return list(pool.map(lambda _: live.create(user_id, **options), range(CALLS_AT_ONCE)))


@pytest.fixture(scope="module", autouse=True)
def _warm(live: Live) -> None:
    """Start the processes first. Otherwise their start would delay the calls, which would then not overlap."""
    create_concurrently(live, "user-nobody")


def test_concurrent_requests_never_overdraw(live: Live) -> None:
    user = live.add_user(trial=1, paid=5)

    answers = create_concurrently(live, user)

    images = {answer.json()["result"]["generationRequestId"] for answer in answers if answer.status_code == 200}
    refusals = [answer.json()["error"]["details"]["reason"] for answer in answers if answer.status_code != 200]
    assert len(images) == 6
    assert refusals == ["INSUFFICIENT_CREDITS"] * (CALLS_AT_ONCE - 6)
    assert live.credits(user) == 0
    charged = live.transactions(user)
    assert [entry["type"] for entry in charged] == ["deduction"] * 6
    assert {entry["generationRequestId"] for entry in charged} == images


def test_concurrent_failures_are_all_refunded(live: Live) -> None:
    user = live.add_user(trial=5, paid=CALLS_AT_ONCE)

    answers = create_concurrently(live, user, model=BROKEN)

    assert {answer.status_code for answer in answers} == {503}
    assert live.user(user)["credits"] == {"trial": 5, "paid": CALLS_AT_ONCE}
    assert len(live.transactions(user)) == 2 * CALLS_AT_ONCE


def test_concurrent_calls_with_one_key_are_charged_once(live: Live) -> None:
    user = live.add_user(paid=CALLS_AT_ONCE)

    answers = create_concurrently(live, user, idempotencyKey="once")

    images = [answer.json()["result"] for answer in answers if answer.status_code == 200]
    refusals = {answer.json()["error"]["details"]["reason"] for answer in answers if answer.status_code != 200}
    assert refusals <= {"REQUEST_IN_PROGRESS"}
    assert images
    assert sum(image.pop("replayed", False) for image in images) == len(images) - 1
    assert all(image == images[0] for image in images)
    assert len(live.transactions(user)) == 1
    assert live.credits(user) == CALLS_AT_ONCE - 1

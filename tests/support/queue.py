"""Helpers for queued requests in the running emulator suite."""

from typing import Any

from tests.support.live import Live


def queued(live: Live, user: str, **options: object) -> str:
    """Create a request in mode async. Return its id."""
    response = live.create(user, mode="async", **options)
    assert response.status_code == 200, response.text
    answer = response.json()["result"]
    assert answer["status"] == "pending"
    request_id: str = answer["generationRequestId"]
    return request_id


def state(live: Live, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = live.result("getGenerationRequest", {"generationRequestId": request_id})
    return found

"""Weeks of requests and their reports."""

from datetime import UTC, datetime
from typing import Any

from tests.support.api import Api
from tests.support.orders import order
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock
from tools.seed import history

QUIET_WEEK = history.weeks()[0] - 2
"""A week without requests, so that its report is quick. The next week has no report either."""

MONDAY = datetime(2026, 11, 9, tzinfo=UTC)  # of 2026-W46


def make(api: Api, clock: ManualClock, at: datetime, count: int = 1, **options: object) -> None:
    """Make ``count`` requests at the given time."""
    clock.at = at
    for _ in range(count):
        answer = api.call("createGenerationRequest", order(**options))
        assert answer.status_code == 200 or "refundedCredits" in answer.get_json()["error"]["details"]


def report(client: ObservedClient, week: str = "2026-W46") -> dict[str, Any]:
    return client.document(f"weeklyReports/{week}").get().to_dict() or {}

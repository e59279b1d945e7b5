"""Tests of times as texts: each one that leaves the backend has the same spelling."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.api_core.datetime_helpers import DatetimeWithNanoseconds

from imagegen.api.responses import TIME_PATTERN
from imagegen.api.weekly_reports import WeeklyReport
from imagegen.domain.times import rfc3339
from imagegen.ports.webhook_sender import Answer, WebhookSender
from imagegen.services.webhooks.signing import Event, send_signed
from tests.support.times import NOON
from tools.docs import openapi

TIMES = {
    "without a fraction": (datetime(2026, 11, 9, tzinfo=UTC), "2026-11-09T00:00:00.000000Z"),
    "in milliseconds": (datetime(2026, 11, 9, 0, 0, 0, 52_000, tzinfo=UTC), "2026-11-09T00:00:00.052000Z"),
    "in another zone": (
        datetime(2026, 11, 9, 1, tzinfo=timezone(timedelta(hours=2))),
        "2026-11-08T23:00:00.000000Z",
    ),
    "with nanoseconds, as Firestore's client returns it": (
        DatetimeWithNanoseconds(2026, 11, 9, nanosecond=1_999, tzinfo=UTC),  # type: ignore[no-untyped-call]
        "2026-11-09T00:00:00.000001Z",
    ),
}


@pytest.mark.parametrize("case", TIMES)
def test_time_has_six_digits_and_a_z(case: str) -> None:
    at, text = TIMES[case]
    assert rfc3339(at) == text
    assert re.fullmatch(TIME_PATTERN, text)


def test_all_times_of_a_report_are_spelled_so() -> None:
    stored = {"start": NOON, "revisions": [{"at": NOON, "figures": {}}], "days": [{"day": "2026-11-09"}]}
    answer = WeeklyReport(report=stored).wire()
    assert answer["report"]["start"] == answer["report"]["revisions"][0]["at"] == rfc3339(NOON)
    assert answer["report"]["days"] == stored["days"]


def test_event_is_stamped_so() -> None:
    class Sender(WebhookSender):
        def send(self, url: str, body: str, headers: Any) -> Answer:
            assert json.loads(body)["timestamp"] == rfc3339(NOON)
            return Answer(204)

    assert send_signed(Sender(), "https://x", ["whsec_c2VjcmV0"], Event("id", "type", NOON, {}), NOON) == Answer(204)


def test_every_time_of_an_answer_is_documented_so() -> None:
    document = openapi.document()
    requests = {operation.request.__name__ for operation in openapi.operations().values()}
    answers = {name: schema for name, schema in document["components"]["schemas"].items() if name not in requests}
    times = [*schemas_of_times(answers)]
    assert len(times) > 5
    assert {schema["pattern"] for schema in times} == {TIME_PATTERN}


def schemas_of_times(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if isinstance(schema, dict):
        if schema.get("format") == "date-time":
            yield schema
        for inner in schema.values():
            yield from schemas_of_times(inner)

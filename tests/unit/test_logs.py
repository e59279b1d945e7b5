"""Structured logs: fields beside the message, and nothing private in either."""

import json
import logging

import pytest

from imagegen.entry import logs


def logged(capfd: pytest.CaptureFixture[str], message: str, **fields: object) -> dict[str, object]:
    record = logging.LogRecord("imagegen", logging.WARNING, "", 0, message, (), None)
    record.json_fields = fields
    logs.StructuredHandler().emit(record)
    line: dict[str, object] = json.loads("".join(capfd.readouterr()).strip())
    return line


def test_fields_stand_beside_the_message(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, "something", event="E", alerts=[{"credits": 5}], severity="DEBUG")
    assert line == {"severity": "WARNING", "message": "something", "event": "E", "alerts": [{"credits": 5}]}


def test_fields_are_redacted_as_the_message_is(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.private("a secret prompt"):
        line = logged(capfd, "of ann@example.com", alerts=[{"message": "a secret prompt of ann@example.com", "n": 1}])
    assert line["message"] == "of [redacted]"
    assert line["alerts"] == [{"message": "[redacted] of [redacted]", "n": 1}]

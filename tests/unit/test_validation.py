"""Tests of what a caller is told about invalid fields, for every field of every operation."""

import re
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from imagegen.api.auth import Caller
from imagegen.api.context import Context
from imagegen.api.operation import Operation
from imagegen.api.validation import parse
from imagegen.errors import InvalidInput
from tools.docs import openapi
from tools.seed import history

WRONG: list[Any] = [None, True, 7, -1, 1.5, 2**70, "", "x" * 3_000, "a/b", [], [1], ["a"] * 99, {}, {"a": 1}]
RAW = re.compile("input|validation|function|instance|list should|dictionary", re.IGNORECASE)
"""The words of Pydantic's own messages."""


def refusals(operation: Operation[Any, Any], data: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the fields and the messages of the violations."""
    caller = Caller.of(Headers(), lambda _user_id: None, lambda _secret: None)
    try:
        parse(operation.request, data, Context(caller, history.catalog))
    except InvalidInput as invalid:
        return [(violation["field"], violation["message"]) for violation in invalid.details["violations"]]
    return []


@pytest.mark.parametrize("name", openapi.operations())
def test_messages_name_the_field_and_say_what_it_must_be(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    operation = openapi.operations()[name]
    example = openapi.example(operation)
    fields = {str(field.alias) for field in operation.request.model_fields.values()}
    for field in fields:
        for value in WRONG:
            for path, message in refusals(operation, {**example, field: value}):
                assert path.split(".")[0] in fields, (value, path, message)
                assert not RAW.search(f"{path} {message}".removeprefix("input")), (value, path, message)

"""README's curl examples, run as a reader would paste them, answer in the shape that README shows."""

import json
import subprocess
from typing import Any

import pytest

from tests.support.examples import EXAMPLES, here
from tools.emulators.suite import Suite


def shape(value: Any) -> Any:
    """Keys and types, all the way down; a list has the shape of its first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value).__name__


def facts(value: Any) -> Any:
    """What has to be the same to the letter: statuses, reasons and types."""
    if isinstance(value, dict):
        stable = {
            key: inner for key, inner in value.items() if key in {"status", "reason", "reportStatus", "violations"}
        }
        return {**stable, **{key: facts(inner) for key, inner in value.items() if isinstance(inner, dict)}}
    return None


def test_there_is_an_example_for_every_function() -> None:
    commands = "".join(command for command, _ in EXAMPLES)
    for function in (
        "createGenerationRequest",
        "getUserCredits",
        "listGenerationRequests",
        "registerUser",
        "grantCredits",
        "scheduleWeeklyReport-0",
    ):
        assert f"us-central1/{function} " in commands


@pytest.mark.parametrize(("command", "answer"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_answers_as_shown(suite: Suite, command: str, answer: str) -> None:
    """In the README's order: later examples show what earlier ones did."""
    done = subprocess.run(["bash", "-c", here(command, suite)], capture_output=True, text=True, check=True, timeout=120)
    given, shown = json.loads(done.stdout), json.loads(answer)
    assert shape(given) == shape(shown), given
    assert facts(given) == facts(shown)

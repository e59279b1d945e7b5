"""Tests of the examples of README, docs/quickstart.md and docs/purchases.md, run as a reader would paste them.

The examples are the only tests that use ``user-100``'s credits and the user ``newcomer``.
"""

import time
from collections.abc import Iterator

import pytest

from imagegen.services.catalog import MAX_AGE_SECONDS
from tests.support.live import Live
from tools.docs.examples import Examples, shown_answers

EXAMPLES = shown_answers()


@pytest.fixture(scope="module")
def examples(live: Live) -> Iterator[Examples]:
    """Yield the examples. They make Model B fail; undo that afterwards."""
    assert live.transactions("user-100") == [], "another test has used user-100, whose history the docs show"
    yield Examples(EXAMPLES)
    live.operator.document("models/model-b").update({"failureRate": 0})
    time.sleep(MAX_AGE_SECONDS)


def test_examples_call_the_main_functions() -> None:
    commands = "".join(EXAMPLES)
    for function in (
        "createGenerationRequest",
        "getUserCredits",
        "listGenerationRequests",
        "registerUser",
        "grantCredits",
        "scheduleWeeklyReport-0",
    ):
        assert f"us-central1/{function} " in commands
    assert "http://127.0.0.1:5000/v1/generations " in commands


@pytest.mark.parametrize(("command", "answer"), EXAMPLES.items(), ids=range(len(EXAMPLES)))
def test_example_answers_as_shown(live: Live, examples: Examples, command: str, answer: str) -> None:
    """The examples run in the order of the docs, since later examples depend on earlier ones."""
    assert examples.answer(command, answer, live.suite) == answer, "run: make examples"

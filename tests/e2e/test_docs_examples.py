"""Tests of the examples of README, docs/quickstart.md and docs/purchases.md, run as a reader would paste them.

The examples are the only tests that use ``user-100``'s credits and the user ``newcomer``.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from imagegen.services.catalog import MAX_AGE_SECONDS
from tests.support.live import Live
from tools.docs.examples import Examples, shown_answers

EXAMPLES = shown_answers()


@pytest.fixture(scope="module")
def examples(live: Live) -> Examples:
    assert live.transactions("user-100") == [], "another test has used user-100, whose history the docs show"
    return Examples(EXAMPLES)


@pytest.fixture(scope="module")
def stop_failures_of_model_b(live: Live) -> Iterator[Callable[[], None]]:
    """Yield a function that undoes the failure rate that an example sets. Wait in the end until it has an effect."""
    changed_at: list[float] = []

    def stop() -> None:
        live.operator.document("models/model-b").update({"failureRate": 0})
        changed_at.append(time.monotonic())

    yield stop
    time.sleep(max(0.0, changed_at[-1] + MAX_AGE_SECONDS - time.monotonic()) if changed_at else 0.0)


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
def test_example_answers_as_shown(
    live: Live, examples: Examples, stop_failures_of_model_b: Callable[[], None], command: str, answer: str
) -> None:
    """The examples run in the order of the docs, since later examples depend on earlier ones."""
    assert examples.answer(command, answer, live.suite) == answer, "run: make examples"
    if "failureRate" in command:
        stop_failures_of_model_b()

"""README's examples, run as a reader would paste them, answer as README shows.

The examples are the only tests that use ``user-100``'s credits and the user ``newcomer``.
"""

import time
from collections.abc import Iterator

import pytest

from imagegen.services.catalog import MAX_AGE_SECONDS
from tests.support.live import Live
from tools.docs.examples import EXAMPLE, Examples
from tools.docs.write import README

PAGE = README.read_text("utf-8")
EXAMPLES = EXAMPLE.findall(PAGE)


@pytest.fixture(scope="module")
def examples(live: Live) -> Iterator[Examples]:
    """README's examples. They make Model B fail, which ends with them."""
    assert live.transactions("user-100") == [], "another test has used user-100, whose history README shows"
    yield Examples(PAGE)
    live.operator.document("models/model-b").update({"failureRate": 0})
    time.sleep(MAX_AGE_SECONDS)


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
def test_an_example_answers_as_shown(live: Live, examples: Examples, command: str, answer: str) -> None:
    """In the README's order: later examples show what earlier ones did."""
    assert examples.answer(command, answer, live.suite) == answer, "run: make examples"

"""Tests of the docs' examples: only values that differ in every run stay as on the page."""

from typing import Any

import pytest

from tools.docs.examples import Examples

A, B, X, Y = (letter * 32 for letter in "abcd")


@pytest.fixture
def examples() -> Examples:
    return Examples(["curl -d 'no id'\n"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"id": A}, {"id": X}),
        ({"at": f"{2031}-02-28T12:00:00Z"}, {"at": f"{2026}-11-21T22:26:14.705737Z"}),
        ({"processingTimeMs": 7}, {"processingTimeMs": 19}),
        ([{"id": f"{A}-refund"}, {"of": A}], [{"id": f"{X}-refund"}, {"of": X}]),
    ],
)
def test_ids_times_and_durations_stay_as_on_the_page(examples: Examples, given: Any, shown: Any) -> None:
    assert examples.as_shown(given, shown) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"credits": 3}, {"credits": 4}),
        ({"status": "failed"}, {"status": "completed"}),
        ({"refunded": True}, {"refunded": 1}),
        ({"same": 2, "new": 1}, {"same": 2}),
        ({"same": 2}, {"same": 2, "gone": 1}),
        ([1, 2], [1]),
        ([1], [1, 2]),
        ({"at": None}, {"at": f"{2026}-11-21T22:26:14.705737Z"}),
        ({"processingTimeMs": 7}, {}),
    ],
)
def test_every_other_value_is_as_in_the_answer(examples: Examples, given: Any, shown: Any) -> None:
    assert repr(examples.as_shown(given, shown)) == repr(given)


def test_fields_keep_the_order_of_the_page(examples: Examples) -> None:
    assert list(examples.as_shown({"a": 1, "b": 2, "new": 3}, {"b": 2, "a": 1})) == ["b", "a", "new"]


def test_repeated_id_is_shown_as_the_same_id(examples: Examples) -> None:
    assert examples.as_shown([A, B], [X, Y]) == [X, Y]
    assert examples.as_shown([B, A], [X, X]) == [Y, X]


def test_different_ids_are_never_shown_as_the_same_id(examples: Examples) -> None:
    assert examples.as_shown([A, B], [X, X]) == [X, B]


def test_id_in_a_command_is_shown_as_answered() -> None:
    examples = Examples([f"curl -d '{X}'\n"])
    assert examples.as_shown(X, X) == X
    assert examples.as_shown(A, X) == A

"""Tests of the conversion of names between the REST API and the operations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegen.api.rest.names import swapped, swapped_path, with_swapped_names

NAMES = (
    st.from_regex(r"\A[a-zA-Z_0-9.]{0,12}\Z") | st.from_regex(r"\A[a-z][a-z0-9]*([_A-Z][a-z0-9]*){0,3}\Z") | st.text()
)


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("user_id", "userId"),
        ("webhook_url", "webhookUrl"),
        ("webhookUrl", "webhook_url"),
        ("prompt", "prompt"),
        ("User_id", "User_id"),
        ("user__id", "user__id"),
        ("user_", "user_"),
        ("_user", "_user"),
        ("size_2x", "size_2x"),
        ("Content-Type", "Content-Type"),
        ("", ""),
    ],
)
def test_snake_case_and_camel_case_are_swapped(sent: str, known: str) -> None:
    assert swapped(sent) == known


@given(NAMES)
def test_swapping_twice_returns_the_first_name(name: str) -> None:
    assert swapped(swapped(name)) == name


@given(st.sets(NAMES))
def test_no_two_names_become_one(names: set[str]) -> None:
    assert len({swapped(name) for name in names}) == len(names)


def test_names_of_all_objects_are_swapped_and_values_are_not() -> None:
    data = {"some_name": [{"photo_url": "some_value"}, "other_value", 1, None]}
    assert with_swapped_names(data) == {"someName": [{"photoUrl": "some_value"}, "other_value", 1, None]}
    assert swapped_path("input.photoUrl") == "input.photo_url"

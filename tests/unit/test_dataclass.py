"""Dataclasses of the package, whose classes are made faster than by the standard library."""

from dataclasses import replace

import pytest

from imagegen.dataclass import dataclass


@dataclass(frozen=True)
class Price:
    """A price."""

    credits: int
    reason: str = "size"


@dataclass(frozen=True)
class Discount(Price):
    """A price with the same fields and one more."""

    share: float = 0.5


@dataclass
class Counter:
    """A class that is not frozen."""

    count: int = 0


def test_objects_are_equal_if_their_class_and_fields_are() -> None:
    assert Price(3) == Price(3, "size")
    assert Price(3) != Price(4)
    assert Price(3) != Price(3, "style")
    assert Price(3) != Discount(3)
    assert Discount(3) != Discount(3, share=0.4)


def test_objects_of_frozen_classes_are_keys() -> None:
    prices = {Price(3): "a", Discount(3): "b"}
    assert prices[Price(3)] == "a"
    assert prices[Discount(3)] == "b"
    assert Price(4) not in prices


def test_objects_of_other_classes_are_not_keys() -> None:
    counter = Counter()
    counter.count += 1
    assert counter == Counter(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(counter)


def test_objects_are_shown_with_their_fields() -> None:
    assert repr(Price(3)) == "Price(credits=3, reason='size')"
    assert repr(Discount(3)) == "Discount(credits=3, reason='size', share=0.5)"


def test_objects_are_copied_with_changes() -> None:
    assert replace(Price(3), credits=4) == Price(4)


def test_type_checker_refuses_assignments_to_frozen_objects() -> None:
    price = Price(3)
    price.credits = 4  # type: ignore[misc]  # mypy fails for a comment that ignores nothing
    assert price == Price(4)  # Python does not refuse it

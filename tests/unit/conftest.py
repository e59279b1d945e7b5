"""Fixtures of the unit tests."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.purchases import Shop


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Shop]":
    """Yield a shop whose backend the deployed functions use. Audit its database after the test."""
    from tests.support.purchases import Shop  # imports all functions, which other tests do not need

    shop = Shop()
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: shop.backend)
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    yield shop
    assert shop.findings() == []

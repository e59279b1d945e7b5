"""Tests of the random order of test files, which a seed determines."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.conftest import pytest_collection_modifyitems

FILES = [
    *(f"tests/unit/test_{number}.py" for number in range(20)),
    *("tests/e2e/test_a.py", "tests/e2e/test_b.py", "tests/e2e/test_start.py", "tests/fuzz/test_fuzz.py"),
]


def order(seed: int) -> list[str]:
    """Return two tests of each file in the order of a seed."""
    names = [f"{file}::test_{number}" for file in FILES for number in range(2)]
    items: list[Any] = [SimpleNamespace(nodeid=name, path=Path(name.partition("::")[0])) for name in names]
    config = SimpleNamespace(option=SimpleNamespace(order_seed=seed))
    pytest_collection_modifyitems(cast(Any, config), items)
    return [item.nodeid for item in items]


def test_seed_determines_the_order() -> None:
    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) == 10


def test_tests_of_a_file_stay_together_in_their_order() -> None:
    ordered = order(1)
    assert [name[-1] for name in ordered] == ["0", "1"] * len(FILES)
    assert all(first[:-1] == second[:-1] for first, second in zip(ordered[::2], ordered[1::2], strict=True))


def test_files_that_share_a_suite_come_first() -> None:
    assert all(
        name.startswith(("tests/e2e/test_a", "tests/e2e/test_b")) for seed in range(10) for name in order(seed)[:4]
    )


def test_files_with_a_suite_of_their_own_come_next() -> None:
    own = ("tests/e2e/test_start", "tests/fuzz/")
    assert all(name.startswith(own) for seed in range(10) for name in order(seed)[4:8])

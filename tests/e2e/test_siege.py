"""The siege in small: attacks on a server as in production, beside honest calls."""

from io import StringIO

import pytest
from rich.console import Console

from tools.siege import __main__ as siege
from tools.siege.attacks import ATTACKS
from tools.siege.server import MEMORY_BYTES

ATTACK_NAMES = {"texts that look escaped", "bad documents"}


def test_honest_calls_are_answered_during_an_attack() -> None:
    printed = StringIO()
    attacks = [attack for attack in ATTACKS if attack.name in ATTACK_NAMES]
    assert siege.main(Console(file=printed, width=120), attacks, seconds=1.0) == 0, printed.getvalue()
    assert printed.getvalue().count("│ yes") == 1 + len(ATTACK_NAMES) + 1  # no attack, and a sweep of bad documents


@pytest.mark.parametrize(
    "change", [{"answered": 3}, {"made": 0, "answered": 0}, {"memory_bytes": MEMORY_BYTES}, {"is_running": False}]
)
def test_attack_is_withstood_only_if_all_honest_calls_are_answered_in_the_memory(change: dict[str, int]) -> None:
    row = {"made": 4, "answered": 4, "memory_bytes": 1, "is_running": True} | change
    assert not siege.Row(attack="", rounds=1, slowest_seconds=1.0, **row).is_withstood  # type: ignore[arg-type]

"""Tests of the mutants: the checks catch every planted bug."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import module_from_spec

import pytest

from simulation.corpus import MUTANTS, Mutant
from tests.support.scale import scaled
from tools import mutants
from tools.emulators.project import ROOT


@pytest.mark.usefixtures("firestore_host")  # one emulator for all mutants
def test_every_mutant_is_caught() -> None:
    """`make mutants` tries all mutants, and `make test` one in 24."""
    every = scaled(24, 1)
    tried = subprocess.run(
        [sys.executable, "-m", "tools.mutants", "--check", f"--every={every}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "functions"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
    count = len(MUTANTS[::every])
    assert f"{count} of {count} mutants are caught." in tried.stdout


def test_table_lists_exactly_the_mutants() -> None:
    rows = mutants.TABLE.read_text("utf-8").removeprefix(mutants.HEAD).splitlines()
    expected = [f"| {mutant.name} | `{mutants.where(mutant)}` |" for mutant in MUTANTS]
    assert [row[: len(start)] for row, start in zip(rows, expected, strict=True)] == expected
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_a_small_change_that_compiles(mutant: Mutant) -> None:
    text = mutants.mutated(mutant)
    compile(text, str(mutant.path), "exec")
    assert mutant.new in text
    assert mutant.old.count("\n") <= 1


def test_mutant_of_missing_code_raises() -> None:
    with pytest.raises(ValueError, match="occurs 0 times"):
        mutants.mutated(replace(MUTANTS[0], old="no such code"))


def test_only_the_mutated_module_is_loaded_from_the_mutated_text() -> None:
    [mutant] = (mutant for mutant in MUTANTS if mutant.name == "a lease lasts for days")
    finder = mutants.MutantFinder(mutant)
    assert finder.find_spec("imagegen.domain.ledger", None) is None
    spec = finder.find_spec("imagegen.domain.generation", None)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.LEASE_GRACE.days == 3


def test_unchanged_code_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "SEEDS_MAX", 10)
    assert mutants._simulated(MUTANTS[0], seeds=10) == mutants.Result(MUTANTS[0])


def test_mutant_that_is_not_caught_is_marked_in_the_table() -> None:
    assert mutants.table([mutants.Result(MUTANTS[0])]).endswith("| **nothing** |  |\n")

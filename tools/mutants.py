"""`make mutants`: runs every mutant, and writes the checks that catch it to docs/mutants.md.

Each mutant runs in its own process, which imports the mutated source of one module. No file is changed.
"""

import importlib
import multiprocessing
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType

import pytest
from rich.console import Console
from rich.progress import track

from simulation.corpus import MUTANTS, Mutant
from tools.emulators.project import ROOT

TABLE = ROOT / "docs" / "mutants.md"
RELOADED_PACKAGES = ("imagegen", "main", "simulation", "tests", "tools")
"""The packages that a mutant's process imports again."""

PARAMETERS = "firebase_functions.params"
"""A module that is imported again too, because it refuses to declare a parameter twice."""

SEEDS_MAX = 2000
SEEDS_COMPARED = 300
"""The number of seeds that the table's checks come from."""

HEAD = f"""\
# Mutants

A mutant is a one-line bug, planted in the code that moves credits, sends webhooks or checks API keys. A check must
catch each mutant, or the build fails. Use this page to see which check that is. `make mutants` writes it.

- The simulation runs with the bug in place. *Caught by* lists the checks that fail in the first {SEEDS_COMPARED}
  seeds, or in the first seed in which any check fails. Some bugs cannot show in the simulation. For these, you see the
  test that fails.
- *First seed* is the first seed in which a check fails. Run `make simulate SEED=...` to see that seed without the bug.
- Checks named like those of the audit are in `services/credits/audit.py` and `services/purchases/audit.py`. The others
  are in `simulation/`.

| mutant | where | caught by | first seed |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Result:
    """The checks that catch a mutant (none if it survives), and the first seed in which a check fails."""

    mutant: Mutant
    checks: tuple[str, ...] = ()
    seed: int | None = None


class MutatedLoader(SourceFileLoader):
    def __init__(self, fullname: str, mutant: Mutant) -> None:
        super().__init__(fullname, str(mutant.path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(mutated(self._mutant), self.path, "exec")


class MutantFinder(MetaPathFinder):
    """Loads the mutated source when the mutant's module is imported. Other modules are not affected."""

    def __init__(self, mutant: Mutant) -> None:
        self._name = mutant.module.__name__
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return spec_from_file_location(fullname, loader=MutatedLoader(fullname, self._mutant))


def mutated(mutant: Mutant) -> str:
    """Return the mutated source. Raises ValueError if the source does not contain the text to replace exactly once."""
    text = mutant.path.read_text("utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: {mutant.old!r} occurs {text.count(mutant.old)} times in {mutant.path}")
    return text.replace(mutant.old, mutant.new)


def try_mutant(mutant: Mutant, seeds: int) -> Result:
    """Return the checks that catch ``mutant`` in the first ``seeds`` seeds, or else in the first seed that fails.

    Call it in a process of its own, because it imports the project's packages again with the mutant in place.
    """
    for name in [name for name in sys.modules if name == PARAMETERS or name.partition(".")[0] in RELOADED_PACKAGES]:
        del sys.modules[name]
    sys.meta_path.insert(0, MutantFinder(mutant))
    return _tested(mutant, mutant.test) if mutant.test else _simulated(mutant, seeds)


def _simulated(mutant: Mutant, seeds: int) -> Result:
    runner = importlib.import_module("simulation.runner")
    checks: set[str] = set()
    first = None
    for seed in range(SEEDS_MAX):
        if seed >= seeds and first is not None:
            break
        failed = {violation.name for violation in runner.run(seed).violations}
        if failed and first is None:
            first = seed
        checks |= failed
    return Result(mutant, tuple(sorted(checks)), first)


def _tested(mutant: Mutant, test: str) -> Result:
    # Options such as --cov would erase the coverage data of the tests that run this command.
    os.environ.pop("PYTEST_ADDOPTS", None)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        failed = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *test.split()]) == pytest.ExitCode.TESTS_FAILED
    return Result(mutant, (f"`{test}`",) if failed else ())


def _try(job: tuple[int, int]) -> tuple[tuple[str, ...], int | None]:
    index, seeds = job  # not the mutant itself, because its module cannot be pickled
    result = try_mutant(MUTANTS[index], seeds)
    return result.checks, result.seed


def results(indices: Sequence[int], seeds: int) -> Iterator[Result]:
    """Try the mutants at ``indices``, each in its own process, one process per core. Yield results in order."""
    with multiprocessing.get_context("fork").Pool(maxtasksperchild=1) as pool:
        tried = pool.imap(_try, [(index, seeds) for index in indices], chunksize=1)
        for index, (checks, seed) in zip(indices, tried, strict=True):
            yield Result(MUTANTS[index], checks, seed)


def where(mutant: Mutant) -> str:
    """Return the path of a mutant's file, relative to functions/imagegen."""
    return str(mutant.path.relative_to(ROOT / "functions" / "imagegen"))


def table(tried: Iterable[Result]) -> str:
    """Return the text of docs/mutants.md."""
    rows = (
        f"| {result.mutant.name} | `{where(result.mutant)}` | {', '.join(result.checks) or '**nothing**'} "
        f"| {'' if result.seed is None else result.seed} |\n"
        for result in tried
    )
    return HEAD + "".join(rows)


def main(arguments: Sequence[str], console: Console) -> int:
    """Try the mutants. Return exit code 0 if every mutant is caught, 1 otherwise."""
    parser = ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("--check", action="store_true", help="stop at the first seed that fails, and write nothing")
    parser.add_argument("--every", type=int, default=1, help="with --check, try only every n-th mutant")
    options = parser.parse_args(arguments)
    check = options.check
    indices = range(0, len(MUTANTS), options.every if check else 1)
    tried = list(
        track(
            results(indices, 0 if check else SEEDS_COMPARED), "Mutants", len(indices), console=console, transient=True
        )
    )
    survivors = [result.mutant for result in tried if not result.checks]
    for mutant in survivors:
        line = f"Not caught: {mutant.name} ({where(mutant)})"
        console.print(line, style="red", markup=False, soft_wrap=True)
    if not check:
        TABLE.write_text(table(tried), "utf-8")
        console.print(f"Written: {TABLE.relative_to(ROOT)}", soft_wrap=True)
    console.print(f"{len(tried) - len(survivors)} of {len(tried)} mutants are caught.", highlight=False)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))

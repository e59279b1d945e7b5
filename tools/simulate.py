"""`make simulate`: runs the simulation with many seeds, on all cores, or replays one seed with its trace."""

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from simulation import runner

SEEDS_AT_ONCE = 50
FAILURES_SHOWN = 10


@dataclass
class Tally:
    """The results of some seeds: the number of events of each kind, and the violations of each seed that failed."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, list[str]] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.counts += other.counts
        self.failures |= other.failures


def tally(seeds: range) -> Tally:
    """Run ``seeds`` one after the other, and return their results."""
    result = Tally()
    for seed in seeds:
        run = runner.run(seed)
        failures = {seed: [str(violation) for violation in run.violations]} if run.violations else {}
        result.add(Tally(1, run.counts, failures))
    return result


def main(arguments: Sequence[str], console: Console) -> int:
    """Run or replay seeds. Return exit code 0 if every invariant held, 1 otherwise."""
    parser = ArgumentParser(prog="python -m tools.simulate", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=2000, help="how many seeds to run (2000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="replay this seed, and print its events")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _replay(options.seed, console)
    total = _simulate(range(options.first, options.first + options.seeds), console)
    console.print(_table(total))
    for seed, violations in islice(total.failures.items(), FAILURES_SHOWN):
        command = f"make simulate SEED={seed}"
        console.print(f"\nSeed {seed} (to replay it: {command})", style="red", highlight=False, soft_wrap=True)
        _print_all(violations, console)
    console.print(f"\n{total.seeds} seeds, {len(total.failures)} failed.", highlight=False)
    return 1 if total.failures else 0


def _simulate(seeds: range, console: Console) -> Tally:
    total = Tally()
    chunks = [seeds[start : start + SEEDS_AT_ONCE] for start in range(0, len(seeds), SEEDS_AT_ONCE)]
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProcessPoolExecutor() as pool:
        results = pool.map(tally, chunks)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("Seeds", total=len(seeds))
            for result in results:
                total.add(result)
                progress.update(task, completed=total.seeds, description=f"Seeds, {len(total.failures)} failed")
    return total


def _replay(seed: int, console: Console) -> int:
    run = runner.run(seed)
    _print_all([str(event) for event in run.trace], console)
    _print_all([str(violation) for violation in run.violations] or ["Every invariant holds."], console)
    return 1 if run.violations else 0


def _table(total: Tally) -> Table:
    table = Table("event", "count")
    table.columns[1].justify = "right"
    for kind, count in sorted(total.counts.items()):
        table.add_row(kind, f"{count}")
    return table


def _print_all(lines: Sequence[str], console: Console) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))

"""Prints the results of a benchmark and writes them into docs/benchmarks.md."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tools.docs.generated_parts import between
from tools.emulators.project import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def publish(
    console: Console, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]], part: str | None = None
) -> None:
    """Print a table of `make bench-NAME`, and write it into its part of the page, by default the part NAME."""
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    rule = "|".join(["---", *["--:"] * (len(columns) - 1)])
    lines = [f"| {' | '.join(columns)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]
    PAGE.write_text(between(PAGE.read_text("utf-8"), part or name, f"make bench-{name}", lines), "utf-8")
    console.print(f"Written: {PAGE}", highlight=False, soft_wrap=True)

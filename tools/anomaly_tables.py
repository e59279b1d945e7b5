"""How `make bench-anomalies` shows its figures: in the terminal, and in docs/anomalies.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from tools.anomaly_methods import METHODS
from tools.project import ROOT

if TYPE_CHECKING:
    from tools.bench_anomalies import Nominal, Row

PAGE = ROOT / "docs" / "anomalies.md"
START = "<!-- figures: written by `make bench-anomalies` -->\n"
END = "<!-- end -->"
ROUNDING = 0.005
"""Methods that are this close count as equal."""


def table(rows: Sequence[Row]) -> Table:
    """For the terminal: the share of events found, the best method of each row in bold."""
    shown = Table(
        "mean", "event", *METHODS, title="Found at 1 % of quiet weeks with a false alert, and mean days until"
    )
    for column in shown.columns[2:]:
        column.justify = "right"
    last = None
    for row in rows:
        cells = [f"{row.found[name]:.0%} {row.days[name]:4.1f}d" for name in METHODS]
        best = _best(row.found)
        shown.add_row(
            "" if row.mean == last else f"{row.mean}",
            row.event.name,
            *(f"[bold]{cell}[/]" if name in best else cell for name, cell in zip(METHODS, cells, strict=True)),
        )
        last = row.mean
    return shown


def up_to_date(text: str, rows: Sequence[Row], nominal: Sequence[Nominal]) -> str:
    """The page with what stands between its marks written anew. Raises ValueError where a mark is missing."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError("docs/anomalies.md has no marks for the figures")
    return before + start + "\n".join(figures(rows, nominal)) + "\n" + end + after


def figures(rows: Sequence[Row], nominal: Sequence[Nominal]) -> Iterator[str]:
    """The lines between the marks."""
    yield "Found, where one quiet week in a hundred has a false alert:\n"
    yield from _markdown((row.mean, row.event.name, row.found) for row in rows)
    yield "\nDays until the end of the first day that is flagged (for one that is not found: of all its weeks):\n"
    yield from _markdown(((row.mean, row.event.name, row.days) for row in rows if row.event.days > 1), lowest=True)
    yield "\nFound on its very days, where one quiet day in a hundred has a false alert:\n"
    yield from _markdown((row.mean, row.event.name, row.found_by_day) for row in rows if row.found_by_day)
    yield "\nQuiet days on which our test for spikes goes below its own p-value:\n"
    means = sorted({entry.mean for entry in nominal})
    yield "| p-value | " + " | ".join(f"mean {mean}" for mean in means) + " |"
    yield "|---|" + "---:|" * len(means)
    for p_value in sorted({entry.p_value for entry in nominal}, reverse=True):
        shares = {entry.mean: entry.share for entry in nominal if entry.p_value == p_value}
        yield f"| {p_value:.1%} | " + " | ".join(f"{shares[mean]:.2%}" for mean in means) + " |"
    yield ""
    yield verdict(rows)


def verdict(rows: Sequence[Row]) -> str:
    """In how many rows ours is the best, and all those in which it is not."""
    lost = [row for row in rows if "ours" not in _best(row.found)]
    sentence = f"Ours finds most, or as many as the best, in {len(rows) - len(lost)} of {len(rows)} rows."
    if not lost:
        return sentence
    named = (
        f"{row.event.name} at mean {row.mean} ({' and '.join(_best(row.found))}: "
        f"{max(row.found.values()):.0%}, ours: {row.found['ours']:.0%})"
        for row in lost
    )
    return f"{sentence} It does not in: {'; '.join(named)}."


def _markdown(rows: Iterator[tuple[int, str, Mapping[str, float]]], lowest: bool = False) -> Iterator[str]:
    yield "| mean a day | event | " + " | ".join(METHODS) + " |"
    yield "|---:|---|" + "---:|" * len(METHODS)
    for mean, event, values in rows:
        best = _best({name: -value for name, value in values.items()} if lowest else values)
        cells = {name: f"{value:.1f}" if lowest else f"{value:.0%}" for name, value in values.items()}
        yield (
            f"| {mean} | {event} | "
            + " | ".join(f"**{cells[name]}**" if name in best else cells[name] for name in METHODS)
            + " |"
        )


def _best(values: Mapping[str, float]) -> list[str]:
    return [name for name, value in values.items() if value >= max(values.values()) - ROUNDING]

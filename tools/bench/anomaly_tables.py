"""Formats the results of `make bench-anomalies` for the terminal and for docs/anomalies.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tools.bench.anomaly_methods import METHODS
from tools.emulators.project import ROOT

if TYPE_CHECKING:
    from tools.bench.anomalies import Nominal, Row

PAGE = ROOT / "docs" / "anomalies.md"
START = "<!-- figures: written by `make bench-anomalies` -->\n"
END = "<!-- end -->"
ROUNDING = 0.005
"""Two methods whose values differ by at most this count as equal."""


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return tables for the terminal, with the share of events found and the best methods of each row in bold."""
    return [
        _table("Found at 1 % of quiet days with a false alert", [(row, row.found_by_day) for row in rows]),
        _table("Found at 1 % of quiet weeks with a false alert", [(row, row.found) for row in rows]),
    ]


def _table(title: str, rows: Sequence[tuple[Row, Mapping[str, float]]]) -> Table:
    shown = Table("mean", "event", title=title, box=SIMPLE_HEAD)
    for name in METHODS:
        shown.add_column(name, justify="right")
    for row, values in rows:
        if values:
            best = _best(values)
            cells = [f"[bold]{values[name]:.0%}[/]" if name in best else f"{values[name]:.0%}" for name in METHODS]
            shown.add_row(f"{row.mean}", row.event.name, *cells)
    return shown


def up_to_date(text: str, rows: Sequence[Row], nominal: Sequence[Nominal]) -> str:
    """Return the page with new figures between its marks. Raises ValueError if a mark is missing."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError("docs/anomalies.md has no marks for the figures")
    return before + start + "\n".join(figures(rows, nominal)) + "\n" + end + after


def figures(rows: Sequence[Row], nominal: Sequence[Nominal]) -> Iterator[str]:
    """Yield the lines between the marks of the page."""
    yield "### At a false alert on 1 % of the quiet days\n"
    yield "An event counts as found if a method flags a day of the event. " + verdict(
        [(row, row.found_by_day) for row in rows if row.found_by_day]
    )
    yield ""
    yield from _markdown((row.mean, row.event.name, row.found_by_day) for row in rows if row.found_by_day)
    yield "\n### At a false alert in 1 % of the quiet weeks\n"
    yield (
        "A method may flag any day of the week. Ours also tests for drifts, and both tests share the 1 %. "
        + verdict([(row, row.found) for row in rows])
    )
    yield ""
    yield from _markdown((row.mean, row.event.name, row.found) for row in rows)
    yield "\n### Days to detection\n"
    yield (
        "At a false alert in 1 % of the quiet weeks, to the end of the first flagged day. An event that is not found "
        "counts with all days of its weeks: 42 for a drift, 7 for a burst of failures."
    )
    yield ""
    yield from _markdown(((row.mean, row.event.name, row.days) for row in rows if row.event.days > 1), lowest=True)
    yield "\n### Accuracy of the p-values\n"
    yield "The share of quiet days on which the spike test goes below a p-value. You would expect about the same share."
    yield ""
    means = sorted({entry.mean for entry in nominal})
    yield "| p-value | " + " | ".join(f"mean {mean}" for mean in means) + " |"
    yield "|---|" + "---:|" * len(means)
    for p_value in sorted({entry.p_value for entry in nominal}, reverse=True):
        shares = {entry.mean: entry.share for entry in nominal if entry.p_value == p_value}
        yield f"| {p_value:.1%} | " + " | ".join(f"{shares[mean]:.2%}" for mean in means) + " |"


def verdict(rows: Sequence[tuple[Row, Mapping[str, float]]]) -> str:
    """Return the number of rows in which ours is the best method, and list the other rows."""
    lost = [(row, values) for row, values in rows if "ours" not in _best(values)]
    sentence = f"Ours is the best method, or as good as the best, in {len(rows) - len(lost)} of {len(rows)} rows."
    if not lost:
        return sentence
    named = (
        f"{row.event.name} at mean {row.mean} ({' and '.join(_best(values))} {max(values.values()):.0%}, "
        f"ours {values['ours']:.0%})"
        for row, values in lost
    )
    return f"{sentence} The other rows are: {'; '.join(named)}."


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

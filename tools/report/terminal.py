"""Prints a weekly report in a terminal of 80 columns or more."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from imagegen.domain.catalog import Kind
from imagegen.reports.anomalies import Severity
from imagegen.reports.model import Popularity, Report, Tally
from tools.report import text

BAR_WIDTH = 10
COLUMNS = ("Requests", "Failed", "Success", "Refunds", "Net")
STYLES = {Severity.HIGH: "bold red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan", None: "green"}
SIGNS = {Severity.HIGH: "!!", Severity.MEDIUM: "!", Severity.LOW: "·", None: "✓"}


def show(report: Report, console: Console) -> None:
    dates = f"{report.week.days[0]} to {report.week.days[-1]}"
    console.print(f"\n[bold]Week {report.week}[/]  [dim]{dates}[/]\n", highlight=False)
    console.print(_tiles(report))
    console.print(_findings(report))
    console.print(_numbers(report))
    reconciled = report.reconciliation
    if reconciled and not reconciled.difference:
        console.print(f"[green]Reconciliation.[/] {escape(text.reconciliation(report))}", highlight=False)
    for sentence in text.sales(report):
        console.print(f"[cyan]Sales.[/] {escape(sentence)}", highlight=False)
    for at, what in text.revisions(report):
        console.print(f"[yellow]Corrected {at}.[/] {escape(what)}", highlight=False)


def _tiles(report: Report) -> Table:
    tiles = list(text.tiles(report))
    table = Table(box=None, padding=(0, 1, 0, 0), expand=False, header_style="dim")
    for name, _, _ in tiles:
        table.add_column(name)
    table.add_row(*(f"[bold]{value}" for _, value, _ in tiles))
    for line in range(max(len(notes) for _, _, notes in tiles)):
        table.add_row(*("".join(notes[line : line + 1]) for _, _, notes in tiles), style="dim")
    table.add_row("")
    return table


def _findings(report: Report) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for severity, message in text.findings(report):
        table.add_row(Text(f"{SIGNS[severity]:>2}", STYLES[severity]), Text(message))
    table.add_row("", Text(text.tested(report), "dim"))
    return table


def _numbers(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for column in ("", *COLUMNS):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    _section(table, "Day", _days(report))
    for kind in Kind:
        named = report.totals(kind)
        most = max((tally.requests for tally in named.values()), default=0)
        moves = {style.name: style for style in report.popular_styles} if kind is Kind.STYLE else {}
        rows = [
            (f"{escape(name)} {_move(moves.get(name))}", _bar(tally.requests, most, "blue"), tally)
            for name, tally in named.items()
        ]
        _section(table, kind.value.capitalize(), rows)
    table.add_row("[bold]Biggest users")
    most = max((used.requests for _, used in report.top_users), default=0)
    for user_id, used in report.top_users:
        cells = text.user_cells(used)
        bar = _bar(used.requests, most, "blue")
        net = f"{used.credits_deducted - used.credits_refunded:,}"
        table.add_row(f"  {escape(user_id)}", bar, cells[0], cells[1], "", cells[3], net)
    table.add_section()
    table.add_row("[bold]Total", "", *_cells(report.total), style="bold")
    return table


def _days(report: Report) -> Iterable[tuple[str, Text, Tally]]:
    """Yield each day's name with its expected range, its bar and its tally. The bar is yellow outside the range."""
    bands = {band.day: band for band in report.findings.bands}
    most = max(tally.requests for tally in report.days)
    for day, tally in zip(report.week.days, report.days, strict=True):
        band = bands.get(day)
        inside = band is None or band.low <= tally.requests <= band.high
        expected = f" [dim]{band.low:,.0f}-{band.high:,.0f}[/]" if band else ""
        bar = _bar(tally.requests, most, "blue" if inside else "yellow")
        yield f"{text.weekday(day)}{expected}", bar, tally


def _section(table: Table, title: str, rows: Iterable[tuple[str, Text, Tally]]) -> None:
    table.add_row(f"[bold]{title}")
    for name, bar, tally in rows:
        table.add_row(f"  {name}", bar, *_cells(tally))
    table.add_section()


def _bar(count: int, most: int, style: str) -> Text:
    eighths = round(8 * BAR_WIDTH * count / most) if most else 0
    return Text("█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else ""), style)


def _move(style: Popularity | None) -> str:
    """Return the change of a style's share since the week before, in percentage points."""
    if style is None or style.before is None:
        return ""
    points = 100 * (style.share - style.before)
    if abs(points) < 0.05:
        return "[dim]=[/]"
    return f"[green]▲{points:.1f}[/]" if points > 0 else f"[red]▼{-points:.1f}[/]"


def _cells(tally: Tally) -> list[str]:
    rate = text.share(tally.success_rate)
    return [f"{tally.requests:,}", f"{tally.failed:,}", rate, f"{tally.credits_refunded:,}", f"{tally.credits_net:,}"]

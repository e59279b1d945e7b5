"""Formats a report's numbers as text, for the terminal and for the page."""

from collections.abc import Iterator
from datetime import date

from imagegen.domain.account import Usage
from imagegen.domain.catalog import Kind
from imagegen.domain.ledger import EntryType
from imagegen.reports.anomalies import WEEKS_NEEDED, Severity
from imagegen.reports.model import Report, Tally

COLUMNS = ("Requests", "Done", "Failed", "Refused", "Success", "Deducted", "Refunded", "Net")

Tile = tuple[str, str, list[str]]
"""A figure: its name, its value, and the notes below it."""


def tiles(report: Report) -> Iterator[Tile]:
    """Yield the main figures of the week."""
    total, users, processing, ahead = report.total, report.users, report.processing, report.forecast
    unsettled = [f"{total.canceled:,} canceled"] if total.canceled else []
    unsettled += [f"{total.processing:,} unsettled"] if total.processing else []
    deducted = [f"{total.credits_deducted:,} deducted", f"{report.trial_credits:,} of it trial"]
    refused = f", {total.refused:,} refused" if total.refused else ""
    yield "Requests", f"{total.requests:,}", [f"{total.failed:,} failed{refused}", *unsettled]
    yield "Success rate", share(total.success_rate), [f"{share(total.refund_share)} refunded"]
    yield "Net credits", f"{total.credits_net:,}", deducted
    yield "Active users", f"{users.active:,}", [f"{users.new:,} new"]
    yield "Median time", seconds(processing.median_ms), [f"95% in {seconds(processing.p95_ms)}"]
    if ahead:
        yield "Next week", f"{ahead.credits:,}", [f"{ahead.low:,} to {ahead.high:,}", "credits"]
    else:
        yield "Next week", "-", ["no forecast yet"]


def findings(report: Report) -> Iterator[tuple[Severity | None, str]]:
    """Yield the severity and the message of each finding, the most severe first.

    The severity is None for the message that nothing unusual was found.
    """
    reconciled = report.reconciliation
    if reconciled and reconciled.difference:
        yield Severity.HIGH, reconciled.message
    for anomaly in report.findings.anomalies:
        yield anomaly.severity, anomaly.message
    if not report.findings.anomalies and report.findings.series_tested:
        yield None, "Nothing unusual in requests and failures."


def tested(report: Report) -> str:
    """Return the number of series that were tested, and the series with too little history to test."""
    found = report.findings
    text = f"{found.series_tested} series compared with their own past weeks."
    new = [str(subject) for subject in found.not_enough_history]
    if new:
        names = ", ".join(new[:3]) + (f" and {len(new) - 3} more" if len(new) > 3 else "")
        text += f" Not enough history yet (fewer than {WEEKS_NEEDED} weeks): {names}."
    return text


def reconciliation(report: Report) -> str:
    """Return the result of the reconciliation as a sentence."""
    found = report.reconciliation
    if found is None:
        return "Not reconciled."
    if found.difference:
        return found.message
    booked = [f"{found.booked[type]:+,} {type}s" for type in EntryType if found.booked.get(type)]
    if found.changed_earlier:
        booked.append(f"{found.changed_earlier:+,} in entries of earlier weeks")
    moves = ", ".join(booked).replace("-", "\N{MINUS SIGN}") or "nothing"
    return f"Balanced: {found.opening:,} credits at the start, {moves}, {found.closing:,} at the end."


def sales(report: Report) -> Iterator[str]:
    """Yield a sentence for the sales of each currency, and one for the credits sold and spent."""
    if report.sales is None:
        return
    for sold in report.sales:
        yield (
            f"Sold: {sold.purchases:,} packages for {money(sold.amount, sold.currency)}. Of these, "
            f"{money(sold.refunded, sold.currency)} were refunded, and {money(sold.disputed, sold.currency)} disputed."
        )
    credits = sum(sold.credits for sold in report.sales)
    yield f"{credits:,} credits were sold, and {report.total.credits_net:,} were spent."


def money(amount: int, currency: str) -> str:
    """Return an amount in minor units as such, because not every currency has hundredths."""
    return f"{amount:,} {currency} (minor units)"


def revisions(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the time of each later run that corrected the report, and the corrected figures."""
    for revision in report.revisions:
        figures = [f"{name} {before} → {after}" for name, (before, after) in revision.figures.items()]
        changed = ", ".join([*figures, *revision.parts])
        yield f"{revision.at:%Y-%m-%d %H:%M} UTC", changed


def tables(report: Report) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """Yield the tables of days, options and the total: a title, and rows with the cells of ``COLUMNS``."""
    days = zip(report.week.days, report.days, strict=True)
    yield "Day", [(weekday(day), cells(tally)) for day, tally in days]
    for kind in Kind:
        yield kind.value.capitalize(), [(name, cells(tally)) for name, tally in report.totals(kind).items()]
    yield "Total", [("all requests", cells(report.total))]


def cells(tally: Tally) -> list[str]:
    credits = (tally.credits_deducted, tally.credits_refunded, tally.credits_net)
    numbers = [f"{number:,}" for number in (tally.requests, tally.completed, tally.failed, tally.refused)]
    return [*numbers, share(tally.success_rate), *(f"{number:,}" for number in credits)]


def user_cells(used: Usage) -> list[str]:
    """Return a user's requests, failed requests, credits deducted and credits refunded."""
    return [f"{number:,}" for number in (used.requests, used.failed, used.credits_deducted, used.credits_refunded)]


def weekday(day: str) -> str:
    """Return a date as weekday and day, such as ``Mon 9``."""
    parsed = date.fromisoformat(day)
    return f"{parsed:%a} {parsed.day}"


def share(part: float | None) -> str:
    return "-" if part is None else f"{part:.1%}"


def seconds(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"

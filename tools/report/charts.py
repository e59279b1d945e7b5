"""Draws a report's charts as SVG with Vega, without a browser or a network.

Every color is one of ``COLORS``, so that the page's CSS can replace each color in dark mode.
"""

import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import vl_convert

from imagegen.domain.catalog import Kind
from imagegen.reports.anomalies import ALL_REQUESTS, Anomaly
from imagegen.reports.model import Report
from tools.report.text import weekday

WIDTH = 470
ROW_HEIGHT = 34
STYLES_SHOWN = 6

COLORS = {  # light and dark
    "ink": ("#1d2633", "#e8edf4"),
    "muted": ("#64707f", "#97a3b4"),
    "grid": ("#e3e8ef", "#2a3441"),
    "band": ("#d5e2f4", "#263c5c"),
    "accent": ("#2c6fdd", "#6aa1ff"),
    "soft": ("#a9c6f3", "#36588c"),
    "good": ("#25946a", "#43c08c"),
    "warn": ("#d98a12", "#f0b04f"),
    "bad": ("#cf3f36", "#ff7a6d"),
    "surface": ("#ffffff", "#161d27"),
}
INK, MUTED, GRID, BAND, ACCENT, SOFT, GOOD, WARN, BAD, SURFACE = (light for light, _ in COLORS.values())

Row = dict[str, Any]
Rows = Sequence[Row]

AT_START, AT_END = alt.XDatum(0, axis=None), alt.XDatum(1, axis=None)


def days(report: Report) -> str:
    """Draw the requests of each day over the expected range.

    A day outside the range, or with an anomaly of all requests, has another color.
    """
    bands = {band.day: band for band in report.findings.bands}
    found: dict[str, list[Anomaly]] = {day: [] for day in report.week.days}
    for anomaly in report.findings.anomalies:
        for day in filter(None, (anomaly.day, *anomaly.also)):
            found[day].append(anomaly)
    rows: list[Row] = []
    for day, tally in zip(report.week.days, report.days, strict=True):
        band = bands.get(day)
        outside = band is not None and not band.low <= tally.requests <= band.high
        row: Row = {"day": weekday(day), "requests": tally.requests, "label": f"{tally.requests:,}"}
        of_total = any(anomaly.subject == ALL_REQUESTS for anomaly in found[day])
        row |= {"color": BAD if of_total else WARN if outside else ACCENT, "anomaly": _anomaly_label(found[day])}
        rows.append(row | ({"low": band.low, "high": band.high, "expected": band.expected} if band else {}))
    x = alt.X(
        "day:N", sort=None, axis=alt.Axis(title=None, labelAngle=0, labelColor=INK, labelFontSize=12, labelPadding=7)
    )
    top = max(1, *(max(row["requests"], row.get("high", 0)) for row in rows))
    scale = alt.Scale(domain=[0, 1.1 * top], nice=False)
    y = alt.Y("requests:Q", scale=scale, axis=alt.Axis(title=None, tickCount=4, format=",d"))
    chart = alt.Chart(_data(rows))
    layers: list[alt.Chart] = []
    if bands:
        layers.append(chart.mark_bar(size=76, color=BAND, cornerRadius=4).encode(x, alt.Y("low:Q"), alt.Y2("high:Q")))
    color = alt.Color("color:N", scale=None)
    layers += [
        chart.mark_bar(size=34, cornerRadiusEnd=4).encode(x, y, color=color),
        *([chart.mark_tick(thickness=2, size=76, color=MUTED).encode(x, alt.Y("expected:Q"))] if bands else []),
        chart.mark_text(dy=-10, fontSize=12, fontWeight=600, color=BAD).encode(x, y, alt.Text("anomaly:N")),
        # Draw the number below the name of the day, so that neither bar nor range covers it.
        chart.mark_text(dy=34, fontSize=15, fontWeight=600, color=INK).encode(x, alt.YDatum(0), alt.Text("label:N")),
    ]
    return _svg(layers, 2 * WIDTH - 20, 250, "The week by day")


def success(report: Report) -> str:
    """Draw the success rate of each model, as a share of the requests that ended."""
    rows: list[Row] = [
        {"name": name, "rate": rate, "label": f"{rate:.1%}", "note": f"{tally.failed:,} of {tally.requests:,} failed"}
        for name, tally in report.totals(Kind.MODEL).items()
        if (rate := tally.success_rate) is not None
    ]
    for row in rows:
        row["color"] = GOOD if row["rate"] >= 0.9 else WARN if row["rate"] >= 0.75 else BAD
    x = alt.X("rate:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
    chart = alt.Chart(_data(rows))
    y = _name_axis(rows)
    return _svg(
        [
            chart.mark_bar(size=16, color=GRID, cornerRadius=4).encode(x=AT_END, y=y),
            chart.mark_bar(size=16, cornerRadius=4).encode(x, y, color=alt.Color("color:N", scale=None)),
            _above(chart, y, "label", INK, "right", 600).encode(x=AT_END),
            _above(chart, y, "note", MUTED, "left", 400).encode(x=AT_START),
        ],
        WIDTH - _name_width(rows),
        _height(rows),
        "Success rate by model",
    )


def credits(report: Report) -> str:
    """Draw the credits of each size: kept and refunded."""
    rows: list[Row] = []
    for name, tally in report.totals(Kind.SIZE).items():
        if tally.requests:
            label = f"{tally.credits_net:,} kept, {tally.credits_refunded:,} refunded"
            named = {"name": name, "label": label}
            rows.append({**named, "part": 0, "credits": tally.credits_net, "color": ACCENT})
            rows.append({**named, "part": 1, "credits": tally.credits_refunded, "color": WARN})
    x = alt.X("credits:Q", axis=None)
    y = _name_axis(rows)
    bars = (
        alt.Chart(_data(rows))
        .mark_bar(size=16)
        .encode(x, y, color=alt.Color("color:N", scale=None), order=alt.Order("part:Q"))
    )
    labels = _above(alt.Chart(_data([row for row in rows if row["part"] == 0])), y, "label", MUTED, "left", 400)
    return _svg([bars, labels.encode(x=AT_START)], WIDTH - _name_width(rows), _height(rows[::2]), "Credits by size")


def styles(report: Report) -> str:
    """Draw the share of requests of the top styles, with the shares of the week and of the four weeks before."""
    rows: list[Row] = []
    for style in report.popular_styles[:STYLES_SHOWN]:
        row: Row = {"name": style.name, "share": style.share, "label": f"{style.share:.1%}", "color": MUTED, "move": ""}
        if style.before is not None:
            points = 100 * (style.share - style.before)
            moved = abs(points) >= 0.05
            move = f"{points:+.1f} points".replace("-", "\N{MINUS SIGN}") if moved else "as before"
            row |= {"before": style.before, "move": move}
            row["color"] = MUTED if not moved else GOOD if points > 0 else BAD
        rows.append(row | ({"mean": style.four_weeks} if style.four_weeks is not None else {}))
    y = _name_axis(rows)
    x = alt.X("share:Q", axis=None, scale=alt.Scale(domainMin=0))
    chart = alt.Chart(_data(rows))
    layers = [
        chart.mark_bar(size=16, color=ACCENT, cornerRadiusEnd=4).encode(x, y),
        _above(chart, y, "label", INK, "left", 600).encode(x=AT_START),
        _above(chart, y, "move", MUTED, "left", 600, dx=54).encode(x=AT_START, color=alt.Color("color:N", scale=None)),
    ]
    if any("before" in row for row in rows):
        layers.append(chart.mark_tick(thickness=3, size=24, color=INK).encode(alt.X("before:Q"), y))
    if any("mean" in row for row in rows):
        layers.append(
            chart.mark_point(shape="diamond", size=70, filled=True, color=WARN, opacity=1).encode(alt.X("mean:Q"), y)
        )
    return _svg(layers, WIDTH - _name_width(rows), _height(rows), "Top styles")


def _data(rows: Rows) -> alt.InlineData:
    return alt.InlineData(values=list(rows))


def _name_axis(rows: Rows) -> alt.Y:
    """Return the axis with the names of the bars."""
    axis = alt.Axis(
        title=None, labelColor=INK, labelFontSize=13, labelPadding=10, labelLimit=170, minExtent=_name_width(rows)
    )
    return alt.Y("name:N", sort=None, axis=axis)


def _name_width(rows: Rows) -> float:
    """Return the width for the names of the bars, in pixels.

    The page's font may be wider than Vega's. The bars get the remaining width, so all charts have the same scale.
    """
    return min(8.5 * max((len(row["name"]) for row in rows), default=0) + 12, 182)


def _above(chart: alt.Chart, y: alt.Y, field: str, color: str, align: Any, weight: Any, dx: int = 0) -> alt.Chart:
    """Return a layer with text above each bar, at one end of the bar."""
    text = chart.mark_text(align=align, dy=-16, dx=dx, fontSize=12, fontWeight=weight, color=color)
    labelled: alt.Chart = text.encode(y=y, text=alt.Text(f"{field}:N"))
    return labelled


def _height(rows: Rows) -> int:
    return (ROW_HEIGHT + 12) * max(1, len(rows))


def _svg(layers: Sequence[alt.Chart], width: float, height: int, title: str) -> str:
    chart = (
        alt.layer(*layers)
        .properties(width=width, height=height, background="transparent")
        .configure(font="sans-serif", padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            gridColor=GRID,
            domainColor=GRID,
            tickColor=GRID,
            labelColor=MUTED,
            labelFontSize=11,
            domain=False,
            ticks=False,
        )
        .configure_axisX(grid=False)
        .configure_bar(stroke=None, opacity=1)
        .configure_tick(opacity=1)
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_dict())
    # The page sets the size. The label is for screen readers.
    svg = re.sub(r' width="(\d+)" height="(\d+)"', "", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)


def _anomaly_label(anomalies: Sequence[Anomaly]) -> str:
    """Return a short label for the anomalies of a day, or an empty string."""
    named = [
        f"{anomaly.subject.name}: {anomaly.kind.value}" for anomaly in anomalies if anomaly.subject != ALL_REQUESTS
    ]
    own = [anomaly.kind.value for anomaly in anomalies if anomaly.subject == ALL_REQUESTS]
    marks = [*own, *named]
    return marks[0] + (f" and {len(marks) - 1} more" if len(marks) > 1 else "") if marks else ""

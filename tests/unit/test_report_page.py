"""Tests of the weekly report as a page and in the terminal."""

import re
from dataclasses import replace
from functools import cache
from io import StringIO

import pytest
from rich.console import Console

from imagegen.reports.model import Reconciliation, Report
from tests.support.reports import WEEK, daily, sample_report
from tools.report.charts import COLORS
from tools.report.page import page
from tools.report.terminal import show

NO_REQUESTS = Report(
    WEEK, sample_report().generated_at, daily(*[0] * 7), {kind: {} for kind in sample_report().options}
)


@cache
def whole_page() -> str:
    return page(sample_report())


def printed(report: Report, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    show(report, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_page_loads_no_other_resource() -> None:
    html = whole_page()
    addresses = set(re.findall(r"https?://[^\"' )<]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<script|<link|@import|url\((?!#)|src=", html)
    assert html.count("<svg ") == 4


def test_every_chart_color_has_a_dark_variant() -> None:
    html = whole_page()
    charts = "".join(re.findall(r"<svg .*?</svg>", html, re.DOTALL))
    drawn = set(re.findall(r'(?:fill|stroke)="(#\w+)"', charts))
    light = {light for light, _ in COLORS.values()}
    assert drawn
    assert drawn <= light
    for color in drawn:
        assert f'svg [fill="{color}"]' in html
        assert f'svg [stroke="{color}"]' in html
    assert "prefers-color-scheme: dark" in html


def test_names_are_escaped_on_the_page() -> None:
    html = whole_page()
    assert "user-&lt;b&gt;" in html
    assert "&lt;i&gt;anime&lt;/i&gt;" in html
    assert "<i>anime" not in html


@pytest.mark.parametrize("render", [page, printed])
def test_page_and_terminal_show_the_same_facts(render: object) -> None:
    assert callable(render)
    text = " ".join(render(sample_report()).split())
    for fact in ("410", "90.5%", "5.2 s", "8.6 s", "980 to 1,560", "2 new", "100 of it trial", "18,881", "24 series"):
        assert fact in text
    for fact in ("130 requests instead of 31 to 77", "user-0 (user)", "2 more", "total.failed 38 → 39"):
        assert fact in text


@pytest.mark.parametrize("render", [page, printed])
def test_unexplained_difference_is_shown_first(render: object) -> None:
    assert callable(render)
    text = " ".join(render(replace(sample_report(), reconciliation=Reconciliation(10, {}, 15))).split())
    assert 0 < text.index("5 credits more than the ledgers explain") < text.index("130 requests instead of")
    assert "Balanced: " not in text


def test_terminal_output_fits_80_columns() -> None:
    text = printed(sample_report())
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    [total] = [line.split() for line in text.splitlines() if line.strip().startswith("Total")]
    assert total == ["Total", "410", "39", "90.5%", "117", "1,113"]


def test_week_without_requests_has_a_report() -> None:
    assert "not enough history yet for an expected range" in page(NO_REQUESTS)
    assert "no forecast yet" in printed(NO_REQUESTS)

"""Writes a weekly report as one HTML file with inline charts, for light and dark mode and for phones."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from imagegen.reports.model import Report
from tools.report import charts, text

TEMPLATE = "page.html"


def page(report: Report) -> str:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    drawings = {
        # Vega has escaped the text in its charts.
        name: Markup(draw(report))
        for name, draw in {
            "days": charts.days,
            "success": charts.success,
            "credits": charts.credits,
            "styles": charts.styles,
        }.items()
    }
    return templates.get_template(TEMPLATE).render(
        week=str(report.week),
        first=report.week.days[0],
        last=report.week.days[-1],
        made=f"{report.generated_at:%Y-%m-%d %H:%M} UTC",
        tiles=list(text.tiles(report)),
        findings=[(severity or "fine", message) for severity, message in text.findings(report)],
        tested=text.tested(report),
        bands=report.findings.bands,
        moves=any(style.before is not None for style in report.popular_styles),
        users=[(user_id, text.user_cells(used)) for user_id, used in report.top_users],
        columns=text.COLUMNS,
        tables=list(text.tables(report)),
        reconciliation=text.reconciliation(report),
        sales=list(text.sales(report)),
        revisions=list(text.revisions(report)),
        colors=charts.COLORS,
        **drawings,
    )

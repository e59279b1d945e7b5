"""A weekly report as one HTML file that needs nothing else: charts inline, light and dark, for screen and phone."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from imagegen.domain.report import Report
from tools import report_charts, report_text

TEMPLATE = "report_page.html"


def page(report: Report) -> str:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    charts = {
        # Vega escapes what it draws.
        name: Markup(draw(report))
        for name, draw in {
            "days": report_charts.days,
            "success": report_charts.success,
            "credits": report_charts.credits,
            "styles": report_charts.styles,
        }.items()
    }
    return templates.get_template(TEMPLATE).render(
        week=str(report.week),
        first=report.week.days[0],
        last=report.week.days[-1],
        made=f"{report.generated_at:%Y-%m-%d %H:%M} UTC",
        tiles=list(report_text.tiles(report)),
        findings=[(severity or "fine", message) for severity, message in report_text.findings(report)],
        tested=report_text.tested(report),
        bands=report.findings.bands,
        moves=any(style.before is not None for style in report.popular_styles),
        users=[(user_id, report_text.user_cells(used)) for user_id, used in report.top_users],
        columns=report_text.COLUMNS,
        tables=list(report_text.tables(report)),
        books=report_text.books(report),
        revisions=list(report_text.revisions(report)),
        colors=report_charts.COLORS,
        **charts,
    )

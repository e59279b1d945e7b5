"""The operations on weekly reports."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field

from imagegen.api import page_tokens
from imagegen.api.auth import Access
from imagegen.api.fields import REPORTS_PAGE_SIZE_DEFAULT, ReportsPageSize, WeekName
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Request, example
from imagegen.api.responses import NEXT_PAGE, Response
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.times import rfc3339
from imagegen.errors import Contention, InvalidInput, ReportNotFound
from imagegen.services.pagination import Page

if TYPE_CHECKING:
    from imagegen.reports.model import Report


class GetWeeklyReport(Request):
    model_config = example(week="2026-W45")

    week: WeekName


class RunWeeklyReport(Request):
    model_config = example(week="2026-W46")

    week: WeekName


class ListWeeklyReports(Request):
    model_config = example(pageSize=4)

    page_size: ReportsPageSize = REPORTS_PAGE_SIZE_DEFAULT
    before: Annotated[str | None, page_tokens.position(page_tokens.week), page_tokens.TOKEN_SCHEMA] = Field(
        default=None, alias="pageToken"
    )

    def next_token(self, page: "Page[Report]") -> str | None:
        """Return the token of the page that follows, or None."""
        return None if page.next is None else page_tokens.encode({}, page.next[0])


def _with_times(value: Any) -> Any:
    """Return a value of a document with its times as texts."""
    match value:
        case datetime():
            return rfc3339(value)
        case dict():
            return {name: _with_times(inner) for name, inner in value.items()}
        case list():
            return [_with_times(inner) for inner in value]
    return value


ReportData = Annotated[dict[str, Any], BeforeValidator(_with_times)]


class WeeklyReport(Response):
    """A weekly report, with the fields of the document ``weeklyReports/{week}``."""

    report: ReportData

    @classmethod
    def of(cls, report: "Report") -> Self:
        from imagegen.reports.documents import report_data

        return cls(report=report_data(report))


class WeeklyReportList(Response):
    reports: list[ReportData]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListWeeklyReports, page: "Page[Report]") -> Self:
        return cls(
            reports=[WeeklyReport.of(report).report for report in page.items],
            next_page_token=params.next_token(page),
        )


@operation(ReportNotFound, access=Access.ADMIN, scope=Scope.READ)
def get_weekly_report(backend: Backend, call: Call[GetWeeklyReport]) -> WeeklyReport:
    """Returns the stored report of a week."""
    report = backend.reports.get(call.params.week)
    if report is None:
        message = f"There is no report of {call.params.week} yet. Call runWeeklyReport first."
        raise ReportNotFound(message, week=str(call.params.week))
    return WeeklyReport.of(report)


@operation(access=Access.ADMIN, scope=Scope.READ)
def list_weekly_reports(backend: Backend, call: Call[ListWeeklyReports]) -> WeeklyReportList:
    """Returns a page of the stored reports, newest first."""
    params = call.params
    return WeeklyReportList.of(params, backend.reports.list(params.page_size, params.before))


@operation(Contention, access=Access.ADMIN)
def run_weekly_report(backend: Backend, call: Call[RunWeeklyReport]) -> WeeklyReport:
    """Runs the report of a week that is over, for the first time or again. Its `revisions` list the changes."""
    from imagegen.reports.weekly import WeekNotOver

    try:
        return WeeklyReport.of(backend.reports.run(call.params.week))
    except WeekNotOver:
        raise InvalidInput([{"field": "week", "message": "is not over yet"}]) from None

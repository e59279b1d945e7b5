"""The weekly report: counted by the server, compared with earlier reports, written under the week's name."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from imagegen.clock import Clock
from imagegen.database import Database, Put, Query, Sum, Where
from imagegen.domain import anomalies
from imagegen.domain.anomalies import WEEKS_COMPARED, Metric, Scope, Series
from imagegen.domain.catalog import Catalog, Kind
from imagegen.domain.generation import Status, Usage
from imagegen.domain.report import OTHER, TOP_USERS, Report, Tally
from imagegen.domain.weeks import Week
from imagegen.records import REQUESTS, USERS, account_of, report_path, usage_field
from imagegen.report_records import report_data, report_of
from imagegen.services.audit import Audit
from imagegen.services.catalog import Catalogs

QUERIES_AT_ONCE = 8


@dataclass(frozen=True)
class Reports:
    database: Database
    catalogs: Catalogs
    audit: Audit
    clock: Clock

    def write(self, scheduled_at: datetime) -> Report:
        """Report the last week that was complete at ``scheduled_at``; a rerun replaces the same document.

        Raises ServiceUnavailable, DatabaseUnavailable, CommitRefused and OutcomeUnknown; the scheduler tries again.
        """
        week = Week.of(scheduled_at) - 1
        report = self._counted(week, self.catalogs.load())
        users = self._top_users(week)
        report = replace(
            report,
            top_users=[(user_id, usage.get(week, Usage())) for user_id, usage in users.items()],
            anomalies=self._anomalies(report, users),
            reconciliation=self.audit.reconciliation(),
        )
        self.database.commit(Put(report_path(week), report_data(report)))
        return report

    def _counted(self, week: Week, catalog: Catalog) -> Report:
        groups = [("day", day) for day in week.days]
        groups += [(kind.value, option.name) for kind in Kind for option in catalog.options(kind)]
        with ThreadPoolExecutor(QUERIES_AT_ONCE) as pool:
            tallies = dict(zip(groups, pool.map(lambda group: self._tally(week, *group), groups), strict=True))
        days = {day: tallies["day", day] for day in week.days}
        total = sum(days.values(), Tally())
        options = {
            kind: _adding_up(total, {name: tally for (field, name), tally in tallies.items() if field == kind.value})
            for kind in Kind
        }
        return Report(week, self.clock.now(), days, options)

    def _tally(self, week: Week, field: str, value: str) -> Tally:
        in_week = (Where("week", "==", str(week)), Where(field, "==", value))
        questions = [Sum(Query(REQUESTS, (*in_week, Where("status", "==", status.value))), "cost") for status in Status]
        by_status = dict(zip(Status, self.database.totals(*questions), strict=True))
        return Tally(
            requests=sum(totals.count for totals in by_status.values()),
            completed=by_status[Status.COMPLETED].count,
            failed=by_status[Status.FAILED].count,
            credits_deducted=sum(totals.sum for totals in by_status.values()),
            credits_refunded=by_status[Status.FAILED].sum,
        )

    def _top_users(self, week: Week) -> dict[str, Mapping[Week, Usage]]:
        """The week's biggest users, from the counters that the money path keeps: one read each."""
        biggest = Query(USERS, order_by=usage_field(week, "creditsDeducted"), limit=TOP_USERS)
        return {user.id: account_of(user).usage for user in self.database.find(biggest)}

    def _anomalies(self, report: Report, users: Mapping[str, Mapping[Week, Usage]]) -> list[anomalies.Anomaly]:
        weeks = [report.week - back for back in range(1, WEEKS_COMPARED + 1)]
        documents = self.database.read(*(report_path(week) for week in weeks))
        reports = [report_of(document) for document in documents if document.exists]
        earlier = [report.series for report in reports if report.total.requests]  # else it was not in use
        observed = report.series
        history: dict[Series, Sequence[int]] = {
            series: [counts[series] for counts in earlier if series in counts] for series in observed
        }
        for user_id, usage in users.items():
            since = min(usage)
            for metric in Metric:
                series = Series(Scope.USER, user_id, metric)
                observed[series] = _count(usage.get(report.week, Usage()), metric)
                history[series] = [_count(usage.get(week, Usage()), metric) for week in weeks if week >= since]
        return anomalies.find(observed, history)


def _adding_up(total: Tally, by_name: dict[str, Tally]) -> dict[str, Tally]:
    """``by_name``, and the rest of ``total`` where there is one."""
    rest = total - sum(by_name.values(), Tally())
    return {**by_name, OTHER: rest} if rest.requests else by_name


def _count(usage: Usage, metric: Metric) -> int:
    return usage.failed if metric is Metric.FAILED else usage.requests

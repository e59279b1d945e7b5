"""Runs the weekly report: counts the week, compares it with earlier reports, and stores the report by week."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import dropwhile

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import USERS, usage_field
from imagegen.documents.fields import Unreadable
from imagegen.domain.account import Usage
from imagegen.domain.catalog import Kind
from imagegen.domain.weeks import Week
from imagegen.ports.clock import Clock
from imagegen.ports.database import Create, Database, Query, Replace, Snapshot, Sum, Update, Where
from imagegen.reports import anomalies
from imagegen.reports.alerts import Alerts
from imagegen.reports.anomalies import WEEKS_COMPARED, Counts, Findings, Scope, Subject
from imagegen.reports.counting import Counting
from imagegen.reports.documents import REPORTS, report_data, report_path
from imagegen.reports.forecast import forecast
from imagegen.reports.model import POPULARITY_WEEKS, TOP_USERS, Reconciliation, Report, Users, popularity
from imagegen.reports.reading import report_of, user_usage_of
from imagegen.reports.reconciliation import Reconciler
from imagegen.reports.revisions import revision
from imagegen.reports.sales import SalesCounting
from imagegen.reports.usage import DailyUsage, daily
from imagegen.services.pagination import Page, page
from imagegen.services.retry import Retry
from imagegen.services.unreadable import read_or_log

USERS_TESTED = 100
REVISIONS_KEPT = 10


class WeekNotOver(Exception):
    """The week has not ended, so its figures may still change."""


@dataclass(frozen=True)
class Reports:
    """Runs, stores and reads weekly reports.

    Days that were counted before are not counted again. So an interrupted run can be repeated, and the report's
    document is written in one commit. If two runs overlap, the first to finish writes the report, and both return it.
    A rerun lists the changed figures in ``revisions``. ``sales`` is None where payments are off.
    """

    database: Database
    usage: DailyUsage
    counting: Counting
    reconciler: Reconciler
    sales: SalesCounting | None
    alerts: Alerts
    retry: Retry
    clock: Clock

    def write(self, scheduled_at: datetime) -> Report:
        """Report the last week that was complete at ``scheduled_at``.

        If the report of the week before has requests that had not ended, that week is reported again first.
        Raises ServiceUnavailable, DatabaseUnavailable, CommitRefused and OutcomeUnknown. The scheduler then tries
        again.
        """
        week = Week.of(scheduled_at) - 1
        before = _readable(*self.database.read(report_path(week - 1)))
        if before and before.total.processing:
            self._run(week - 1)
        return self._run(week)

    def run(self, week: Week) -> Report:
        """Report one week, again or for the first time. Raises WeekNotOver, and the same errors as ``write``."""
        if week.end > self.clock.now():
            raise WeekNotOver(week)
        return self._run(week)

    def get(self, week: Week) -> Report | None:
        """Return the stored report of a week, or None. Raises Unreadable and DatabaseUnavailable."""
        [document] = self.database.read(report_path(week))
        return report_of(document) if document.exists else None

    def list(self, size: int, before: str | None = None) -> Page[Report]:
        """Return up to ``size`` stored reports, newest week first, of weeks before the one named ``before`` if given.

        Raises DatabaseUnavailable.
        """
        named = (Where("week", ">=", ""),)
        newest = Query(REPORTS, named, order_by="week", start_after=None if before is None else (before,))
        return page(self.database, newest, size, report_of)

    def _run(self, week: Week) -> Report:
        [stored] = self.database.read(report_path(week))
        last = read_or_log(report_of, stored) if stored.exists else None
        counted = self._counted(week)
        report = self._compared(counted, self._earlier(week), last.reconciliation if last else None)
        known = {alert.id for alert in last.alerts} if last else set()
        # Send alerts before the report is stored. An interrupted run then may send them twice, but never not at all.
        self.alerts.announce(week, [alert for alert in report.alerts if alert.id not in known])
        return self.retry(lambda _tries: self._stored(report, stored))

    def _counted(self, week: Week) -> Report:
        days = list(self.usage.of(week.days).values())
        return Report(
            week,
            self.clock.now(),
            days=[day.total for day in days],
            options={kind: daily(days, kind) for kind in Kind},
            trial_credits=self.counting.trial_credits(week),
            processing=self.counting.processing(week),
            users=self._users(week),
            sales=None if self.sales is None else self.sales.sales(week),
        )

    def _users(self, week: Week) -> Users:
        registered = (Where("createdAt", ">=", week.start), Where("createdAt", "<", week.end))
        used = (Where(usage_field(week, "requests"), ">=", 1),)
        new, active = self.database.totals(*(Sum(Query(USERS, where)) for where in (registered, used)))
        return Users(new.count, active.count)

    def _earlier(self, week: Week) -> dict[Week, Report]:
        """Return the stored reports of the weeks to compare with, oldest first."""
        documents = self.database.read(*(report_path(week - back) for back in range(WEEKS_COMPARED, 0, -1)))
        reports = [read_or_log(report_of, document) for document in documents if document.exists]
        return {report.week: report for report in reports if report}

    def _compared(
        self, report: Report, earlier: Mapping[Week, Report], reconciliation: Reconciliation | None
    ) -> Report:
        """Return the report compared with earlier reports.

        ``reconciliation`` is that of an earlier run of the same week. It is kept, because it would now include what
        happened since.
        """
        week = report.week
        before = earlier.get(week - 1)
        # The biggest users of this week would look like spikes, so take those of the week before.
        tested, biggest = self._biggest_users(week - 1, USERS_TESTED), self._biggest_users(week, TOP_USERS)
        usage = _usage(*tested, *biggest)
        in_use = _in_use([*earlier.values(), report])
        recent = [week - back for back in range(POPULARITY_WEEKS, 0, -1)]
        styles = [earlier[past].totals(Kind.STYLE) for past in recent if past in earlier]
        return replace(
            report,
            top_users=[(user.id, usage[user.id][week]) for user in biggest if user.id in usage],
            popular_styles=popularity(report.totals(Kind.STYLE), styles if before else []),
            forecast=forecast({past.week: past.total.credits_deducted for past in in_use}),
            reconciliation=reconciliation
            or self.reconciler.reconciliation(week, before.reconciliation if before else None),
            findings=_findings(report, in_use[:-1], {user.id: usage[user.id] for user in tested if user.id in usage}),
        )

    def _biggest_users(self, week: Week, limit: int) -> Sequence[Snapshot]:
        """Return the users with the most deducted credits in a week. Costs one read for each user."""
        return self.database.find(Query(USERS, order_by=usage_field(week, "creditsDeducted"), limit=limit))

    def _stored(self, report: Report, read: Snapshot) -> Report:
        """Store ``report``, unless another run has changed the document since ``read``. Return the stored report.

        Raises CommitRefused and OutcomeUnknown. The next try then sees whether the commit was applied.
        """
        [current] = self.database.read(read.path)
        if current.version != read.version:
            # Another run finished first, or our own commit was applied, but its answer was lost.
            return report_of(current)
        data = report_data(report)
        if current.version is None:
            self.database.commit(Create(current.path, data))
            return report
        earlier = _readable(current)
        if earlier is None:  # an update would keep what cannot be read, if the new report lacks the field
            self.database.commit(Replace(current.path, data, current.version))
            return report
        changed = revision(current.data, data, report.generated_at)
        revisions = [*([changed] if changed else []), *earlier.revisions][:REVISIONS_KEPT]
        report = replace(report, revisions=revisions)
        self.database.commit(Update(current.path, report_data(report), current.version))
        return report


def _readable(document: Snapshot) -> Report | None:
    """Return a stored report, or None if it does not exist or cannot be read."""
    try:
        return report_of(document) if document.exists else None
    except Unreadable:
        return None


def _usage(*users: Snapshot) -> dict[str, Mapping[Week, Usage]]:
    """Return the weekly counters of each user, by id. Log the users that cannot be read, and leave them out."""
    distinct = {user.id: user for user in users}
    found = {user_id: read_or_log(user_usage_of, user) for user_id, user in distinct.items()}
    return {user_id: usage for user_id, usage in found.items() if usage is not None}


def _in_use(reports: Sequence[Report]) -> Sequence[Report]:
    """Return the reports from the first week with requests."""
    return list(dropwhile(lambda report: not report.total.requests, reports))


def _findings(report: Report, earlier: Sequence[Report], users: Mapping[str, Mapping[Week, Usage]]) -> Findings:
    observed: dict[Subject, Sequence[Counts]] = dict(report.series)
    past = [report.series for report in earlier]
    history: dict[Subject, Sequence[Sequence[Counts]]] = {
        subject: [series[subject] for series in past if subject in series] for subject in observed
    }
    weeks = [report.week - back for back in range(WEEKS_COMPARED, 0, -1)]
    for user_id, usage in users.items():
        subject, since = Subject(Scope.USER, user_id), min(usage)
        observed[subject] = [_counts(usage.get(report.week, Usage()))]
        history[subject] = [[_counts(usage.get(week, Usage()))] for week in weeks if week >= since]
    return anomalies.find(report.week, observed, history)


def _counts(usage: Usage) -> Counts:
    return Counts(usage.requests, usage.failed, usage.credits_deducted)

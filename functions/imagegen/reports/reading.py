"""Reads weekly reports and counters from Firestore documents, and refuses values that the backend never writes.

Such a value would stop the reports of later weeks, and the lists with the report.
"""

from datetime import datetime
from typing import TypeVar

from imagegen.documents.accounts import usage_by_week, usage_of
from imagegen.documents.fields import Fields
from imagegen.domain.account import Usage
from imagegen.domain.catalog import Kind
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.ports.database import SUM_MAX, Snapshot
from imagegen.reports.anomalies import Anomaly, AnomalyKind, Band, Findings, Scope, Severity, Subject
from imagegen.reports.documents import COUNTERS, MISMATCH
from imagegen.reports.forecast import Forecast
from imagegen.reports.model import (
    COUNTER_MAX,
    Daily,
    Popularity,
    Processing,
    Reconciliation,
    Report,
    Revision,
    Sales,
    Tally,
    Users,
)

DEFAULTS = {"refused": 0}
"""The counters that documents of earlier versions lack."""

DAYS_A_WEEK = 7

CREDITS_MAX = 16 * SUM_MAX
"""The largest absolute value that is calculated from several sums. The difference of such values can be stored."""

T = TypeVar("T")


def report_of(document: Snapshot) -> Report:
    """Return the stored report. Fields missing from older documents get their defaults.

    Raises Unreadable, also for values that no report has. They would stop the reports of the weeks after it.
    """
    fields = Fields.of(document)
    week = _week_of(fields, "week")
    if str(week) != document.id:
        fields.refuse("week")
    processing, users = fields.optional_map("processing"), fields.optional_map("users")
    return Report(
        week=week,
        generated_at=fields.read("generatedAt", datetime),
        days=[tally_of(day) for day in _seven(fields, "days", fields.maps("days"))],
        options={
            kind: {
                option.read("name", str): _daily_of(option.map("byDay"))
                for option in fields.maps(kind.collection)
                if "byDay" in option.data
            }
            for kind in Kind
        },
        trial_credits=fields.optional_map("paidFrom").amount("trial", default=0),
        processing=Processing(
            processing.amount("requests", default=0),
            processing.optional_number("medianMs"),
            processing.optional_number("p95Ms"),
        ),
        users=Users(users.amount("new", default=0), users.amount("active", default=0)),
        sales=[_sales_of(sales) for sales in fields.maps("sales")] if "sales" in fields.data else None,
        top_users=[(user.id("userId"), usage_of(user)) for user in fields.maps("topUsers")],
        popular_styles=[
            Popularity(
                style.read("name", str),
                style.amount("requests"),
                style.number("share"),
                style.optional_number("shareBefore"),
                style.optional_number("shareFourWeeks"),
            )
            for style in fields.optional_maps("popularStyles")
        ],
        forecast=_forecast_of(fields),
        reconciliation=_reconciliation_of(fields),
        findings=_findings_of(fields, week),
        revisions=[_revision_of(revision) for revision in fields.optional_maps("revisions")],
    )


def _week_of(fields: Fields, name: str) -> Week:
    try:
        return Week.parse(fields.read(name, str))
    except ValueError:
        fields.refuse(name)


def _seven(fields: Fields, name: str, days: list[T]) -> list[T]:
    """Return the days of a week. Raises Unreadable if there are not seven."""
    if len(days) != DAYS_A_WEEK:
        fields.refuse(name)
    return days


def tally_of(fields: Fields) -> Tally:
    """Return the tally. Raises Unreadable, also if the counters are impossible."""
    tally = Tally(
        **{
            attribute: fields.amount(name, default=DEFAULTS.get(name), limit=COUNTER_MAX)
            for name, attribute in COUNTERS.items()
        }
    )
    if not tally.is_possible:  # more requests have ended than there are
        fields.refuse("requests")
    return tally


def user_usage_of(user: Snapshot) -> dict[Week, Usage]:
    """Return the weekly counters of a user. Raises Unreadable, also if the counters are impossible.

    Other readers of the user do not check this, so that wrong counters never stop a refund.
    """
    found = usage_by_week(user)
    for week, usage in found.items():
        if not Tally(usage.requests, 0, usage.failed, 0, usage.credits_deducted, usage.credits_refunded).is_possible:
            Fields.of(user).map("usage").refuse(str(week))
    return found


def _daily_of(by_day: Fields) -> Daily:
    lists = {name: by_day.read(name, list) for name in COUNTERS if name in by_day.data or name not in DEFAULTS}
    days = zip(*(_seven(by_day, name, numbers) for name, numbers in lists.items()), strict=True)
    return [tally_of(Fields(by_day.path, dict(zip(lists, day, strict=True)), by_day.prefix)) for day in days]


def _sales_of(fields: Fields) -> Sales:
    return Sales(
        fields.read("currency", str),
        fields.amount("purchases"),
        _sum_of(fields, "amount"),
        _sum_of(fields, "credits"),
        _sum_of(fields, "amountRefunded"),
        _sum_of(fields, "amountDisputed"),
    )


def _sum_of(fields: Fields, name: str) -> int:
    """Return a sum over documents. One wrong document can make it negative. Raises Unreadable."""
    value = fields.read(name, int)
    if abs(value) > CREDITS_MAX:
        fields.refuse(name)
    return value


def _forecast_of(report: Fields) -> Forecast | None:
    if report.optional("forecast", dict) is None:
        return None
    fields = report.map("forecast")
    return Forecast(_week_of(fields, "week"), fields.amount("credits"), fields.amount("low"), fields.amount("high"))


def _revision_of(fields: Fields) -> Revision:
    figures = fields.map("figures")
    changes = {name: figures.map(name) for name in figures.data}
    return Revision(
        fields.read("at", datetime),
        {name: (change.optional_number("before"), change.optional_number("after")) for name, change in changes.items()},
        _texts_of(fields, "parts"),
    )


def _texts_of(fields: Fields, name: str) -> list[str]:
    texts = fields.read(name, list)
    if not all(isinstance(text, str) for text in texts):
        fields.refuse(name)
    return texts


def _reconciliation_of(report: Fields) -> Reconciliation | None:
    if "closing" not in (report.optional("reconciliation", dict) or {}):  # reports of earlier versions lack it
        return None
    fields = report.map("reconciliation")
    booked = fields.map("booked")
    return Reconciliation(
        _sum_of(fields, "opening"),
        {_type_of(booked, name): _sum_of(booked, name) for name in booked.data},
        _sum_of(fields, "closing"),
        _sum_of(fields, "changedEarlier") if "changedEarlier" in fields.data else 0,
        None if fields.data.get("ledger") is None else _sum_of(fields, "ledger"),
    )


def _type_of(booked: Fields, name: str) -> EntryType:
    try:
        return EntryType(name)
    except ValueError:
        booked.refuse(name)


def _findings_of(report: Fields, week: Week) -> Findings:
    bands = [
        Band(_day_of(band, week), band.number("expected"), band.number("low"), band.number("high"))
        for band in report.optional_maps("expected")
    ]
    return Findings(
        anomalies=[
            _anomaly_of(found, week)
            for found in report.maps("anomalies")
            if found.data.get("kind", MISMATCH) != MISMATCH
        ],
        bands=_seven(report, "expected", bands) if bands else (),
        series_tested=report.amount("seriesTested", default=0),
        not_enough_history=[_subject_of(subject) for subject in report.optional_maps("notEnoughHistory")],
    )


def _anomaly_of(found: Fields, week: Week) -> Anomaly:
    also = _texts_of(found, "also")
    if not {*also} <= {*week.days}:
        found.refuse("also")
    return Anomaly(
        subject=_subject_of(found),
        kind=found.read("kind", AnomalyKind),
        day=None if found.nullable("day", str) is None else _day_of(found, week),
        also=also,
        observed=found.number("observed"),
        expected=found.number("expected"),
        low=found.number("low"),
        high=found.number("high"),
        p_value=found.number("pValue"),
        severity=found.read("severity", Severity),
        credits=found.read("credits", int),
    )


def _subject_of(fields: Fields) -> Subject:
    return Subject(fields.read("scope", Scope), fields.read("name", str))


def _day_of(fields: Fields, week: Week) -> str:
    day = fields.read("day", str)
    if day not in week.days:
        fields.refuse("day")
    return day

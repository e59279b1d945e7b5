"""A weekly report that fills every section."""

from datetime import UTC, datetime

from imagegen.domain.account import Usage
from imagegen.domain.catalog import Kind
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.reports.anomalies import ALL_REQUESTS, Anomaly, AnomalyKind, Band, Findings, Scope, Severity, Subject
from imagegen.reports.forecast import Forecast
from imagegen.reports.model import (
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

WEEK = Week.parse("2026-W46")


def daily(*requests: int, cost: int = 3) -> Daily:
    """Return a tally for each day. One request in ten failed."""
    return [Tally(n, n - n // 10, n // 10, 0, cost * n, cost * (n // 10)) for n in requests]


def sample_report() -> Report:
    days = daily(60, 55, 130, 57, 41, 33, 34)
    spike = Anomaly(ALL_REQUESTS, AnomalyKind.SPIKE, "2026-11-11", 130, 54, 31, 77, 1e-8, Severity.HIGH, 228)
    failures = Anomaly(
        Subject(Scope.STYLE, "<i>anime</i>"),
        AnomalyKind.FAILURES,
        "2026-11-13",
        0.4,
        0.05,
        0,
        0.2,
        1e-5,
        Severity.LOW,
        30,
    )
    return Report(
        WEEK,
        datetime(2026, 11, 16, 6, tzinfo=UTC),
        days,
        {
            Kind.MODEL: {"Model A": days},
            Kind.STYLE: {"<i>anime</i>": days},
            Kind.COLOR: {"neon": days},
            Kind.SIZE: {"1024x1024": days},
        },
        trial_credits=100,
        processing=Processing(370, 5_240.0, 8_611.0),
        users=Users(new=2, active=7),
        sales=[Sales("usd", 4, 8_000, 800, 500, 1_500)],
        top_users=[("user-<b>", Usage(125, 12, 375, 36))],
        popular_styles=[Popularity("<i>anime</i>", 410, 1.0, 0.9, 0.8)],
        forecast=Forecast(WEEK + 1, 1_240, 980, 1_560),
        reconciliation=Reconciliation(20_000, {EntryType.DEDUCTION: -1_230, EntryType.REFUND: 111}, 18_881),
        findings=Findings(
            [spike, failures],
            [Band(day, 54, 31, 77) for day in WEEK.days],
            series_tested=24,
            not_enough_history=[Subject(Scope.USER, f"user-{number}") for number in range(5)],
        ),
        revisions=[Revision(datetime(2026, 11, 17, tzinfo=UTC), {"total.failed": (38, 39)}, ["days"])],
    )

"""Converts weekly reports to Firestore documents."""

from typing import Any

from imagegen.documents.accounts import SCHEMA_VERSION, usage_data
from imagegen.domain.weeks import Week
from imagegen.reports.anomalies import Anomaly, Severity
from imagegen.reports.forecast import Forecast
from imagegen.reports.model import (
    Daily,
    Reconciliation,
    Report,
    Sales,
    Tally,
    total,
)

REPORTS = "weeklyReports"

MISMATCH = "mismatch"
"""The kind of the anomaly for a reconciliation difference. It is derived from ``reconciliation``."""

COUNTERS = {
    "requests": "requests",
    "completed": "completed",
    "failed": "failed",
    "canceled": "canceled",
    "creditsDeducted": "credits_deducted",
    "creditsRefunded": "credits_refunded",
    "refused": "refused",
}


def report_path(week: Week) -> str:
    return f"{REPORTS}/{week}"


def report_data(report: Report) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "week": str(report.week),
        "start": report.week.start,
        "end": report.week.end,
        "generatedAt": report.generated_at,
        "total": _tally(report.total),
        "days": [{"day": day, **_tally(tally)} for day, tally in zip(report.week.days, report.days, strict=True)],
        **{
            kind.collection: [
                {"name": name, **_tally(total(daily)), "byDay": _by_day(daily)} for name, daily in by_name.items()
            ]
            for kind, by_name in report.options.items()
        },
        "paidFrom": {"trial": report.trial_credits, "paid": report.paid_credits},
        "processing": {
            "requests": report.processing.requests,
            "medianMs": report.processing.median_ms,
            "p95Ms": report.processing.p95_ms,
        },
        "users": {"new": report.users.new, "active": report.users.active},
        **({} if report.sales is None else {"sales": [_sales(sales) for sales in report.sales]}),
        "topUsers": [{"userId": user_id, **usage_data(usage)} for user_id, usage in report.top_users],
        "popularStyles": [
            {
                "name": style.name,
                "requests": style.requests,
                "share": style.share,
                "shareBefore": style.before,
                "shareFourWeeks": style.four_weeks,
            }
            for style in report.popular_styles
        ],
        "forecast": _forecast(report.forecast),
        "reconciliation": _reconciliation(report.reconciliation),
        "anomalies": [*_mismatch(report.reconciliation), *map(_anomaly, report.findings.anomalies)],
        "expected": [
            {"day": band.day, "expected": band.expected, "low": band.low, "high": band.high}
            for band in report.findings.bands
        ],
        "seriesTested": report.findings.series_tested,
        "notEnoughHistory": [
            {"scope": subject.scope.value, "name": subject.name} for subject in report.findings.not_enough_history
        ],
        "revisions": [
            {
                "at": revision.at,
                "figures": {
                    name: {"before": before, "after": after} for name, (before, after) in revision.figures.items()
                },
                "parts": list(revision.parts),
            }
            for revision in report.revisions
        ],
    }


def counters(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, attribute) for name, attribute in COUNTERS.items()}


def _tally(tally: Tally) -> dict[str, int | float | None]:
    return {
        **counters(tally),
        "creditsNet": tally.credits_net,
        "successRate": tally.success_rate,
        "refundShare": tally.refund_share,
    }


def _by_day(daily: Daily) -> dict[str, list[int]]:
    """Return a list of seven numbers for each counter, which is shorter than a list of days."""
    return {name: [getattr(tally, attribute) for tally in daily] for name, attribute in COUNTERS.items()}


def _forecast(forecast: Forecast | None) -> dict[str, Any] | None:
    if forecast is None:
        return None
    return {
        "week": str(forecast.week),
        "credits": forecast.credits,
        "low": forecast.low,
        "high": forecast.high,
    }


def _sales(sales: Sales) -> dict[str, Any]:
    return {
        "currency": sales.currency,
        "purchases": sales.purchases,
        "amount": sales.amount,
        "credits": sales.credits,
        "amountRefunded": sales.refunded,
        "amountDisputed": sales.disputed,
    }


def _reconciliation(reconciliation: Reconciliation | None) -> dict[str, Any] | None:
    if reconciliation is None:
        return None
    return {
        "opening": reconciliation.opening,
        "booked": {type.value: credits for type, credits in reconciliation.booked.items()},
        "closing": reconciliation.closing,
        "changedEarlier": reconciliation.changed_earlier,
        "ledger": reconciliation.ledger,
        "difference": reconciliation.difference,
    }


def _mismatch(reconciliation: Reconciliation | None) -> list[dict[str, Any]]:
    """Return the reconciliation difference as an anomaly, or nothing if there is none."""
    if reconciliation is None or not reconciliation.difference:
        return []
    return [
        {
            "scope": "books",
            "name": "all balances",
            "kind": MISMATCH,
            "day": None,
            "also": [],
            "observed": reconciliation.closing,
            "expected": reconciliation.expected,
            "low": reconciliation.expected,
            "high": reconciliation.expected,
            "pValue": 0.0,
            "severity": Severity.HIGH.value,
            "credits": abs(reconciliation.difference),
            "message": reconciliation.message,
        }
    ]


def _anomaly(anomaly: Anomaly) -> dict[str, Any]:
    return {
        "scope": anomaly.subject.scope.value,
        "name": anomaly.subject.name,
        "kind": anomaly.kind.value,
        "day": anomaly.day,
        "also": list(anomaly.also),
        "observed": anomaly.observed,
        "expected": anomaly.expected,
        "low": anomaly.low,
        "high": anomaly.high,
        "pValue": anomaly.p_value,
        "severity": anomaly.severity.value,
        "credits": anomaly.credits,
        "message": anomaly.message,
    }

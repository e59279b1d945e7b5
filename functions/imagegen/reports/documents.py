"""Converts weekly reports to and from Firestore documents."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from imagegen.documents.accounts import SCHEMA_VERSION, usage_data, usage_of
from imagegen.documents.fields import Fields, Unreadable
from imagegen.domain.catalog import Kind
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.ports.database import Data, Snapshot
from imagegen.reports.anomalies import Anomaly, AnomalyKind, Band, Findings, Scope, Severity, Subject
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


def report_of(document: Snapshot) -> Report:
    """Return the stored report. Fields missing from older documents get their defaults. Raises Unreadable."""
    with refusing(document):
        return _report_of(Fields.of(document))


@contextmanager
def refusing(document: Snapshot) -> Iterator[None]:
    """Raise Unreadable if the code inside finds a missing or unexpected value in the document."""
    try:
        yield
    except Unreadable:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        field = error.args[0] if isinstance(error, KeyError) else "(one of the fields)"
        raise Unreadable(document.path, str(field)) from error


def _report_of(fields: Fields) -> Report:
    data = fields.data
    week = Week.parse(data["week"])
    processing = data.get("processing", {})
    return Report(
        week=week,
        generated_at=fields.read("generatedAt", datetime),
        days=[tally_of(day) for day in data["days"]],
        options={
            kind: {option["name"]: _daily_of(option["byDay"]) for option in data[kind.collection] if "byDay" in option}
            for kind in Kind
        },
        trial_credits=data.get("paidFrom", {}).get("trial", 0),
        processing=Processing(processing.get("requests", 0), processing.get("medianMs"), processing.get("p95Ms")),
        users=Users(**data.get("users", {})),
        sales=[_sales_of(sales) for sales in fields.maps("sales")] if "sales" in data else None,
        top_users=[(user.id("userId"), usage_of(user)) for user in fields.maps("topUsers")],
        popular_styles=[
            Popularity(style["name"], style["requests"], style["share"], style["shareBefore"], style["shareFourWeeks"])
            for style in data.get("popularStyles", ())
        ],
        forecast=_forecast_of(data.get("forecast")),
        reconciliation=_reconciliation_of(data.get("reconciliation")),
        findings=_findings_of(data),
        revisions=[
            Revision(
                revision["at"],
                {name: (change["before"], change["after"]) for name, change in revision["figures"].items()},
                revision["parts"],
            )
            for revision in data.get("revisions", ())
        ],
    )


def counters(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, attribute) for name, attribute in COUNTERS.items()}


def _tally(tally: Tally) -> dict[str, int | float | None]:
    return {
        **counters(tally),
        "creditsNet": tally.credits_net,
        "successRate": tally.success_rate,
        "refundShare": tally.refund_share,
    }


def tally_of(data: Mapping[str, int]) -> Tally:
    counted = {"refused": 0, **data}  # reports of earlier versions lack it
    return _tally_with(counted[name] for name in COUNTERS)


def _tally_with(numbers: Iterable[Any]) -> Tally:
    """Return the tally with these counters. Raises TypeError if one is not an integer."""
    counted = dict(zip(COUNTERS.values(), numbers, strict=True))
    for number in counted.values():
        if type(number) is not int:
            raise TypeError(f"a counter must be an integer, not {type(number).__name__}")
    return Tally(**counted)


def _by_day(daily: Daily) -> dict[str, list[int]]:
    """Return a list of seven numbers for each counter, which is shorter than a list of days."""
    return {name: [getattr(tally, attribute) for tally in daily] for name, attribute in COUNTERS.items()}


def _daily_of(data: Mapping[str, Sequence[int]]) -> Daily:
    counted = {"refused": [0] * len(data["requests"]), **data}  # reports of earlier versions lack it
    return [_tally_with(numbers) for numbers in zip(*(counted[name] for name in COUNTERS), strict=True)]


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


def _sales_of(fields: Fields) -> Sales:
    return Sales(
        fields.read("currency", str),
        fields.amount("purchases"),
        fields.amount("amount"),
        fields.amount("credits"),
        fields.amount("amountRefunded"),
        fields.amount("amountDisputed"),
    )


def _forecast_of(data: Mapping[str, Any] | None) -> Forecast | None:
    if data is None:
        return None
    return Forecast(Week.parse(data["week"]), data["credits"], data["low"], data["high"])


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


def _reconciliation_of(data: Mapping[str, Any] | None) -> Reconciliation | None:
    if not data or "closing" not in data:
        return None
    booked = {EntryType(type): credits for type, credits in data["booked"].items()}
    return Reconciliation(data["opening"], booked, data["closing"], data.get("changedEarlier", 0), data.get("ledger"))


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


def _findings_of(data: Data) -> Findings:
    return Findings(
        anomalies=[
            Anomaly(
                subject=Subject(Scope(found["scope"]), found["name"]),
                kind=AnomalyKind(found["kind"]),
                day=found["day"],
                also=found["also"],
                observed=found["observed"],
                expected=found["expected"],
                low=found["low"],
                high=found["high"],
                p_value=found["pValue"],
                severity=Severity(found["severity"]),
                credits=found["credits"],
            )
            for found in data["anomalies"]
            if found.get("kind", MISMATCH) != MISMATCH
        ],
        bands=[Band(band["day"], band["expected"], band["low"], band["high"]) for band in data.get("expected", ())],
        series_tested=data.get("seriesTested", 0),
        not_enough_history=[
            Subject(Scope(subject["scope"]), subject["name"]) for subject in data.get("notEnoughHistory", ())
        ],
    )

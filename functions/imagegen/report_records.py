"""How a weekly report is written in Firestore, and the way back."""

from collections.abc import Mapping
from typing import Any

from imagegen.database import Snapshot
from imagegen.domain.anomalies import Anomaly, Metric, Scope, Series
from imagegen.domain.catalog import Kind
from imagegen.domain.report import Reconciliation, Report, Tally
from imagegen.domain.weeks import Week
from imagegen.records import SCHEMA_VERSION, usage_data, usage_of


def report_data(report: Report) -> dict[str, Any]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "week": str(report.week),
        "start": report.week.start,
        "end": report.week.end,
        "generatedAt": report.generated_at,
        "total": _tally(report.total),
        "days": [{"day": day, **_tally(tally)} for day, tally in report.days.items()],
        **{
            kind.collection: [{"name": name, **_tally(tally)} for name, tally in by_name.items()]
            for kind, by_name in report.options.items()
        },
        "topUsers": [{"userId": user_id, **usage_data(usage)} for user_id, usage in report.top_users],
        "reconciliation": report.reconciliation
        and {
            "balances": report.reconciliation.balances,
            "ledgers": report.reconciliation.ledgers,
            "difference": report.reconciliation.difference,
        },
        "anomalies": [
            {
                "scope": anomaly.series.scope.value,
                "name": anomaly.series.name,
                "metric": anomaly.series.metric.value,
                "observed": anomaly.observed,
                "expected": anomaly.expected,
                "threshold": anomaly.threshold,
                "weeksCompared": anomaly.weeks_compared,
                "message": anomaly.message,
            }
            for anomaly in report.anomalies
        ],
    }


def report_of(document: Snapshot) -> Report:
    data = document.data
    return Report(
        week=Week.parse(data["week"]),
        generated_at=data["generatedAt"],
        days={day["day"]: _tally_of(day) for day in data["days"]},
        options={kind: {option["name"]: _tally_of(option) for option in data[kind.collection]} for kind in Kind},
        top_users=[(user["userId"], usage_of(user)) for user in data["topUsers"]],
        anomalies=[
            Anomaly(
                series=Series(Scope(found["scope"]), found["name"], Metric(found["metric"])),
                observed=found["observed"],
                expected=found["expected"],
                threshold=found["threshold"],
                weeks_compared=found["weeksCompared"],
            )
            for found in data["anomalies"]
        ],
        reconciliation=data["reconciliation"]
        and Reconciliation(data["reconciliation"]["balances"], data["reconciliation"]["ledgers"]),
    )


def _tally(tally: Tally) -> dict[str, int | float | None]:
    return {
        "requests": tally.requests,
        "completed": tally.completed,
        "failed": tally.failed,
        "successRate": tally.success_rate,
        "creditsDeducted": tally.credits_deducted,
        "creditsRefunded": tally.credits_refunded,
        "creditsNet": tally.credits_net,
    }


def _tally_of(data: Mapping[str, int]) -> Tally:
    return Tally(
        requests=data["requests"],
        completed=data["completed"],
        failed=data["failed"],
        credits_deducted=data["creditsDeducted"],
        credits_refunded=data["creditsRefunded"],
    )

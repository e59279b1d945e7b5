"""Anomaly detection: compares a week with the weeks before it. Start with ``find``."""

from imagegen.reports.anomalies.detector import WEEKS_COMPARED, WEEKS_NEEDED, find
from imagegen.reports.anomalies.findings import (
    ALL_REQUESTS,
    Anomaly,
    AnomalyKind,
    Band,
    Counts,
    Findings,
    Scope,
    Severity,
    Subject,
)

__all__ = [
    "ALL_REQUESTS",
    "WEEKS_COMPARED",
    "WEEKS_NEEDED",
    "Anomaly",
    "AnomalyKind",
    "Band",
    "Counts",
    "Findings",
    "Scope",
    "Severity",
    "Subject",
    "find",
]

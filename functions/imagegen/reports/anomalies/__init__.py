"""What stands out from its own recent weeks: see ``find``."""

from imagegen.reports.anomalies.find import WEEKS_COMPARED, WEEKS_NEEDED, find
from imagegen.reports.anomalies.findings import (
    ALL_REQUESTS,
    Anomaly,
    Band,
    Counts,
    Findings,
    Kind,
    Scope,
    Severity,
    Subject,
)

__all__ = [
    "ALL_REQUESTS",
    "WEEKS_COMPARED",
    "WEEKS_NEEDED",
    "Anomaly",
    "Band",
    "Counts",
    "Findings",
    "Kind",
    "Scope",
    "Severity",
    "Subject",
    "find",
]

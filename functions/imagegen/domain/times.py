"""Times as texts."""

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """Return a time as every answer and message of the backend spells it: in UTC, always with six digits and a Z."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

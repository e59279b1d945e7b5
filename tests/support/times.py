"""Fixed times for tests that set their own clock."""

from datetime import UTC, datetime

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""A Wednesday, in 2026-W47."""

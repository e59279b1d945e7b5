"""Limits that nobody meets, for seeds and tests that are about something else."""

from imagegen.domain.limits import Limits

NO_LIMITS = Limits(burst=1_000_000, per_minute=1_000_000, concurrent=1_000_000)

NO_LIMITS_SETTINGS = {
    "RATE_LIMIT_BURST": str(NO_LIMITS.burst),
    "RATE_LIMIT_PER_MINUTE": str(NO_LIMITS.per_minute),
    "MAX_RUNNING_REQUESTS": str(NO_LIMITS.concurrent),
}
"""The same, for a whole suite."""

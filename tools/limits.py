"""Limits that nobody meets, for seeds and tests that are about something else."""

from imagegen.domain.limits import Limits

NO_LIMITS = Limits(burst=1_000_000, per_minute=1_000_000, concurrent=1_000_000)

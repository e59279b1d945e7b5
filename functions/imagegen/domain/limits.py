"""Limits on the requests of one user: a rate limit, and a maximum number of unfinished requests."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


class TooFast(Exception):
    """The rate limit refuses a request. A request after ``retry_after`` is admitted if there is none before."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


@dataclass(frozen=True)
class Limits:
    """The maximum numbers of requests: ``burst`` at once, ``per_minute`` continuously, ``concurrent`` unfinished."""

    burst: int
    per_minute: int
    concurrent: int

    def __post_init__(self) -> None:
        """Raise ValueError for a limit below 1, which would refuse every request."""
        if min(self.burst, self.per_minute, self.concurrent) < 1:
            raise ValueError(f"each limit must be 1 or more: {self}")

    @property
    def interval(self) -> timedelta:
        """The time in which a user earns one request."""
        return timedelta(minutes=1) / self.per_minute


@dataclass(frozen=True)
class Activity:
    """The activity of a user that the limits check.

    ``earned_at`` is the time at which the user has earned all requests made so far. ``running`` has the ids of the
    requests that may be unfinished. A completed request stays in it until the limit is next reached.
    """

    earned_at: datetime | None = None
    running: tuple[str, ...] = ()

    def paced(self, limits: Limits, now: datetime) -> "Activity":
        """Return the activity after one more request at ``now``. Raises TooFast.

        This is the generic cell rate algorithm: a token bucket whose only state is the theoretical arrival time
        (ITU-T I.371, https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
        """
        earned_at = max(self.earned_at or now, now)
        earned_at = min(earned_at, now + limits.burst * limits.interval)  # later only if another clock is ahead
        too_early = earned_at - now - (limits.burst - 1) * limits.interval
        if too_early > timedelta():
            raise TooFast(too_early)
        return replace(self, earned_at=earned_at + limits.interval)

    def started(self, request_id: str) -> "Activity":
        """Return the activity with one more unfinished request."""
        return replace(self, running=(*self.running, request_id))

    def ended(self, *request_ids: str) -> "Activity":
        """Return the activity without these requests."""
        return replace(self, running=tuple(id for id in self.running if id not in request_ids))

"""Limits of one user: on calls, on new requests, on canceled runs, and on the number of unfinished requests."""

from dataclasses import astuple, replace
from datetime import datetime, timedelta
from math import ceil

from imagegen.dataclass import dataclass


class TooFast(Exception):
    """A rate refuses an event. An event after ``retry_after_seconds`` is admitted if there is none before."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after_seconds = ceil(retry_after.total_seconds())


@dataclass(frozen=True)
class Rate:
    """A rate of events: ``burst`` at once after a time without events, and one in each ``interval`` continuously."""

    burst: int
    interval: timedelta

    def admit(self, earned_at: datetime | None, now: datetime) -> datetime:
        """Admit one event at ``now``. Return the time at which all events admitted so far are earned.

        ``earned_at`` is that time before this event, or None if there was no event. Raises TooFast.

        This is the generic cell rate algorithm: a token bucket whose only state is the theoretical arrival time
        (ITU-T I.371, https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
        """
        earned_at = max(earned_at or now, now)
        earned_at = min(earned_at, now + self.burst * self.interval)  # later only if another clock is ahead
        too_early = earned_at - now - (self.burst - 1) * self.interval
        if too_early > timedelta():
            raise TooFast(too_early)
        return earned_at + self.interval


@dataclass(frozen=True)
class Limits:
    """The maximum numbers of requests: ``burst`` at once, ``per_minute`` continuously, ``concurrent`` unfinished.

    ``canceled_runs_per_day`` is the number of requests that a user can cancel while their models run.
    ``calls_per_minute`` is the number of calls of any function that an instance admits. ``resends_per_hour`` is the
    number of webhooks that a user can resend.
    """

    burst: int
    per_minute: int
    concurrent: int
    canceled_runs_per_day: int
    calls_per_minute: int
    resends_per_hour: int

    def __post_init__(self) -> None:
        """Raise ValueError for a limit below 1, which would refuse everything."""
        if min(astuple(self)) < 1:
            raise ValueError(f"each limit must be 1 or more: {self}")

    @property
    def requests(self) -> Rate:
        """The rate of new requests."""
        return Rate(self.burst, timedelta(minutes=1) / self.per_minute)

    @property
    def canceled_runs(self) -> Rate:
        """The rate of canceled runs: those of a day at once, and then one by one."""
        return Rate(self.canceled_runs_per_day, timedelta(days=1) / self.canceled_runs_per_day)

    @property
    def calls(self) -> Rate:
        """The rate of calls: those of a minute at once, and then one by one."""
        return Rate(self.calls_per_minute, timedelta(minutes=1) / self.calls_per_minute)

    @property
    def resends(self) -> Rate:
        """The rate of resent webhooks: those of an hour at once, and then one by one."""
        return Rate(self.resends_per_hour, timedelta(hours=1) / self.resends_per_hour)


@dataclass(frozen=True)
class Activity:
    """The activity of a user that the limits check.

    ``earned_at`` is the time at which the user has earned all requests made so far, and ``cancellations_earned_at``
    the time for all runs canceled so far. ``running`` has the ids of the requests that may be running. A completed
    request and a canceled run stay in it until the limit is next reached.
    """

    earned_at: datetime | None = None
    running: tuple[str, ...] = ()
    cancellations_earned_at: datetime | None = None

    def paced(self, limits: Limits, now: datetime) -> "Activity":
        """Return the activity after one more request at ``now``. Raises TooFast."""
        return replace(self, earned_at=limits.requests.admit(self.earned_at, now))

    def run_canceled(self, limits: Limits, now: datetime) -> "Activity":
        """Return the activity after one more run was canceled at ``now``. Raises TooFast.

        The request stays in ``running``, because its model goes on.
        """
        return replace(self, cancellations_earned_at=limits.canceled_runs.admit(self.cancellations_earned_at, now))

    def started(self, request_id: str) -> "Activity":
        """Return the activity with one more unfinished request."""
        return replace(self, running=(*self.running, request_id))

    def ended(self, *request_ids: str) -> "Activity":
        """Return the activity without these requests."""
        return replace(self, running=tuple(id for id in self.running if id not in request_ids))

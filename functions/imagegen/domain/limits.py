"""How much one user may ask for: so many requests at a time, and so many in a while."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


class TooFast(Exception):
    """``retry_after``: when the next request would be admitted, if no other comes first."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__()
        self.retry_after = retry_after


@dataclass(frozen=True)
class Limits:
    """``burst`` requests at once, ``per_minute`` of them for ever, and ``concurrent`` unfinished ones."""

    burst: int
    per_minute: int
    concurrent: int

    def __post_init__(self) -> None:
        """Raises ValueError for what would admit nobody."""
        if min(self.burst, self.per_minute, self.concurrent) < 1:
            raise ValueError(f"limits are 1 or more, not {self}")

    @property
    def interval(self) -> timedelta:
        """The time in which one request is earned."""
        return timedelta(minutes=1) / self.per_minute


@dataclass(frozen=True)
class Activity:
    """What a user's limits are judged by.

    ``earned_at`` is the moment at which all requests made so far will have been earned; ``running`` names those that
    may be unfinished, as nobody has looked since.
    """

    earned_at: datetime | None = None
    running: tuple[str, ...] = ()

    def paced(self, limits: Limits, now: datetime) -> "Activity":
        """The activity after one more request at ``now``. Raises TooFast.

        The generic cell rate algorithm: a token bucket whose whole state is one moment, the theoretical arrival time
        (ITU-T I.371; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
        """
        earned_at = max(self.earned_at or now, now)
        earned_at = min(earned_at, now + limits.burst * limits.interval)  # else another clock was ahead
        too_early = earned_at - now - (limits.burst - 1) * limits.interval
        if too_early > timedelta():
            raise TooFast(too_early)
        return replace(self, earned_at=earned_at + limits.interval)

    def started(self, request_id: str) -> "Activity":
        return replace(self, running=(*self.running, request_id))

    def ended(self, *request_ids: str) -> "Activity":
        return replace(self, running=tuple(id for id in self.running if id not in request_ids))

"""Limits the rate of each user's calls, in the memory of this instance.

The check costs no read and no look-up, so it comes before everything that a call costs. Another instance counts for
itself.
"""

from collections import OrderedDict
from datetime import datetime
from threading import Lock

from imagegen.domain.limits import Rate, TooFast
from imagegen.errors import RateLimited
from imagegen.ports.clock import Clock

USERS_MAX = 10_000
"""The users that are remembered: more than an instance can serve in a minute, after which a user starts afresh."""


class CallRates:
    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = Lock()
        self._earned_at: OrderedDict[str, datetime] = OrderedDict()  # the least recent caller first

    def admit(self, user_id: str) -> None:
        """Admit a call of the user. Raises RateLimited."""
        with self._lock:
            try:
                earned_at = self._rate.admit(self._earned_at.get(user_id), self._clock.now())
            except TooFast as too_fast:
                seconds = too_fast.retry_after_seconds
                raise RateLimited(
                    f"Too many calls in a short time. Nothing was changed. Try again in {seconds} s.",
                    retryAfterSeconds=seconds,
                ) from None
            self._earned_at[user_id] = earned_at
            self._earned_at.move_to_end(user_id)
            if len(self._earned_at) > USERS_MAX:
                self._earned_at.popitem(last=False)

"""Receivers of webhooks: whether one fails, and how much of the queue one user's webhooks may take."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from imagegen.dataclass import dataclass
from imagegen.domain.limits import Rate
from imagegen.domain.webhooks import Attempt

PAUSE_MAX = timedelta(hours=1)
"""The longest pause of a failing receiver that does not ask for a longer one."""

GIVE_UP_AFTER = timedelta(days=2)
"""The time without an accepted webhook after which a receiver is given up, when a webhook to it has failed for good."""

SLOTS_PER_USER = 4
"""The attempts that one user's receivers can keep busy continuously, of those that the queues make at once."""

BUSY_MAX = timedelta(minutes=1)
"""The time that a user's attempts may take in advance. After it, the user's webhooks wait."""

QUICK = timedelta(seconds=1)
"""An attempt that takes less is not counted, so that the webhooks of most receivers cost no further write."""


def origin_of(url: str) -> str:
    """Return the scheme, host and port of a URL that was normalized when it was accepted."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def receiver_id(user_id: str, origin: str) -> str:
    """Return the id of the receiver that a user's webhook URLs at ``origin`` have in common."""
    return hashlib.sha256(json.dumps([user_id, origin]).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Receiver:
    """A receiver of a user's webhooks: an endpoint, or all webhook URLs at one origin.

    ``failing_since`` is the time of the first attempt that it did not accept after the last one that it accepted.
    Until ``paused_until``, no attempt begins. A failing receiver gets one attempt at a time, which pauses it until it
    has ended. ``secret_number`` counts the rotations of its secret. Until ``previous_secret_until``, the secret before
    the last rotation signs too. ``given_up_at`` is None until it is given up, and after it has accepted a webhook.
    """

    id: str
    user_id: str
    url: str
    failing_since: datetime | None = None
    paused_until: datetime | None = None
    secret_number: int = 0
    previous_secret_until: datetime | None = None
    given_up_at: datetime | None = None
    deleted_at: datetime | None = None

    def given_up(self, at: datetime, *, is_gone: bool) -> "Receiver":
        """Return the receiver after a webhook to it has failed for good.

        It is given up, once, if it is gone or has accepted nothing for ``GIVE_UP_AFTER``. One that its user has deleted
        is not given up.
        """
        if self.deleted_at is not None:
            return self
        is_hopeless = self.failing_since is not None and at - self.failing_since >= GIVE_UP_AFTER
        return replace(self, given_up_at=at) if self.given_up_at is None and (is_gone or is_hopeless) else self

    def claimed(self, until: datetime) -> "Receiver":
        """Return the receiver during an attempt that must have ended at ``until``."""
        return self if self.failing_since is None else replace(self, paused_until=until)

    def attempted(self, attempt: Attempt, claimed: "Receiver") -> "Receiver":
        """Return the receiver after an attempt that began when it was as ``claimed``.

        A pause is half as long as the receiver has been failing, so that it ends before a webhook's next attempt is
        due.
        """
        if attempt.succeeded:
            return replace(self, failing_since=None, paused_until=None, given_up_at=None)
        if not attempt.is_about_the_receiver:
            return replace(self, paused_until=None) if self.paused_until == claimed.paused_until else self
        end, failing_since = attempt.at + attempt.duration, self.failing_since or attempt.at
        paused_until = end + max(min((end - failing_since) / 2, PAUSE_MAX), attempt.retry_after)
        if self.paused_until is not None and self.paused_until != claimed.paused_until:
            if end < self.paused_until and not attempt.retry_after:
                return self  # another attempt has failed in the meantime
            paused_until = max(paused_until, self.paused_until)
        return replace(self, failing_since=failing_since, paused_until=paused_until)


@dataclass(frozen=True)
class Sending:
    """The slots and resends that one user's webhooks have taken so far.

    ``busy_until`` is the time at which the user's slots would have been free if they had made all attempts so far.
    ``resends_earned_at`` is the time at which the user has earned all resends so far.
    """

    busy_until: datetime | None = None
    resends_earned_at: datetime | None = None

    @property
    def waits_until(self) -> datetime | None:
        """The time until which no attempt of the user begins, or None if there was no attempt."""
        return None if self.busy_until is None else self.busy_until - BUSY_MAX

    def attempted(self, attempt: Attempt) -> "Sending":
        """Return the state after an attempt."""
        if attempt.duration < QUICK:
            return self
        end = attempt.at + attempt.duration
        return replace(self, busy_until=max(self.busy_until or end, end) + attempt.duration / SLOTS_PER_USER)

    def resent(self, rate: Rate, at: datetime) -> "Sending":
        """Return the state after one more resend. Raises TooFast."""
        return replace(self, resends_earned_at=rate.admit(self.resends_earned_at, at))

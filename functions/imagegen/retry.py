"""The one place that knows how an optimistic commit is retried."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from imagegen.clock import Clock
from imagegen.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Retry:
    """Repeats an attempt (read, decide, commit) until it gets through or ``patience_seconds`` have passed.

    The pauses have full jitter: each is drawn between nothing and a bound that doubles from try to try, so that
    rivals for one document spread out instead of meeting again
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    clock: Clock
    rng: random.Random
    patience_seconds: float = 20.0

    def __call__(self, attempt: Callable[[int], T]) -> T:
        """What ``attempt`` returns; it is told how many tries went before.

        Raises the last CommitRefused, OutcomeUnknown or DatabaseUnavailable when patience ran out, and at once whatever
        else ``attempt`` raises.
        """
        deadline = self.clock.monotonic() + self.patience_seconds
        for tries in count():
            try:
                return attempt(tries)
            except (CommitRefused, OutcomeUnknown, DatabaseUnavailable):
                pause = self.rng.uniform(0, min(FIRST_PAUSE_SECONDS * 2 ** min(tries, 10), LONGEST_PAUSE_SECONDS))
                if self.clock.monotonic() + pause > deadline:
                    raise
            self.clock.sleep(pause)
        raise AssertionError("unreachable: count() never ends")

"""The one place that knows how an optimistic commit is retried."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Retry:
    """Repeats an attempt (read, decide, commit) until it gets through or ``timeout_seconds`` have passed.

    The pauses have full jitter: each is drawn between nothing and a bound that doubles from try to try, so that
    rivals for one document spread out instead of meeting again
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    clock: Clock
    rng: random.Random
    timeout_seconds: float

    def __call__(self, attempt: Callable[[int], T]) -> T:
        """What ``attempt`` returns; it is told how many tries went before.

        When the time is spent, raises OutcomeUnknown if any try ended in it, as that commit may still be on its way,
        and else the last CommitRefused or DatabaseUnavailable. Raises at once whatever else ``attempt`` raises.
        """
        deadline = self.clock.monotonic() + self.timeout_seconds
        uncertain: OutcomeUnknown | None = None
        for tries in count():
            try:
                return attempt(tries)
            except (CommitRefused, OutcomeUnknown, DatabaseUnavailable) as error:
                if isinstance(error, OutcomeUnknown):
                    uncertain = error
                pause = self.rng.uniform(0, min(FIRST_PAUSE_SECONDS * 2 ** min(tries, 10), LONGEST_PAUSE_SECONDS))
                # A second look is always taken: a process that was held up may have been overtaken meanwhile.
                if tries and self.clock.monotonic() + pause > deadline:
                    raise uncertain or error from None
            self.clock.sleep(pause)
        raise AssertionError("unreachable: count() never ends")

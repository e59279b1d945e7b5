"""Retries optimistic commits."""

import random
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from imagegen.dataclass import dataclass
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown

T = TypeVar("T")

FIRST_DELAY_SECONDS = 0.02
MAX_DELAY_SECONDS = 1.0


@dataclass(frozen=True)
class Retry:
    """Repeats an attempt (read, decide, commit) until it succeeds or ``timeout_seconds`` have passed.

    The delays have full jitter: each is drawn between zero and a bound that doubles with every try. Processes that
    compete for one document therefore do not retry at the same moment
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    clock: Clock
    rng: random.Random
    timeout_seconds: float

    def __call__(self, attempt: Callable[[int], T]) -> T:
        """Call ``attempt`` with the number of earlier tries, and return its result.

        After the timeout, raises OutcomeUnknown if any try raised it, because that commit may still be applied.
        Otherwise raises the last CommitRefused or DatabaseUnavailable. Other exceptions are raised at once.
        """
        deadline = self.clock.monotonic() + self.timeout_seconds
        uncertain: OutcomeUnknown | None = None
        for tries in count():
            try:
                return attempt(tries)
            except (CommitRefused, OutcomeUnknown, DatabaseUnavailable) as error:
                if isinstance(error, OutcomeUnknown):
                    uncertain = error
                delay = self.rng.uniform(0, min(FIRST_DELAY_SECONDS * 2 ** min(tries, 10), MAX_DELAY_SECONDS))
                # Always try twice: while this process was slow, another one may have settled the matter.
                if tries and self.clock.monotonic() + delay > deadline:
                    raise uncertain or error from None
            self.clock.sleep(delay)
        raise AssertionError("unreachable: count() never ends")

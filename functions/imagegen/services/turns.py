"""Lets the simultaneous calls of one user take turns, in the memory of this instance.

Two calls that read a user's document at the same time cannot both commit a change of it: one is refused, and reads
again. Calls that take turns are not refused, and cost no further reads. Calls in other instances take no turns, and
nothing depends on them: a commit is refused if the document has changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from threading import Lock, RLock
from typing import Any

from imagegen.dataclass import dataclass

TURN_SECONDS_MAX = 1.0
"""The longest wait for a turn. A call that has waited for longer goes on without one."""


@dataclass
class _Turn:
    """The calls of a user. The lock is reentrant, so that the simulation, which has one thread, never waits for it."""

    lock: Any = field(default_factory=RLock)
    calls: int = 0


class Turns:
    def __init__(self, seconds_max: float = TURN_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._lock = Lock()
        self._turns: dict[str, _Turn] = {}  # of the users whose calls are running

    @contextmanager
    def of(self, user_id: str) -> Iterator[None]:
        """Run the block while no other call of the user, in this instance, runs such a block."""
        with self._lock:
            turn = self._turns.setdefault(user_id, _Turn())
            turn.calls += 1
        has_turn = turn.lock.acquire(timeout=self._seconds_max)
        try:
            yield
        finally:
            if has_turn:
                turn.lock.release()
            with self._lock:
                turn.calls -= 1
                if not turn.calls:
                    del self._turns[user_id]

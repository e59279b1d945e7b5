"""The port to the task queues. A task may be delivered once, several times, late, or never."""

from datetime import datetime
from typing import Protocol


class QueueUnavailable(Exception):
    """The queue could not be reached, or did not say whether it took the task."""


class TaskQueue(Protocol):
    """Task queues by the name of the function that they deliver to. ``CloudTasks`` is the real one."""

    def put(self, queue: str, task: dict[str, str], not_before: datetime | None = None) -> None:
        """Have ``task`` delivered, if the queue knows how to wait, not before that. Raises QueueUnavailable."""

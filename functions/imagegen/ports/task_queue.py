"""The port to the task queues. A task may be delivered once, several times, late or never."""

from datetime import datetime
from typing import Protocol


class QueueUnavailable(Exception):
    """The queue could not be reached, or did not confirm the task."""


class TaskQueue(Protocol):
    """The task queues, by the name of the function that handles their tasks. ``CloudTasks`` implements it."""

    def put(self, queue: str, task: dict[str, str], not_before: datetime | None = None) -> None:
        """Add a task to a queue. Raises QueueUnavailable.

        The task is not delivered before ``not_before``, if the queue supports it. The emulator's queue does not.
        """

"""The port to the task queues. A task may be delivered once, several times, late or never."""

import hashlib
import json
from datetime import datetime
from typing import Protocol


class QueueUnavailable(Exception):
    """The queue could not be reached, or did not confirm the task."""


class TaskQueue(Protocol):
    """The task queues, by the name of the function that handles their tasks. ``CloudTasks`` implements it."""

    def put(self, queue: str, task: dict[str, str], name: str, not_before: datetime | None = None) -> bool:
        """Add a task to a queue. Return False if the queue knows the name already. Raises QueueUnavailable.

        A queue knows the name of a task that waits or runs, and for some time the name of a task that has ended: Cloud
        Tasks for about an hour, its emulator until it stops. So False does not mean that the task still waits.
        The task is not delivered before ``not_before``, if the queue supports it. The emulator's queue does not.
        """


def task_name(*parts: str | int) -> str:
    """Return the name of the task that ``parts`` identify: a hash, because Cloud Tasks needs names spread evenly."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

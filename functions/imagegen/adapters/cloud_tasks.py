"""Implements the ``TaskQueue`` port with Cloud Tasks."""

from datetime import datetime
from typing import TYPE_CHECKING

from google.auth.exceptions import GoogleAuthError

from imagegen.deadlines import DeadlineExceeded, Deadlines
from imagegen.ports.task_queue import QueueUnavailable

if TYPE_CHECKING:
    from firebase_admin.functions import TaskQueue

DISPATCH_SECONDS = 300
"""The timeout of a delivery, the same as a function's."""

ENQUEUE_SECONDS = 5.0
"""The time to enqueue a task. A task that is not confirmed by then may be enqueued all the same."""

_EMULATORS_NAME = "Invalid resource name format."
"""The SDK's message for the emulator's answer to a task with a name. The task was added."""


class CloudTasks:
    """Enqueues tasks for task queue functions with the Admin SDK, in the emulator too. The first call imports it."""

    def __init__(self) -> None:
        self._deadlines = Deadlines()

    def put(self, queue: str, task: dict[str, str], name: str, not_before: datetime | None = None) -> bool:
        """Enqueue the task. The emulator ignores ``not_before``, so the function must refuse a task that is early."""
        from firebase_admin import functions
        from firebase_admin.exceptions import AlreadyExistsError, ConflictError, FirebaseError

        options = functions.TaskOptions(
            task_id=name, dispatch_deadline_seconds=DISPATCH_SECONDS, schedule_time=not_before
        )
        if self._deadlines.is_full:
            raise QueueUnavailable("too many calls of the queue have not ended yet")
        try:
            self._deadlines.run(lambda: _queue(queue).enqueue({"data": task}, options), ENQUEUE_SECONDS)
        except (AlreadyExistsError, ConflictError):  # the emulator answers 409 without a status
            return False
        except (DeadlineExceeded, FirebaseError, GoogleAuthError, ValueError) as error:  # ValueError: no credentials
            if str(error) != _EMULATORS_NAME:
                raise QueueUnavailable(str(error)) from error
        return True


def _queue(name: str) -> "TaskQueue":
    """Return a queue whose late calls end in seconds. The SDK has no public setting for its timeout of 120 s."""
    from firebase_admin import functions

    from imagegen import admin_sdk  # noqa: F401 - initializes the SDK

    queue = functions.task_queue(name)
    queue._http_client._timeout = ENQUEUE_SECONDS
    return queue

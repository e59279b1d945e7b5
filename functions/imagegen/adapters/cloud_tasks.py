"""Implements the ``TaskQueue`` port with Cloud Tasks."""

from datetime import datetime

from firebase_admin import functions
from firebase_admin.exceptions import FirebaseError
from google.auth.exceptions import GoogleAuthError

from imagegen.ports.task_queue import QueueUnavailable

DISPATCH_SECONDS = 300
"""The timeout of a delivery, the same as a function's."""


class CloudTasks:
    """Enqueues tasks for task queue functions with the Admin SDK, in the emulator too."""

    def put(self, queue: str, task: dict[str, str], not_before: datetime | None = None) -> None:
        """Enqueue the task. The emulator ignores ``not_before``, so the function must refuse a task that is early."""
        options = functions.TaskOptions(dispatch_deadline_seconds=DISPATCH_SECONDS, schedule_time=not_before)
        try:
            functions.task_queue(queue).enqueue({"data": task}, options)
        except (FirebaseError, GoogleAuthError, ValueError) as error:  # ValueError: credentials are missing
            raise QueueUnavailable(str(error)) from error

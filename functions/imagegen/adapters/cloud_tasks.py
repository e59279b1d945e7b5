"""Implements the ``TaskQueue`` port with Cloud Tasks."""

from datetime import datetime

from firebase_admin import functions
from firebase_admin.exceptions import FirebaseError
from google.auth.exceptions import GoogleAuthError

from imagegen.ports.task_queue import QueueUnavailable

DISPATCH_SECONDS = 300
"""How long a delivery may take: as long as a function."""


class CloudTasks:
    """Task queue functions through the Admin SDK, in the emulator too."""

    def put(self, queue: str, task: dict[str, str], not_before: datetime | None = None) -> None:
        """The emulator knows no ``not_before``: there, whoever is called too early has to refuse."""
        options = functions.TaskOptions(dispatch_deadline_seconds=DISPATCH_SECONDS, schedule_time=not_before)
        try:
            functions.task_queue(queue).enqueue({"data": task}, options)
        except (FirebaseError, GoogleAuthError, ValueError) as error:  # ValueError: credentials are missing
            raise QueueUnavailable(str(error)) from error

"""Cloud Tasks behind the ``Queue`` seam."""

from firebase_admin import functions
from firebase_admin.exceptions import FirebaseError

from imagegen.queue import QueueUnavailable

DISPATCH_SECONDS = 300
"""How long a delivery may take: as long as a function."""


class CloudTasks:
    """Task queue functions through the Admin SDK, in the emulator too."""

    def put(self, queue: str, task: dict[str, str]) -> None:
        options = functions.TaskOptions(dispatch_deadline_seconds=DISPATCH_SECONDS)
        try:
            functions.task_queue(queue).enqueue({"data": task}, options)
        except (FirebaseError, ValueError) as error:  # ValueError: what the SDK makes of missing credentials
            raise QueueUnavailable(str(error)) from error

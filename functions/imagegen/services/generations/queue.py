"""Puts the tasks of pending requests on the queues of their models."""

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.fields import Unreadable
from imagegen.domain.catalog import Model
from imagegen.domain.generation import GenerationRequest
from imagegen.events import Event, type_of
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.ports.task_queue import QueueUnavailable, TaskQueue, task_name
from imagegen.services.server_keys import ServerKeys

TICKET_KEYS = "tickets"
"""The name of the keys of the tickets. A ticket proves that a task comes from this backend, and is stored nowhere."""


@dataclass(frozen=True)
class RequestQueue:
    tasks: TaskQueue
    tickets: ServerKeys

    def put(self, request: GenerationRequest, model: Model) -> bool:
        """Put the request's task on its model's queue, and return whether it is new.

        The name of the task is a hash of the request's id and task number. The queue therefore refuses the task of a
        repeated call. Raises QueueUnavailable, and what reading the key of the tickets raises.
        """
        task = {"generationRequestId": request.id, "ticket": self.tickets.digest(request.id)}
        return self.tasks.put(model.queue, task, task_name(request.id, request.task_number))

    def enqueue(self, request: GenerationRequest, model: Model) -> None:
        """Put the request's task on its model's queue. If this fails, log it: a sweep puts the task later."""
        try:
            if self.put(request, model):
                events.info(Event.REQUEST_QUEUED, generationRequestId=request.id, queue=model.queue)
        except (QueueUnavailable, DatabaseUnavailable, CommitRefused, OutcomeUnknown, Unreadable) as error:
            events.warning(Event.REQUEST_NOT_QUEUED, generationRequestId=request.id, error=type_of(error))

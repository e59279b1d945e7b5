"""The queue's two ends: handing requests to it, and running what it delivers.

A task may be delivered twice, in parallel, late, or never. A commit on the request decides which delivery runs it; the
sweeper queues again what no delivery has taken.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from imagegen.documents.generations import Held, progress_fields, request_path
from imagegen.domain.catalog import Model
from imagegen.domain.generation import LEASE_GRACE, FailureReason, GenerationRequest, Status, lease
from imagegen.errors import PermissionDenied
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Update
from imagegen.ports.task_queue import Queue, QueueUnavailable
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.execution import Execution
from imagegen.services.generations.settlement import NoImage
from imagegen.services.retry import Retry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dispatcher:
    tasks: Queue

    def queue(self, request: GenerationRequest, model: Model) -> None:
        """Hand a pending request to its model's queue. If that fails, the next sweep does it."""
        try:
            self.tasks.put(model.queue, {"generationRequestId": request.id, "ticket": request.execution})
        except QueueUnavailable as error:
            log.warning("Request %s could not be queued and is left for the next sweep: %s", request.id, error)


@dataclass(frozen=True)
class Worker:
    database: Database
    catalogs: Catalogs
    execution: Execution
    clock: Clock
    taking: Retry
    new_id: Callable[[], str]

    def run(self, request_id: str, ticket: str) -> Status | None:
        """How the request that a task is about has ended by this delivery; None if that is not this one's business.

        ``ticket`` is what the request and its tasks alone know. Raises PermissionDenied without it, ServiceUnavailable
        and what outlasts the retries (the queue tries again), and SettlementPending (the sweeper settles it).
        """
        [document] = self.database.read(request_path(request_id))
        if not document.exists or (held := Held.of(document)).request.execution != ticket:
            raise PermissionDenied("Only the queue may run a request.")
        model = self.catalogs.current().model(held.request.model)
        taken = self._take(held, lease(model) if model else LEASE_GRACE)
        if taken is None:
            return None
        if model is None:
            gone = NoImage(FailureReason.GENERATION_FAILED, f"{held.request.model} is not there any more.")
            return self.execution.settlements.settle(taken, gone).status
        return self.execution.run(taken, model).status

    def _take(self, held: Held, lease: timedelta) -> Held | None:
        """The request, now this delivery's own to run; None if another was first, or it has ended."""
        worker = self.new_id()

        def attempt(tries: int) -> Held | None:
            current = Held.of(*self.database.read(request_path(held.request.id))) if tries else held
            if current.request.worker == worker:
                return current  # our own commit got through, and only its answer was lost
            if current.request.status is not Status.PENDING:
                return None
            taken = current.request.taken(worker, lease, self.clock.now())
            [version] = self.database.commit(Update(request_path(taken.id), progress_fields(taken), current.version))
            return Held(taken, version)

        return self.taking(attempt)

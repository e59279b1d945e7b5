"""Recovers stuck work.

A request whose process died is refunded. A request or webhook whose task was lost is enqueued again. A request that
has waited too long is refunded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from imagegen import events
from imagegen.documents.generations import REQUESTS, StoredRequest, progress_fields, request_path
from imagegen.domain.generation import OPEN, FailureReason, GenerationRequest, Status
from imagegen.errors import ServiceUnavailable
from imagegen.events import Event, type_of
from imagegen.ports.clock import Clock
from imagegen.ports.database import (
    CommitRefused,
    Database,
    DatabaseUnavailable,
    OutcomeUnknown,
    Query,
    Snapshot,
    Update,
    Where,
)
from imagegen.ports.task_queue import TaskQueue
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.settlement import Failed, Settlements
from imagegen.services.generations.worker import enqueue
from imagegen.services.webhooks.outbox import Outbox

PAGE_SIZE = 100


@dataclass(frozen=True)
class Sweeper:
    """Recovers stuck requests and webhooks.

    Sweeps may overlap, stop halfway, or compete with a process that finishes late: the first commit wins.
    """

    database: Database
    clock: Clock
    settlements: Settlements
    tasks: TaskQueue
    outbox: Outbox
    catalogs: Catalogs

    def sweep(self) -> int:
        """Recover requests with an expired lease, and overdue webhooks. Return the number of recovered items.

        Items that cannot be recovered now are left for the next sweep. Raises DatabaseUnavailable.
        """
        expired = Query(
            REQUESTS,
            where=(
                Where("status", "in", tuple(status.value for status in OPEN)),
                Where("leaseExpiresAt", "<", self.clock.now()),
            ),
            limit=PAGE_SIZE,
        )
        overdue = self.outbox.overdue(PAGE_SIZE)
        return self._recover_all(expired, self._recover_request) + self._recover_all(overdue, self.outbox.enqueue_again)

    def _recover_all(self, query: Query, recover: Callable[[Snapshot], bool]) -> int:
        """Recover the documents that ``query`` finds, page by page. Return the number of recovered documents."""
        swept = 0
        while page := self.database.find(query):
            recovered = sum(map(recover, page))
            swept += recovered
            if not recovered:
                break  # the next query would return the same page
        return swept

    def _recover_request(self, document: Snapshot) -> bool:
        stored = StoredRequest.of(document)
        try:
            if stored.request.status is Status.PENDING:
                self._enqueue_again(stored)
            else:
                self.settlements.settle(stored, Failed(FailureReason.ABANDONED, "The request was interrupted."))
        except (CommitRefused, OutcomeUnknown, DatabaseUnavailable, ServiceUnavailable) as error:
            events.warning(Event.REQUEST_NOT_SWEPT, generationRequestId=stored.request.id, error=type_of(error))
            return False
        return True

    def _enqueue_again(self, stored: StoredRequest) -> None:
        request, now = stored.request, self.clock.now()
        model = self.catalogs.current().model(request.model)
        if model is None or _has_waited_too_long(request, now):
            waited = Failed(FailureReason.EXPIRED, "The request waited in its queue for too long.")
            self.settlements.settle(stored, waited)
            return
        again = request.enqueued_again(now)
        self.database.commit(Update(request_path(request.id), progress_fields(again), stored.version))
        enqueue(self.tasks, again, model)


def _has_waited_too_long(request: GenerationRequest, now: datetime) -> bool:
    return request.give_up_at is not None and request.give_up_at <= now

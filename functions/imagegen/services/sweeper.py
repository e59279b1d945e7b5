"""The sweeper: brings on the requests and webhooks that nobody brings on any more.

A process that died leaves its request unsettled, which is then failed and refunded. A task that never arrived leaves
its request pending, which is queued again, until it has waited too long and is refunded; or its webhook, which is
queued again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from imagegen.documents.generations import REQUESTS, Held, progress_fields, request_path
from imagegen.domain.generation import OPEN, FailureReason, GenerationRequest, Status
from imagegen.errors import ServiceUnavailable
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
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.settlement import NoImage, Settlements
from imagegen.services.generations.worker import Dispatcher
from imagegen.services.webhooks.outbox import Outbox

PAGE_SIZE = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweeper:
    """Any number may run at once, die halfway, or meet a process that finishes late: who commits first wins."""

    database: Database
    clock: Clock
    settlements: Settlements
    dispatcher: Dispatcher
    outbox: Outbox
    catalogs: Catalogs

    def sweep(self) -> int:
        """How many requests with an expired lease and overdue webhooks have been brought on, by this or a rival run.

        What cannot be brought on now is left for the next run. Raises DatabaseUnavailable.
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
        return self._each(expired, self._brought_on) + self._each(overdue, self.outbox.queue_again)

    def _each(self, query: Query, bring_on: Callable[[Snapshot], bool]) -> int:
        """How many of what is found could be brought on, page after page."""
        swept = 0
        while page := self.database.find(query):
            brought_on = sum(map(bring_on, page))
            swept += brought_on
            if not brought_on:
                break  # the same page would come again
        return swept

    def _brought_on(self, document: Snapshot) -> bool:
        held = Held.of(document)
        try:
            if held.request.status is Status.PENDING:
                self._queue_again(held)
            else:
                self.settlements.settle(held, NoImage(FailureReason.ABANDONED, "The request was interrupted."))
        except (CommitRefused, OutcomeUnknown, DatabaseUnavailable, ServiceUnavailable) as error:
            log.warning("Request %s is left for the next sweep: %s", held.request.id, error)
            return False
        return True

    def _queue_again(self, held: Held) -> None:
        request, now = held.request, self.clock.now()
        model = self.catalogs.current().model(request.model)
        if model is None or _has_waited_too_long(request, now):
            waited = NoImage(FailureReason.EXPIRED, "The request has waited too long.")
            self.settlements.settle(held, waited)
            return
        again = request.queued_again(now)
        self.database.commit(Update(request_path(request.id), progress_fields(again), held.version))
        self.dispatcher.queue(again, model)


def _has_waited_too_long(request: GenerationRequest, now: datetime) -> bool:
    return request.give_up_at is not None and request.give_up_at <= now

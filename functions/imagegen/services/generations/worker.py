"""Runs the requests of delivered tasks.

A task may be delivered twice, in parallel, late, or never. A commit on the request decides which delivery runs it. The
queue delivers a task again until the worker raises nothing.
"""

from collections.abc import Callable
from datetime import timedelta

from imagegen import events, tracing
from imagegen.dataclass import dataclass
from imagegen.documents.generations import StoredRequest, progress_fields, request_path
from imagegen.domain.generation import LEASE_GRACE, FailureReason, Status, lease
from imagegen.errors import PermissionDenied
from imagegen.events import Event
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Update
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.execution import Execution
from imagegen.services.generations.settlement import Failed
from imagegen.services.retry import Retry
from imagegen.services.server_keys import ServerKeys
from imagegen.services.unreadable import read_or_log


@dataclass(frozen=True)
class Worker:
    database: Database
    tickets: ServerKeys
    catalogs: Catalogs
    execution: Execution
    clock: Clock
    retry: Retry
    new_id: Callable[[], str]

    def run(self, request_id: str, ticket: str) -> Status | None:
        """Run the request named by a task. Return its status, or None if another delivery claimed it or it has ended.

        Also return None for a request that cannot be read: it is logged, and its task must not come again and again.

        Raises:
        - PermissionDenied: the ticket is wrong.
        - ServiceUnavailable, CommitRefused, OutcomeUnknown and DatabaseUnavailable: the queue tries again.
        - SettlementPending: the sweeper settles the request.
        """
        if not self.tickets.accepts(request_id, ticket):
            raise PermissionDenied("Only the queue may run a request.")
        [document] = self.database.read(request_path(request_id))
        if not document.exists or (stored := read_or_log(StoredRequest.of, document)) is None:
            return None
        tracing.continue_request(stored.request)
        catalog, request = self.catalogs.current(), stored.request
        if catalog.model(request.model) is None or catalog.size(request.size) is None:
            catalog = self.catalogs.load()  # the option may be newer than this instance's catalog
        model, size = catalog.model(request.model), catalog.size(request.size)
        if model is not None:
            self.execution.check_provider(model)
        claimed = self._claim(stored, lease(model) if model else LEASE_GRACE)
        if claimed is None:
            return None
        waited = self.clock.now() - request.created_at
        events.info(Event.REQUEST_STARTED, generationRequestId=request.id, waitedSeconds=waited.total_seconds())
        if model is None or size is None:
            name = request.model if model is None else request.size
            gone = Failed(FailureReason.GENERATION_FAILED, f"{name} is no longer in the catalog.")
            return self.execution.end(claimed, gone).request.status
        return self.execution.run(claimed, model, size).request.status

    def _claim(self, stored: StoredRequest, lease: timedelta) -> StoredRequest | None:
        """Claim the request for this delivery. Return None if another delivery was first, or the request has ended."""
        worker = self.new_id()

        def attempt(tries: int) -> StoredRequest | None:
            current = StoredRequest.of(*self.database.read(request_path(stored.request.id))) if tries else stored
            if current.request.claimed_by == worker:
                return current  # our own commit was applied, but its answer was lost
            if current.request.status is not Status.PENDING:
                return None
            claimed = current.request.claimed(worker, lease, self.clock.now())
            [version] = self.database.commit(
                Update(request_path(claimed.id), progress_fields(claimed), current.version)
            )
            return StoredRequest(claimed, version)

        return self.retry(attempt)

"""Recovers stuck work.

A request whose process died is refunded. A request or webhook whose task was lost gets another one. A request that has
waited too long is refunded. A purchase is reconciled, because its events may have been lost. The files of a request
that was not completed are deleted after a day. Deletions of accounts go on, and so do exports, whose files are deleted
after a week.

Each document is recovered for itself. One that cannot be read or recovered is logged and left for the next sweep.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from imagegen import events, tracing
from imagegen.dataclass import dataclass
from imagegen.documents.fields import Unreadable
from imagegen.documents.generations import REQUESTS, StoredRequest, request_path, task_fields
from imagegen.domain.generation import REFUNDED, TASK_LOST_AFTER, FailureReason, Status
from imagegen.errors import ServiceUnavailable
from imagegen.events import Event, SafeText, type_of
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
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.ports.task_queue import QueueUnavailable
from imagegen.services import unreadable
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.queue import RequestQueue
from imagegen.services.generations.settlement import Failed, Settlements
from imagegen.services.images.storage import Images
from imagegen.services.webhooks.outbox import Outbox

if TYPE_CHECKING:  # imported where payments are on
    from imagegen.services.purchases.reconcile import Reconciliation

PAGE_SIZE = 100
PARALLEL_USERS = 8

SWEEP_SECONDS = 210.0
"""The time after which a sweep begins no further document. It leaves time for the last ones before the timeout."""


REPLACED_MAX = 10
"""The number of requests, and of webhooks, that a sweep gives another task although the queue knows their task.

The task may be gone, but it may also still wait. The bound keeps the additional load far below what a queue can do, so
that a backlog cannot feed itself.
"""

TRANSIENT = (
    CommitRefused,
    OutcomeUnknown,
    DatabaseUnavailable,
    QueueUnavailable,
    ServiceUnavailable,
    ObjectStoreUnavailable,
)
"""The errors that may have passed by the next sweep."""

A = TypeVar("A")
B = TypeVar("B")

Run = Callable[[Callable[[A], B], Iterable[A]], Iterable[B]]


def in_threads(work: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """Return ``work`` of each item, several at a time."""
    with ThreadPoolExecutor(PARALLEL_USERS) as pool:
        return list(pool.map(work, items))


@dataclass(frozen=True)
class Part:
    """A part of a sweep: the query for its documents, and the event to log for one that is not recovered.

    ``recover`` returns whether it recovered the document, and raises if it could not.
    """

    query: Query
    recover: Callable[[Snapshot], bool]
    not_recovered: Event


@dataclass(frozen=True)
class Sweeper:
    """Recovers stuck requests and webhooks.

    Sweeps may overlap, stop halfway, or compete with a process that finishes late: the first commit wins.
    ``settlements`` retries for seconds only. ``run`` works on several users at a time. The documents of one user are
    recovered one after the other, because they change the same account. ``reconciliation`` is None where payments are
    off. ``account_data`` returns the parts for exports and deletions of accounts, whose services few functions need.
    """

    database: Database
    clock: Clock
    settlements: Settlements
    queue: RequestQueue
    outbox: Outbox
    catalogs: Catalogs
    images: Images
    reconciliation: "Reconciliation | None" = None
    account_data: Callable[[], Sequence[Part]] = tuple
    run: Run[Sequence[Snapshot], int] = in_threads

    def sweep(self) -> int:
        """Recover requests whose process died, requests that wait, overdue webhooks, leftover files and account data.

        Where payments are on, reconcile the purchases that are due too. Return the number of recovered documents. The
        parts are independent: if the documents of one cannot be read, the others still run. Raises the last such error
        at the end.
        """
        parts = [
            Part(self._expired(Status.PROCESSING), self._abandon, Event.REQUEST_NOT_SWEPT),
            Part(
                self._expired(Status.PENDING),
                partial(self._requeue, may_replace=_at_most(REPLACED_MAX)),
                Event.REQUEST_NOT_SWEPT,
            ),
            *self._due_purchases(),
            Part(
                self.outbox.overdue(PAGE_SIZE),
                partial(self.outbox.recover, may_replace=_at_most(REPLACED_MAX)),
                Event.WEBHOOK_NOT_SWEPT,
            ),
        ]
        shares = len(parts) + 1  # of the time: one for each of these parts, and one for all the others together
        parts += [Part(self._with_leftovers(), self._delete_leftovers, Event.IMAGES_NOT_SWEPT), *self.account_data()]
        swept = 0
        failure: Exception | None = None
        logged: set[str] = set()
        began = self.clock.monotonic()
        for number, part in enumerate(parts, start=1):
            try:
                swept += sum(self._recover_all(part, began + SWEEP_SECONDS * min(number / shares, 1), logged))
            except DatabaseUnavailable as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - logged, raised at the end, and the other parts go on
                events.exception(part.not_recovered, collection=part.query.collection)
                failure = error
        if failure is not None:
            raise failure
        events.info(Event.SWEEP_ENDED, recovered=swept)
        return swept

    def _due_purchases(self) -> Iterator[Part]:
        if self.reconciliation is not None:
            purchases = self.reconciliation
            yield Part(purchases.due(PAGE_SIZE), purchases.check, Event.PURCHASE_NOT_RECONCILED)

    def _expired(self, status: Status) -> Query:
        where = (Where("status", "==", status.value), Where("leaseExpiresAt", "<", self.clock.now()))
        return Query(REQUESTS, where, order_by="leaseExpiresAt", ascending=True, limit=PAGE_SIZE)

    def _with_leftovers(self) -> Query:
        """Return the query for the requests whose runs may have left files a day ago."""
        refunded = tuple(status.value for status in REFUNDED)
        where = (Where("status", "in", refunded), Where("deleteImagesAt", "<", self.clock.now()))
        return Query(REQUESTS, where, order_by="deleteImagesAt", ascending=True, limit=PAGE_SIZE)

    def _recover_all(self, part: Part, until: float, logged: set[str]) -> Iterator[int]:
        """Recover the documents of a part, page by page. Yield the number of recovered documents of each page.

        Each page starts after the last document of the page before, whether or not that document was recovered.
        """
        query = part.query
        assert query.order_by is not None, "each page starts after the last document of the page before"

        def recovered(documents: Sequence[Snapshot]) -> int:
            return sum(
                self._recover(part, document, logged) for document in documents if self.clock.monotonic() < until
            )

        while page := self.database.find(query):
            yield from self.run(recovered, _by_user(page))
            if self.clock.monotonic() >= until:
                events.warning(Event.SWEEP_NOT_FINISHED, collection=query.collection)
                return
            query = replace(query, start_after=(page[-1].data[query.order_by], page[-1].id))

    def _recover(self, part: Part, document: Snapshot, logged: set[str]) -> bool:
        """Recover one document. Return False if it was not recovered, and log the reason if there was an error.

        ``logged`` are the paths of unreadable documents that this sweep has logged.
        """
        with tracing.own_work():
            return self._tried(part, document, logged)

    def _tried(self, part: Part, document: Snapshot, logged: set[str]) -> bool:
        try:
            return part.recover(document)
        except Unreadable as error:  # the document, or the account of its user
            if error.path not in logged:
                logged.add(error.path)
                unreadable.log(error)
        except TRANSIENT as error:
            events.warning(part.not_recovered, path=SafeText(document.path), error=type_of(error))
        except Exception:  # noqa: BLE001 - logged, and the others go on
            events.exception(part.not_recovered, path=SafeText(document.path))
        return False

    def _abandon(self, document: Snapshot) -> bool:
        interrupted = Failed(FailureReason.ABANDONED, "The request was interrupted.")
        self.settlements.settle(StoredRequest.of(document), interrupted)
        return True

    def _delete_leftovers(self, document: Snapshot) -> bool:
        stored = StoredRequest.of(document)
        tracing.continue_request(stored.request)
        if not self.images.delete(stored.request):
            return False  # the next sweep deletes the rest
        self.database.commit(Update(document.path, {"deleteImagesAt": None}, stored.version))
        return True

    def _requeue(self, document: Snapshot, may_replace: Callable[[], bool]) -> bool:
        """Refund a pending request that has waited too long, or else put its task on the queue if it is not there.

        If the queue knows the task, put another one when the request has waited long and ``may_replace`` allows it.
        """
        stored = StoredRequest.of(document)
        request, now = stored.request, self.clock.now()
        tracing.continue_request(request)
        model = None if request.must_end_by <= now else self.catalogs.current().model(request.model)
        if model is None:
            waited = Failed(FailureReason.EXPIRED, "The request waited in its queue for too long.")
            self.settlements.settle(stored, waited)
            return True
        if self.queue.put(request, model):
            return True
        if request.created_at > now - TASK_LOST_AFTER or not may_replace():
            return False
        again = request.with_new_task(now)
        self.database.commit(Update(request_path(request.id), task_fields(again), stored.version))
        return self.queue.put(again, model)


def _at_most(times: int) -> Callable[[], bool]:
    """Return a function that returns True the first ``times`` times, in any thread."""
    calls = count()
    return lambda: next(calls) < times


def _by_user(documents: Iterable[Snapshot]) -> list[list[Snapshot]]:
    """Return the documents of each user."""
    by_user: dict[str, list[Snapshot]] = {}
    for document in documents:
        by_user.setdefault(str(document.data.get("userId")), []).append(document)
    return list(by_user.values())

"""Implements the ``Database`` port with Cloud Firestore."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from imagegen import events
from imagegen.events import Event, SafeText
from imagegen.ports.database import (
    CommitRefused,
    Create,
    DatabaseUnavailable,
    OutcomeUnknown,
    Put,
    Query,
    Snapshot,
    Sum,
    Totals,
    Update,
    Version,
    Write,
)

CALL_TIMEOUT_SECONDS = 10.0
"""The timeout of a commit, and of a read with its retries."""

TOTALS_TIMEOUT_SECONDS = 60.0
"""The timeout of a count or sum. Firestore itself stops one after a minute."""

SCAN_PAGE_SIZE = 300

# The server refused the commit. Nothing was written.
_REFUSALS = (exceptions.Aborted, exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound)
# The answer was lost or the server failed. The commit may have been applied.
_UNCERTAIN = (
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.Unknown,
    exceptions.Cancelled,
    exceptions.ResourceExhausted,
    exceptions.RetryError,
)


class FirestoreDatabase:
    """Firestore through its official client. Thread-safe, like the client."""

    def __init__(
        self,
        client: firestore.Client,
        timeout_seconds: float = CALL_TIMEOUT_SECONDS,
        totals_timeout_seconds: float = TOTALS_TIMEOUT_SECONDS,
    ) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._read_options = _read_options(timeout_seconds)
        self._totals_read_options = _read_options(totals_timeout_seconds)

    def read(self, *paths: str) -> list[Snapshot]:
        references = [self._client.document(path) for path in paths]
        try:
            found = {
                document.reference.path: Snapshot(
                    document.reference.path, document.to_dict() or {}, document.update_time
                )
                for document in self._client.get_all(references, **self._read_options)
            }
        except (*_UNCERTAIN, exceptions.Aborted) as error:
            raise DatabaseUnavailable(str(error)) from error
        return [found[path] for path in paths]

    def commit(self, *writes: Write) -> list[Version]:
        batch = self._client.batch()
        for write in writes:
            document = self._client.document(write.path)
            match write:
                case Create(data=data):
                    batch.create(document, dict(data))
                case Update(fields=fields, version=version):
                    batch.update(document, dict(fields), self._client.write_option(last_update_time=version))
                case Put(data=data):
                    batch.set(document, dict(data))
        try:
            # The client must not retry. After a lost answer, read again before you decide to send the commit again.
            results = batch.commit(retry=None, timeout=self._timeout_seconds)
        except _REFUSALS as error:
            raise CommitRefused(str(error)) from error
        except _UNCERTAIN as error:
            raise OutcomeUnknown(str(error)) from error
        return [result.update_time for result in results]

    def find(self, query: Query) -> Sequence[Snapshot]:
        try:
            return [
                Snapshot(document.reference.path, document.to_dict() or {}, document.update_time)
                for document in self._prepare(query).stream(**self._read_options)
            ]
        except (*_UNCERTAIN, exceptions.Aborted) as error:
            raise DatabaseUnavailable(str(error)) from error

    def scan(self, collection: str) -> Iterator[Snapshot]:
        by_id = self._client.collection(collection).order_by("__name__").limit(SCAN_PAGE_SIZE)
        page: list[Any] = []
        while True:
            try:
                page = list((by_id.start_after(page[-1]) if page else by_id).stream(**self._read_options))
            except (*_UNCERTAIN, exceptions.Aborted) as error:
                raise DatabaseUnavailable(str(error)) from error
            for document in page:
                yield Snapshot(document.reference.path, document.to_dict() or {}, document.update_time)
            if len(page) < SCAN_PAGE_SIZE:
                return

    def totals(self, *questions: Sum) -> list[Totals]:
        answers: list[Totals] = []
        moment: datetime | None = None  # the read time of the first answer, used for the others too
        for question in questions:
            aggregation = self._prepare(question.query).count(alias="count")
            if question.field is not None:
                aggregation = aggregation.sum(question.field, alias="sum")
            try:
                [results] = aggregation.get(read_time=moment, **self._totals_read_options)
            except (*_UNCERTAIN, exceptions.Aborted) as error:
                raise DatabaseUnavailable(str(error)) from error
            moment = moment or results[0].read_time
            values = {result.alias: result.value for result in results}
            answers.append(Totals(count=int(values["count"]), sum=_finite_sum(question, values.get("sum", 0))))
        return answers

    def _prepare(self, query: Query) -> Any:
        client = self._client
        prepared: Any = (client.collection_group if query.collection_group else client.collection)(query.collection)
        for condition in query.where:
            value = list(condition.value) if condition.op == "in" else condition.value
            prepared = prepared.where(filter=FieldFilter(condition.field, condition.op, value))
        if query.order_by is not None:
            direction = firestore.Query.ASCENDING if query.ascending else firestore.Query.DESCENDING
            prepared = prepared.order_by(query.order_by, direction=direction)
            match query.start_after:
                case (value,):
                    prepared = prepared.start_after({query.order_by: value})
                case (value, id):
                    prepared = prepared.order_by("__name__", direction=direction)
                    prepared = prepared.start_after({query.order_by: value, "__name__": id})
        if query.limit is not None:
            prepared = prepared.limit(query.limit)
        if query.offset:
            prepared = prepared.offset(query.offset)
        return prepared


def _finite_sum(question: Sum, value: float) -> int:
    """Return the sum as an integer. If a document holds NaN or infinity, no sum exists: log it, and return 0."""
    if not isfinite(value):
        field = SafeText(question.field)
        events.error(Event.DOCUMENT_UNREADABLE, path=SafeText(question.query.collection), field=field)
        return 0
    return int(value)


def _read_options(timeout_seconds: float) -> Any:
    """Return the retry policy and timeout of reads. The client's default policy retries for minutes: too long."""
    retry = Retry(
        predicate=if_exception_type(exceptions.ServiceUnavailable, exceptions.ResourceExhausted, exceptions.Aborted),
        initial=0.1,
        maximum=1.0,
        timeout=timeout_seconds,
    )
    return {"retry": retry, "timeout": timeout_seconds}

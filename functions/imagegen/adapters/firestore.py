"""Implements the ``Database`` port with Cloud Firestore."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from math import isfinite
from typing import Any

from google.api_core import exceptions
from google.api_core.gapic_v1 import routing_header
from google.api_core.grpc_helpers import wrap_errors
from google.api_core.retry import Retry, if_exception_type
from google.api_core.timeout import TimeToDeadlineTimeout
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.services.firestore.transports.base import DEFAULT_CLIENT_INFO

from imagegen import events
from imagegen.adapters import firestore_messages as messages
from imagegen.events import Event, SafeText
from imagegen.ports.database import (
    SUM_MAX,
    CommitRefused,
    DatabaseUnavailable,
    OutcomeUnknown,
    Query,
    Snapshot,
    Sum,
    Totals,
    Version,
    Write,
)

CALL_TIMEOUT_SECONDS = 10.0
"""The timeout of a commit, and of a read with its retries."""

TOTALS_TIMEOUT_SECONDS = 60.0
"""The timeout of a count or sum. Firestore itself stops one after a minute."""

PARALLEL_TOTALS = 8

MAX_HALVINGS = 5
"""The number of times that a count is divided if it takes too long: into 32 parts at most."""

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
        self._database = client._database_string
        self._root = f"{self._database}/documents/"
        self._database_metadata = self._metadata("database", self._database)
        self._commit = self._rpc("Commit", messages.CommitRequest, messages.CommitResponse)
        self._batch_get = self._rpc(
            "BatchGetDocuments",
            messages.BatchGetDocumentsRequest,
            messages.BatchGetDocumentsResponse,
            is_stream=True,
        )
        self._run_query = self._rpc("RunQuery", messages.RunQueryRequest, messages.RunQueryResponse, is_stream=True)

    def _rpc(self, method: str, request: Any, response: Any, *, is_stream: bool = False) -> Callable[..., Any]:
        """Return a call of Firestore's protocol on the client's channel, with the client's errors."""
        channel = self._client._firestore_api.transport.grpc_channel
        call = (channel.unary_stream if is_stream else channel.unary_unary)(
            f"/google.firestore.v1.Firestore/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        wrapped: Callable[..., Any] = wrap_errors(call)  # type: ignore[no-untyped-call]
        return wrapped

    def _metadata(self, name: str, value: str) -> Sequence[tuple[str, str]]:
        """Return the metadata that the client sends, with the field of the request that the server routes it by."""
        routing = routing_header.to_grpc_metadata(((name, value),))  # type: ignore[no-untyped-call]
        user_agent = DEFAULT_CLIENT_INFO.to_grpc_metadata()  # type: ignore[no-untyped-call]
        return (*self._client._rpc_metadata, routing, user_agent)

    def _stream(
        self, call: Callable[..., Iterable[Any]], request: Any, metadata: Sequence[tuple[str, str]]
    ) -> list[Any]:
        """Return all answers of a streamed call, with retries. Raises DatabaseUnavailable."""
        in_time = TimeToDeadlineTimeout(self._timeout_seconds)(call)  # type: ignore[no-untyped-call]
        try:
            answers: list[Any] = self._read_options["retry"](lambda: list(in_time(request, metadata=metadata)))()
        except (*_UNCERTAIN, exceptions.Aborted) as error:
            raise DatabaseUnavailable(str(error)) from error
        return answers

    def read(self, *paths: str) -> list[Snapshot]:
        if not paths:
            return []
        names = [self._root + path for path in paths]
        request = messages.BatchGetDocumentsRequest(database=self._database, documents=names)
        found = {
            answer.found.name: self._snapshot(answer.found)
            for answer in self._stream(self._batch_get, request, self._database_metadata)
            if answer.HasField("found")
        }
        return [found.get(name) or Snapshot(path, {}, None) for name, path in zip(names, paths, strict=True)]

    def commit(self, *writes: Write) -> list[Version]:
        request = messages.CommitRequest(database=self._database)
        for write in writes:
            messages.add_write(request, self._root, write)
        try:
            # It must not be retried. After a lost answer, read again before you decide to send the commit again.
            answer = self._commit(request, timeout=self._timeout_seconds, metadata=self._database_metadata)
        except _REFUSALS as error:
            raise CommitRefused(str(error)) from error
        except _UNCERTAIN as error:
            raise OutcomeUnknown(str(error)) from error
        return [messages.moment_of(result.update_time) for result in answer.write_results]

    def find(self, query: Query) -> Sequence[Snapshot]:
        return self._found(query.collection, self._prepare(query))

    def scan(self, collection: str) -> Iterator[Snapshot]:
        by_id = self._client.collection(collection).order_by("__name__").limit(SCAN_PAGE_SIZE)
        page: Sequence[Snapshot] = []
        while True:
            page = self._found(collection, by_id.start_after({"__name__": page[-1].id}) if page else by_id)
            yield from page
            if len(page) < SCAN_PAGE_SIZE:
                return

    def _found(self, collection: str, prepared: Any) -> list[Snapshot]:
        """Return the documents that a prepared query finds. Raises DatabaseUnavailable."""
        parent = (self._root + collection).rpartition("/")[0]
        request = messages.RunQueryRequest(parent=parent, structured_query=prepared._to_protobuf()._pb)
        answers = self._stream(self._run_query, request, self._metadata("parent", parent))
        return [self._snapshot(answer.document) for answer in answers if answer.HasField("document")]

    def _snapshot(self, document: Any) -> Snapshot:
        return messages.snapshot_of(document, self._root, self._client)

    def totals(self, *questions: Sum) -> list[Totals]:
        if not questions:
            return []
        first, moment = self._total(questions[0])
        if len(questions) == 1:
            return [first]
        with ThreadPoolExecutor(PARALLEL_TOTALS) as pool:
            others = pool.map(lambda question: self._total(question, moment), questions[1:])
            return [first, *(total for total, _ in others)]

    def _total(self, question: Sum, moment: datetime | None = None, halvings: int = 0) -> tuple[Totals, datetime]:
        """Return the result as of ``moment``, or as of now, and its moment."""
        aggregation = self._prepare(question.query).count(alias="count")
        for field in question.fields:
            aggregation = aggregation.sum(field, alias=_alias(field))
        try:
            [results] = aggregation.get(read_time=moment, **self._totals_read_options)
        except (*_UNCERTAIN, exceptions.Aborted) as error:
            took_too_long = isinstance(error, exceptions.DeadlineExceeded) and halvings < MAX_HALVINGS
            halves = question.halves() if took_too_long else None
            if halves is None:
                raise DatabaseUnavailable(str(error)) from error
            first, moment = self._total(halves[0], moment, halvings + 1)
            second, _ = self._total(halves[1], moment, halvings + 1)
            return first + second, moment
        values = {result.alias: result.value for result in results}
        sums = tuple(_finite_sum(question, field, values[_alias(field)]) for field in question.fields)
        return Totals(int(values["count"]), sums), results[0].read_time

    def _prepare(self, query: Query) -> Any:
        prepared: Any = firestore.Query(
            self._client.collection(query.collection), all_descendants=query.collection_group
        )
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


def _alias(field: str) -> str:
    """Return a name for the sum of a field, which may be a path."""
    return f"sum_{field.replace('.', '_')}"


def _finite_sum(question: Sum, field: str, value: float) -> int:
    """Return the sum as an integer that can be stored. If a document holds NaN, infinity or an absurd number, log it.

    With NaN or infinity, no sum exists, and the result is 0.
    """
    limited = min(max(value, -SUM_MAX), SUM_MAX) if isfinite(value) else 0
    if limited != value:
        events.error(Event.DOCUMENT_UNREADABLE, path=SafeText(question.query.collection), field=SafeText(field))
    return int(limited)


def _read_options(timeout_seconds: float) -> Any:
    """Return the retry policy and timeout of reads. The client's default policy retries for minutes: too long."""
    retry = Retry(
        predicate=if_exception_type(exceptions.ServiceUnavailable, exceptions.ResourceExhausted, exceptions.Aborted),
        initial=0.1,
        maximum=1.0,
        timeout=timeout_seconds,
    )
    return {"retry": retry, "timeout": timeout_seconds}

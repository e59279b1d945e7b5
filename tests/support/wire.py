"""A Firestore client that records the gRPC calls of the official client."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any, NoReturn

import grpc
from google.cloud import firestore
from google.cloud.firestore_v1.types import RunQueryRequest, RunQueryResponse, StructuredQuery


class Fault(grpc.RpcError):  # type: ignore[misc]
    """A failed call. If ``applied``, the server applied it before the failure; otherwise, the call never arrived."""

    def __init__(self, status: grpc.StatusCode, *, applied: bool = False) -> None:
        self.status = status
        self.applied = applied

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return "the connection broke"

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def result(self) -> NoReturn:
        raise self  # gRPC uses an error that an interceptor raises as the call object


def _wrapped(kind: Any, message: Any) -> Any:
    """Return a message of the protocol as the client library wraps it. Some calls send it without the wrapper."""
    return message if isinstance(message, kind) else kind.wrap(message)


@dataclass
class Read:
    """A streamed call, with the number of documents returned (also missing ones) or index entries counted."""

    method: str
    found: int = 0

    def add(self, response: Any) -> None:
        if self.method == "RunAggregationQuery":
            self.found += response.result.aggregate_fields["count"].integer_value
        elif self.method == "BatchGetDocuments" or "document" in _wrapped(RunQueryResponse, response):
            self.found += 1

    @property
    def billed(self) -> int:
        """The billed reads: one for each document or 1,000 index entries (rounded up), and at least one.

        https://firebase.google.com/docs/firestore/pricing#operations
        """
        return max(1, ceil(self.found / 1000) if self.method == "RunAggregationQuery" else self.found)


class ObservedStream:
    """A streamed answer whose responses are added to ``read``. A count above ``largest_count`` times out."""

    def __init__(self, call: Any, read: Read, largest_count: float) -> None:
        self._call = call
        self._read = read
        self._largest_count = largest_count

    def __iter__(self) -> "ObservedStream":
        return self

    def __next__(self) -> Any:
        response = next(self._call)
        self._read.add(response)
        if self._read.method == "RunAggregationQuery" and self._read.found > self._largest_count:
            raise Fault(grpc.StatusCode.DEADLINE_EXCEEDED)
        return response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


@dataclass
class Wire(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """All calls, as pairs of method name and request. The properties count the calls since the last ``reset``.

    The next commits use up ``commit_faults``, one each. None means no fault. A query that counts more than
    ``largest_count`` documents times out.
    """

    seen: list[tuple[str, Any]] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    start: int = 0
    reads_start: int = 0
    commit_faults: list[Fault | None] = field(default_factory=list)
    largest_count: float = inf

    def reset(self) -> None:
        """Start counting from here."""
        self.start = len(self.seen)
        self.reads_start = len(self.reads)

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return self.seen[self.start :]

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return self._pass_on(continuation, details, request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        read = Read(details.method.rpartition("/")[2])
        self.reads.append(read)
        return ObservedStream(self._pass_on(continuation, details, request), read, self.largest_count)

    def _pass_on(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        method = details.method.rpartition("/")[2]
        self.seen.append((method, request))
        fault = self.commit_faults.pop(0) if method == "Commit" and self.commit_faults else None
        if fault is None:
            return continuation(details, request)
        if fault.applied:
            continuation(details, request).result()
        raise fault

    @property
    def round_trips(self) -> int:
        return len(self.calls)

    @property
    def documents_read(self) -> int:
        """The number of documents read by path, without those of queries."""
        return sum(len(request.documents) for method, request in self.calls if method == "BatchGetDocuments")

    @property
    def billed_reads(self) -> int:
        """The number of reads that Firestore bills for reads and queries, including index entries."""
        return sum(read.billed for read in self.reads[self.reads_start :])

    @property
    def writes(self) -> int:
        return sum(len(request.writes) for method, request in self.calls if method == "Commit")

    @property
    def queries(self) -> list[tuple[str, StructuredQuery, list[str]]]:
        """All queries, each as method, query and summed fields."""
        found: list[tuple[str, StructuredQuery, list[str]]] = []
        for method, request in self.calls:
            if method == "RunQuery":
                found.append((method, _wrapped(RunQueryRequest, request).structured_query, []))
            elif method == "RunAggregationQuery":
                aggregated = request.structured_aggregation_query
                fields = [part.sum.field.field_path for part in aggregated.aggregations if "sum" in part]
                found.append((method, aggregated.structured_query, fields))
        return found


class ObservedClient(firestore.Client):
    """The official client on an emulator. It records its calls in ``wire``."""

    def __init__(self, project: str) -> None:
        super().__init__(project=project)
        self.wire = Wire()

    def _emulator_channel(self, transport: Any) -> Any:
        return grpc.intercept_channel(super()._emulator_channel(transport), self.wire)  # type: ignore[no-untyped-call]

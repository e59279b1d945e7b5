"""A Firestore client that remembers what it really sent: the gRPC calls under the official client."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NoReturn

import grpc
from google.cloud import firestore
from google.cloud.firestore_v1.types import StructuredQuery


class Fault(grpc.RpcError):  # type: ignore[misc]
    """The failure of a call, after the server had ``applied`` it or before it got there."""

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
        raise self  # gRPC takes an error that an interceptor raises for the call itself


@dataclass
class Read:
    """A streamed call and what came back: documents, found or not, or the index entries that were counted."""

    method: str
    found: int = 0

    def add(self, response: Any) -> None:
        if self.method == "RunAggregationQuery":
            self.found += response.result.aggregate_fields["count"].integer_value
        elif self.method == "BatchGetDocuments" or "document" in response:
            self.found += 1

    @property
    def billed(self) -> int:
        """A read for each document, or for each started 1,000 index entries; for a query at least one.

        https://firebase.google.com/docs/firestore/pricing#operations
        """
        return max(1, ceil(self.found / 1000) if self.method == "RunAggregationQuery" else self.found)


class Tapped:
    """A streamed answer that ``read`` looks at on its way."""

    def __init__(self, call: Any, read: Read) -> None:
        self._call = call
        self._read = read

    def __iter__(self) -> "Tapped":
        return self

    def __next__(self) -> Any:
        response = next(self._call)
        self._read.add(response)
        return response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


@dataclass
class Wire(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """Every call made, each by its method's name and its request; counted from the last ``reset`` on.

    ``commit_faults`` befall the next commits, one each, in order; None lets one through.
    """

    seen: list[tuple[str, Any]] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    start: int = 0
    reads_start: int = 0
    commit_faults: list[Fault | None] = field(default_factory=list)

    def reset(self) -> None:
        """Count from here."""
        self.start = len(self.seen)
        self.reads_start = len(self.reads)

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return self.seen[self.start :]

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return self._passed_on(continuation, details, request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        read = Read(details.method.rpartition("/")[2])
        self.reads.append(read)
        return Tapped(self._passed_on(continuation, details, request), read)

    def _passed_on(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
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
        """Documents asked for by path; whoever counts queries has to look at ``queries``."""
        return sum(len(request.documents) for method, request in self.calls if method == "BatchGetDocuments")

    @property
    def billed_reads(self) -> int:
        """What Firestore bills for the reads and queries, their index entries included."""
        return sum(read.billed for read in self.reads[self.reads_start :])

    @property
    def writes(self) -> int:
        return sum(len(request.writes) for method, request in self.calls if method == "Commit")

    @property
    def queries(self) -> list[tuple[str, StructuredQuery, list[str]]]:
        """Every query: its method, itself, and the fields that it sums up."""
        found: list[tuple[str, StructuredQuery, list[str]]] = []
        for method, request in self.calls:
            if method == "RunQuery":
                found.append((method, request.structured_query, []))
            elif method == "RunAggregationQuery":
                aggregated = request.structured_aggregation_query
                fields = [part.sum.field.field_path for part in aggregated.aggregations if "sum" in part]
                found.append((method, aggregated.structured_query, fields))
        return found


class ObservedClient(firestore.Client):
    """The official client on an emulator, with its traffic in ``wire``."""

    def __init__(self, project: str) -> None:
        super().__init__(project=project)
        self.wire = Wire()

    def _emulator_channel(self, transport: Any) -> Any:
        return grpc.intercept_channel(super()._emulator_channel(transport), self.wire)  # type: ignore[no-untyped-call]

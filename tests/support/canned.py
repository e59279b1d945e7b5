"""A Firestore client whose channel answers each call at once, from memory and always with the same documents.

A call costs only the processor time of this process, and makes the same function calls each time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1 import _helpers
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    CommitRequest,
    CommitResponse,
    Document,
    RunQueryRequest,
    RunQueryResponse,
    WriteResult,
)

MOMENT = datetime(2026, 11, 9, tzinfo=UTC)

Answer = Callable[[bytes], Sequence[bytes]]


class CannedClient(firestore.Client):
    """The official client, with ``documents`` that no commit changes. It accepts every commit."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__("demo-canned", AnonymousCredentials())  # type: ignore[no-untyped-call]
        self._emulator_host = "canned"
        self.metadata: dict[str, set[tuple[str, str]]] = {}
        """The metadata of the last call of each method."""
        root = f"{self._database_string}/documents"
        self._documents = {
            f"{root}/{path}": Document(
                name=f"{root}/{path}",
                fields=_helpers.encode_dict(data),
                create_time=MOMENT,
                update_time=MOMENT,
            )
            for path, data in documents.items()
        }
        self._found = {
            name: BatchGetDocumentsResponse.serialize(BatchGetDocumentsResponse(found=document, read_time=MOMENT))
            for name, document in self._documents.items()
        }

    def _emulator_channel(self, transport: Any) -> grpc.Channel:
        answers = {"BatchGetDocuments": self._read, "Commit": self._commit, "RunQuery": self._query}
        return _Channel(answers, self.metadata)

    def _read(self, request: bytes) -> Sequence[bytes]:
        missing = BatchGetDocumentsResponse.pb()
        names = BatchGetDocumentsRequest.pb().FromString(request).documents
        return [self._found.get(name) or missing(missing=name).SerializeToString() for name in names]

    def _commit(self, request: bytes) -> Sequence[bytes]:
        count = len(CommitRequest.pb().FromString(request).writes)
        if count not in _COMMITTED:
            results = [WriteResult(update_time=MOMENT)] * count
            _COMMITTED[count] = CommitResponse.serialize(CommitResponse(write_results=results, commit_time=MOMENT))
        return [_COMMITTED[count]]

    def _query(self, request: bytes) -> Sequence[bytes]:
        asked = RunQueryRequest.deserialize(request)
        [source] = asked.structured_query.from_
        parent = f"{asked.parent}/{source.collection_id}"
        found = [document for name, document in self._documents.items() if name.rpartition("/")[0] == parent]
        return [RunQueryResponse.serialize(RunQueryResponse(document=one, read_time=MOMENT)) for one in found]


_COMMITTED: dict[int, bytes] = {}


class _Channel(grpc.Channel):  # type: ignore[misc]
    def __init__(self, answers: Mapping[str, Answer], metadata: dict[str, set[tuple[str, str]]]) -> None:
        self._answers = answers
        self._metadata = metadata

    def unary_unary(self, method: str, request_serializer: Any, response_deserializer: Any, *_: Any) -> "_Unary":
        return _Unary(self, method, request_serializer, response_deserializer)

    def unary_stream(self, method: str, request_serializer: Any, response_deserializer: Any, *_: Any) -> "_Stream":
        return _Stream(self, method, request_serializer, response_deserializer)

    def answer(self, method: str, request: bytes, metadata: Sequence[tuple[str, str]]) -> Sequence[bytes]:
        name = method.rpartition("/")[2]
        self._metadata[name] = set(metadata)
        return self._answers[name](request)

    stream_unary = stream_stream = unary_unary  # nobody calls these

    def subscribe(self, *_: Any) -> None: ...

    def unsubscribe(self, *_: Any) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> "_Channel":
        return self

    def __exit__(self, *_: object) -> None: ...


class _Call:
    def __init__(
        self, channel: _Channel, method: str, serialize: Callable[[Any], bytes], read: Callable[[bytes], Any]
    ) -> None:
        self._channel = channel
        self._method = method
        self._serialize = serialize
        self._read = read

    def _answers(self, request: Any, metadata: Sequence[tuple[str, str]]) -> Iterator[Any]:
        answers = self._channel.answer(self._method, self._serialize(request), metadata)
        return iter([self._read(answer) for answer in answers])


class _Unary(_Call, grpc.UnaryUnaryMultiCallable):  # type: ignore[misc]
    def __call__(self, request: Any, *_: Any, metadata: Any = (), **__: Any) -> Any:
        return next(self._answers(request, metadata))

    def with_call(self, request: Any, *_: Any, metadata: Any = (), **__: Any) -> tuple[Any, None]:
        return self(request, metadata=metadata), None

    def future(self, *_: Any, **__: Any) -> None: ...


class _Stream(_Call, grpc.UnaryStreamMultiCallable):  # type: ignore[misc]
    def __call__(self, request: Any, *_: Any, metadata: Any = (), **__: Any) -> Iterator[Any]:
        return self._answers(request, metadata)

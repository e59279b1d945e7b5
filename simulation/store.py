"""An in-memory Firestore with the same isolation: consistent reads, and atomic commits with preconditions.

``test_contract`` runs the same operations on it and on the official emulator, and compares the results.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Any

from google.cloud.firestore_v1.field_path import FieldPath

from imagegen.ports.database import (
    CommitRefused,
    Create,
    Data,
    Delete,
    Put,
    Query,
    Replace,
    Snapshot,
    Sum,
    Totals,
    Update,
    Version,
    Where,
    Write,
)

_FIRST_VERSION = datetime(2026, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_MISSING = object()


@dataclass
class Store:
    """The documents. A snapshot never changes after it was returned, because each write creates new maps."""

    collections: dict[str, dict[str, Snapshot]] = field(default_factory=lambda: defaultdict(dict))
    version: Version = _FIRST_VERSION

    def read(self, *paths: str) -> list[Snapshot]:
        return [self._document(path) for path in paths]

    def commit(self, *writes: Write) -> list[Version]:
        assert len({write.path for write in writes}) == len(writes), (
            "Firestore refuses some pairs of writes to one document"
        )
        now = self.version + _TICK
        written = [self._written(write, now) for write in writes]
        self.version = now
        for document in written:
            collection, _, name = document.path.rpartition("/")
            if document.exists:
                self.collections[collection][name] = document
            else:
                self.collections[collection].pop(name, None)
        return [document.version or now for document in written]

    def find(self, query: Query) -> Sequence[Snapshot]:
        found = [
            document
            for document in self._all_in(query)
            if all(_meets(document.data, condition) for condition in query.where)
        ]
        for condition in query.where:
            if condition.op in ("<", ">="):  # Firestore returns a range in the order of its index
                found.sort(key=lambda document, path=condition.field: _value(document.data, path))  # type: ignore[misc]
        if (path := query.order_by) is not None:
            found = [document for document in found if _place(document, path) is not _MISSING]
            found.sort(key=lambda document: (_place(document, path), document.id), reverse=not query.ascending)
            if query.start_after is not None:
                found = [document for document in found if _comes_after(document, query)]
        found = found[query.offset :]
        return found[: query.limit]

    def scan(self, collection: str) -> Iterator[Snapshot]:
        for _, document in sorted(self._in(collection).items()):
            yield document

    def totals(self, *questions: Sum) -> list[Totals]:
        answers = []
        for question in questions:
            found = [
                values
                for document in self.find(question.query)
                if _MISSING not in (values := [_value(document.data, field) for field in question.fields])
            ]
            answers.append(
                Totals(len(found), tuple(map(_sum, zip(*found, strict=True))) or (0,) * len(question.fields))
            )
        return answers

    def _all_in(self, query: Query) -> Iterator[Snapshot]:
        for collection in sorted(self.collections) if query.collection_group else [query.collection]:
            if collection.rpartition("/")[2] == query.collection.rpartition("/")[2]:
                yield from (document for _, document in sorted(self._in(collection).items()))

    def _in(self, collection: str) -> Mapping[str, Snapshot]:
        return self.collections.get(collection, {})

    def _document(self, path: str) -> Snapshot:
        collection, _, name = path.rpartition("/")
        return self._in(collection).get(name) or Snapshot(path, {}, None)

    def _written(self, write: Write, now: Version) -> Snapshot:
        current = self._document(write.path)
        data = _applied(current, write)
        if isinstance(write, Delete):
            return Snapshot(write.path, {}, None)
        # As in Firestore, a write that changes nothing keeps the version.
        return current if current.exists and data == current.data else Snapshot(write.path, data, now)


def _applied(current: Snapshot, write: Write) -> dict[str, Any]:
    """Return a document's data after ``write``. Raises CommitRefused if the precondition fails."""
    match write:
        case Create() if current.exists:
            raise CommitRefused(f"{write.path} exists already")
        case Update(version=version) | Replace(version=version) if current.version != version:
            raise CommitRefused(f"{write.path} has changed since it was read")
        case Delete(version=version) if version not in (None, current.version):
            raise CommitRefused(f"{write.path} has changed since it was read")
        case Update(fields=fields):
            changed = dict(current.data)
            for path, value in fields.items():
                changed = _with(changed, _parts(path), _copied(value))
            return changed
        case Delete():
            return {}
        case Create(data=data) | Put(data=data) | Replace(data=data):
            return {name: _copied(value) for name, value in data.items()}


def _with(data: Data, parts: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = parts
    if rest:
        inner = data.get(name)
        value = _with(inner if isinstance(inner, dict) else {}, tuple(rest), value)
    return {**data, name: value}


def _meets(data: Data, condition: Where) -> bool:
    value = _value(data, condition.field)
    match condition.op:
        case "==":
            return bool(value == condition.value)
        case "in":
            return value in condition.value
        case "<":  # only values of the same type are compared
            return isinstance(value, type(condition.value)) and bool(value < condition.value)
        case ">=":
            return isinstance(value, type(condition.value)) and bool(value >= condition.value)


def _comes_after(document: Snapshot, query: Query) -> bool:
    assert query.order_by is not None, "only an ordered query starts after a document"
    assert query.start_after is not None, "the query starts after a document"
    start = query.start_after
    place = (_place(document, query.order_by), document.id)[: len(start)]
    return bool(place > start if query.ascending else place < start)


def _place(document: Snapshot, path: str) -> Any:
    """Return the value that a query orders a document by: of a field, or its id if the path is ``__name__``."""
    return document.id if path == "__name__" else _value(document.data, path)


def _sum(values: Iterable[Any]) -> int:
    """Return the sum of the numbers among the values as an integer, or 0 if there is none, like the adapter."""
    found = sum(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    return int(found) if isfinite(found) else 0


def _value(data: Data, path: str) -> Any:
    value: Any = data
    for part in _parts(path):
        value = value.get(part, _MISSING) if isinstance(value, dict) else _MISSING
    return value


@lru_cache(maxsize=1000)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(FieldPath.from_api_repr(path).parts)


def _copied(value: Any) -> Any:
    """Return a deep copy of ``value``, because the caller may change its maps and lists later."""
    if isinstance(value, Mapping):
        return {name: _copied(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_copied(inner) for inner in value]
    return value

"""Reads the fields of a stored document and checks their types, because an operator or other code can edit it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from math import inf, isfinite
from typing import Any, NoReturn, Self, TypeVar

from imagegen.dataclass import dataclass
from imagegen.ports.database import Snapshot

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

EXPIRE_AT = "expireAt"
"""The field with the time from which nobody needs a document. Firestore deletes the document then.

firestore.indexes.json lists the collections. A document without a time in this field stays.
"""

MOMENT_MIN = datetime(1970, 1, 1, tzinfo=UTC)  # which stands for a time that is long past
MOMENT_MAX = datetime(3000, 1, 1, tzinfo=UTC)
"""A document may have moments from ``MOMENT_MIN`` to before ``MOMENT_MAX``.

Both are far from the ends of Python's calendar, so that no duration added to a stored moment leaves the calendar.
"""

_ID = re.compile(r"(?!\.\.?$)(?!__.*__$)[^/]{1,375}")  # 1,500 bytes in UTF-8


class Unreadable(ValueError):
    """A document cannot be read, because ``field`` is missing or has a value that is not valid."""

    def __init__(self, path: str, field: str) -> None:
        super().__init__(f"{path}: the field {field} is missing or not valid")
        self.path = path
        self.field = field


@dataclass(frozen=True)
class Fields:
    """The fields of a document, or of a map in it. Every method raises Unreadable, which names the field."""

    path: str
    data: Mapping[str, Any]
    prefix: str = ""

    @classmethod
    def of(cls, document: Snapshot) -> Self:
        return cls(document.path, document.data)

    def read(self, name: str, kind: type[T]) -> T:
        """Return the value of a field. If ``kind`` is an enum, return its member with this value.

        A moment must be within the bounds that all documents have.
        """
        value = self.data.get(name)
        if issubclass(kind, Enum):
            try:
                return kind(value)
            except ValueError:
                self.refuse(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.refuse(name)
        if isinstance(value, datetime) and not MOMENT_MIN <= value < MOMENT_MAX:
            self.refuse(name)
        return value

    def nullable(self, name: str, kind: type[T]) -> T | None:
        """Return the value of a field that every document has, and that may be null."""
        if name not in self.data:
            self.refuse(name)
        return self.optional(name, kind)

    def optional(self, name: str, kind: type[T]) -> T | None:
        """Return the value of a field that may be missing or null."""
        return None if self.data.get(name) is None else self.read(name, kind)

    def defaulted(self, name: str, default: T) -> T:
        """Return the value of a field that may be missing, but not null. It has the type of ``default``."""
        return self.read(name, type(default)) if name in self.data else default

    def amount(self, name: str, default: int | None = None, limit: float = inf) -> int:
        """Return an integer from 0 to ``limit``. Without a ``default``, the field must exist."""
        value = self.read(name, int) if default is None else self.defaulted(name, default)
        if not 0 <= value <= limit:
            self.refuse(name)
        return value

    def number(self, name: str) -> float:
        """Return a finite number, also an integer."""
        value = self.data.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
            self.refuse(name)
        return value

    def optional_number(self, name: str) -> float | None:
        """Return a finite number, which may be missing or null."""
        return None if self.data.get(name) is None else self.number(name)

    def id(self, name: str) -> str:
        """Return the id of another document."""
        value = self.read(name, str)
        if not _ID.fullmatch(value):
            self.refuse(name)
        return value

    def ids(self, name: str) -> tuple[str, ...]:
        """Return a list of ids, which may be missing."""
        return tuple(Fields(self.path, {name: id}, self.prefix).id(name) for id in self.optional(name, list) or ())

    def members(self, name: str, kind: type[E]) -> tuple[E, ...]:
        """Return the members of an enum whose values are in a list."""
        return tuple(Fields(self.path, {name: value}, self.prefix).read(name, kind) for value in self.read(name, list))

    def map(self, name: str) -> "Fields":
        """Return the fields of a map."""
        return Fields(self.path, self.read(name, dict), f"{self.prefix}{name}.")

    def optional_map(self, name: str) -> "Fields":
        """Return the fields of a map, which may be missing."""
        return Fields(self.path, self.defaulted(name, {}), f"{self.prefix}{name}.")

    def maps(self, name: str) -> list["Fields"]:
        """Return the fields of each map in a list."""
        items = self.read(name, list)
        if not all(isinstance(item, dict) for item in items):
            self.refuse(name)
        return [Fields(self.path, item, f"{self.prefix}{name}.{number}.") for number, item in enumerate(items)]

    def optional_maps(self, name: str) -> list["Fields"]:
        """Return the fields of each map in a list, which may be missing."""
        return self.maps(name) if name in self.data else []

    def refuse(self, name: str) -> NoReturn:
        raise Unreadable(self.path, f"{self.prefix}{name}")

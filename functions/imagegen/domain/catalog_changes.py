"""Changes of the catalog: stored options, and the record of who changed them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from imagegen.dataclass import dataclass
from imagegen.domain.catalog import Kind, Option
from imagegen.domain.times import rfc3339

Value = bool | int | float | str | None
"""The value of a field that can be changed."""

FIELDS: Mapping[Kind, frozenset[str]] = {
    Kind.MODEL: frozenset(
        {
            "enabled",
            "order",
            "provider",
            "providerModel",
            "failureRate",
            "latencySeconds",
            "timeoutSeconds",
            "maxAttempts",
            "maxQueueSeconds",
        }
    ),
    Kind.STYLE: frozenset({"enabled", "order"}),
    Kind.COLOR: frozenset({"enabled", "order"}),
    Kind.SIZE: frozenset({"enabled", "order", "creditCost"}),
}
"""The fields of each kind that an update can change. The name is not one of them, because requests record it."""


@dataclass(frozen=True)
class FieldChange:
    """A field's value before and after a change. ``before`` is None if the document did not have the field."""

    field: str
    before: Value
    after: Value


@dataclass(frozen=True)
class CatalogChange:
    """A change of one option."""

    id: str
    kind: Kind
    option_id: str
    changed_by: str
    changed_at: datetime
    fields: Sequence[FieldChange]


def version_of(updated_at: datetime) -> str:
    """Return the version of an option from the time of its document's last write."""
    return rfc3339(updated_at)


@dataclass(frozen=True)
class StoredOption:
    """An option with its version. It may be disabled."""

    kind: Kind
    option: Option
    version: str


@dataclass(frozen=True)
class UnreadableOption:
    """An option that is not offered, because its document is invalid. ``problems`` are fields and messages."""

    kind: Kind
    id: str
    path: str
    version: str
    problems: Sequence[tuple[str, str]]

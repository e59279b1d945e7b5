"""Conversion of the record of catalog changes to and from Firestore documents."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.domain.catalog import Kind
from imagegen.domain.catalog_changes import CatalogChange, FieldChange, Value
from imagegen.ports.database import Create, Snapshot

CATALOG_CHANGES = "catalogChanges"


def change_path(change_id: str) -> str:
    return f"{CATALOG_CHANGES}/{change_id}"


def change_id(kind: Kind, option_id: str, version: str, values: Mapping[str, Value]) -> str:
    """Return the id of a change of a version. The same call always gives the same id."""
    call = [kind, option_id, version, sorted(values.items())]
    return hashlib.sha256(json.dumps(call).encode()).hexdigest()[:32]


def create_change(change: CatalogChange) -> Create:
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "kind": change.kind.value,
        "optionId": change.option_id,
        "changedBy": change.changed_by,
        "changedAt": change.changed_at,
        "fields": [{"field": one.field, "before": one.before, "after": one.after} for one in change.fields],
    }
    return Create(change_path(change.id), data)


def change_of(document: Snapshot) -> CatalogChange:
    """Return the change. Raises Unreadable."""
    fields = Fields.of(document)
    return CatalogChange(
        id=document.id,
        kind=fields.read("kind", Kind),
        option_id=fields.id("optionId"),
        changed_by=fields.read("changedBy", str),
        changed_at=fields.read("changedAt", datetime),
        fields=[
            FieldChange(field.read("field", str), _value(field, "before"), _value(field, "after"))
            for field in fields.maps("fields")
        ],
    )


def _value(fields: Fields, name: str) -> Value:
    value = fields.data.get(name)
    return value if isinstance(value, bool | int | float | str) else None

"""Conversion of the server's own keys to and from Firestore documents, which clients cannot read."""

import base64
from typing import Any

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.ports.database import Create, Snapshot


def server_keys_path(name: str) -> str:
    return f"serverKeys/{name}"


def create_server_keys(name: str, key: bytes) -> Create:
    data: dict[str, Any] = {"schemaVersion": SCHEMA_VERSION, "keys": [base64.b64encode(key).decode()]}
    return Create(server_keys_path(name), data)


def server_keys_of(document: Snapshot) -> list[bytes]:
    """Return the keys, of which there is at least one, the current key first. Raises Unreadable."""
    fields = Fields.of(document)
    try:
        keys = [base64.b64decode(key, validate=True) for key in fields.read("keys", list)]
    except (TypeError, ValueError):
        fields.refuse("keys")
    if not all(keys) or not keys:
        fields.refuse("keys")
    return keys

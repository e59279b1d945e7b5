"""Conversion of secrets to and from Firestore documents. No rule lets a client read these documents."""

import base64
from datetime import datetime

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.ports.database import Create, Snapshot

SERVER_KEYS = "serverKeys"


def server_key_path(name: str) -> str:
    return f"{SERVER_KEYS}/{name}"


def create_server_key(name: str, key: bytes, at: datetime) -> Create:
    data = {"schemaVersion": SCHEMA_VERSION, "key": base64.b64encode(key).decode(), "createdAt": at}
    return Create(server_key_path(name), data)


def server_key_of(document: Snapshot) -> bytes:
    return base64.b64decode(document.data["key"])

"""Conversion of webhook secrets to and from Firestore documents. No rule lets a client read these documents."""

import base64
from datetime import datetime

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.ports.database import Create, Snapshot, Update

WEBHOOK_SECRETS = "webhookSecrets"

SECRET_PREFIX = "whsec_"

_EARLIER_SECRET = "webhookSecret"
"""The field of a user's document that had the secret earlier. Its owner can read that document. None once moved."""


@dataclass(frozen=True)
class StoredSecrets:
    """The secrets of one user.

    ``shared`` signs all webhook URLs of the user. It is None if the user has never asked for it. Until
    ``previous_until``, ``previous`` signs too. The secrets of receivers are derived under ``key``.
    """

    key: bytes | None = None
    shared: str | None = None
    previous: str | None = None
    previous_until: datetime | None = None


def webhook_secret_path(user_id: str) -> str:
    return f"{WEBHOOK_SECRETS}/{user_id}"


def write_webhook_secrets(document: Snapshot, secrets: StoredSecrets) -> Create | Update:
    """Return the write of a user's secrets, on the condition that the document is unchanged."""
    fields = {
        "key": None if secrets.key is None else base64.b64encode(secrets.key).decode(),
        "secret": secrets.shared,
        "previousSecret": secrets.previous,
        "previousUntil": secrets.previous_until,
    }
    if document.version is None:
        return Create(document.path, {"schemaVersion": SCHEMA_VERSION, **fields})
    return Update(document.path, fields, document.version)


def webhook_secrets_of(document: Snapshot) -> StoredSecrets:
    """Return the secrets of a user. Raises Unreadable."""
    fields = Fields.of(document)
    key = fields.optional("key", str)
    return StoredSecrets(
        key=None if key is None else _decoded(fields, "key", key),
        shared=_secret(fields, "secret"),
        previous=_secret(fields, "previousSecret"),
        previous_until=fields.optional("previousUntil", datetime),
    )


def earlier_webhook_secret_of(user: Snapshot) -> str | None:
    """Return the secret that is still in the user's document, or None. Raises Unreadable."""
    return _secret(Fields.of(user), _EARLIER_SECRET)


def remove_earlier_webhook_secret(user: Snapshot) -> Update:
    assert user.version is not None, "only a user who was read can be updated"
    return Update(user.path, {_EARLIER_SECRET: None}, user.version)


def _secret(fields: Fields, name: str) -> str | None:
    secret = fields.optional(name, str)
    if secret is not None:
        _decoded(fields, name, secret.removeprefix(SECRET_PREFIX))
    return secret


def _decoded(fields: Fields, name: str, text: str) -> bytes:
    """Return the bytes of a key or a secret. Nothing can be signed without any."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        fields.refuse(name)
    if not decoded:
        fields.refuse(name)
    return decoded

"""Conversion of webhook secrets to and from Firestore documents. No rule lets a client read these documents."""

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.ports.database import Create, Snapshot, Update

WEBHOOK_SECRETS = "webhookSecrets"

_EARLIER_SECRET = "webhookSecret"
"""The field of a user's document that had the secret earlier. Its owner can read that document. None once moved."""


def webhook_secret_path(user_id: str) -> str:
    return f"{WEBHOOK_SECRETS}/{user_id}"


def create_webhook_secret(user_id: str, secret: str) -> Create:
    return Create(webhook_secret_path(user_id), {"schemaVersion": SCHEMA_VERSION, "secret": secret})


def update_webhook_secret(document: Snapshot, secret: str) -> Update:
    assert document.version is not None, "only a secret that was read can be updated"
    return Update(document.path, {"secret": secret}, document.version)


def webhook_secret_of(document: Snapshot) -> str:
    secret: str = document.data["secret"]
    return secret


def earlier_webhook_secret_of(user: Snapshot) -> str | None:
    """Return the secret that is still in the user's document, or None."""
    return user.data.get(_EARLIER_SECRET)


def remove_earlier_webhook_secret(user: Snapshot) -> Update:
    assert user.version is not None, "only a user who was read can be updated"
    return Update(user.path, {_EARLIER_SECRET: None}, user.version)

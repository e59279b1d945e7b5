"""Conversion of receivers, and of what each user's webhooks have taken, to and from Firestore documents."""

from datetime import datetime

from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import Fields
from imagegen.domain.receivers import Receiver, Sending
from imagegen.ports.database import Create, Data, Snapshot, Update

RECEIVERS = "webhookEndpoints"
SENDING = "webhookSending"


def receiver_path(id: str) -> str:
    return f"{RECEIVERS}/{id}"


def receiver_of(document: Snapshot) -> Receiver:
    """Return the receiver. Raises Unreadable."""
    fields = Fields.of(document)
    return Receiver(
        id=document.id,
        user_id=fields.id("userId"),
        url=fields.read("url", str),
        failing_since=fields.optional("failingSince", datetime),
        paused_until=fields.optional("pausedUntil", datetime),
        secret_number=fields.amount("secretNumber", default=0),
        previous_secret_until=fields.optional("previousSecretUntil", datetime),
        given_up_at=fields.optional("givenUpAt", datetime),
        deleted_at=fields.optional("deletedAt", datetime),
    )


def write_receiver(document: Snapshot, receiver: Receiver) -> Create | Update:
    """Return the write of a receiver, on the condition that its document is unchanged."""
    state = {
        "failingSince": receiver.failing_since,
        "pausedUntil": receiver.paused_until,
        "secretNumber": receiver.secret_number,
        "previousSecretUntil": receiver.previous_secret_until,
        "givenUpAt": receiver.given_up_at,
        "deletedAt": receiver.deleted_at,
    }
    return _write(document, state, {"userId": receiver.user_id, "url": receiver.url})


def create_endpoint(receiver: Receiver, at: datetime) -> Create:
    """Return the write of a new endpoint's document."""
    written = write_receiver(Snapshot(receiver_path(receiver.id), {}, None), receiver)
    return Create(written.path, {**_data(written), "createdAt": at})


def sending_path(user_id: str) -> str:
    return f"{SENDING}/{user_id}"


def sending_of(document: Snapshot) -> Sending:
    """Return what a user's webhooks have taken so far. Raises Unreadable."""
    fields = Fields.of(document)
    return Sending(fields.optional("busyUntil", datetime), fields.optional("resendsEarnedAt", datetime))


def write_sending(document: Snapshot, sending: Sending) -> Create | Update:
    """Return the write of what a user's webhooks have taken, on the condition that its document is unchanged."""
    return _write(document, {"busyUntil": sending.busy_until, "resendsEarnedAt": sending.resends_earned_at}, {})


def _data(write: Create | Update) -> Data:
    assert isinstance(write, Create), "the document is new"
    return write.data


def _write(document: Snapshot, fields: Data, fixed: Data) -> Create | Update:
    if document.version is None:
        return Create(document.path, {"schemaVersion": SCHEMA_VERSION, **fixed, **fields})
    return Update(document.path, fields, document.version)

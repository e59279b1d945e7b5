"""Webhook secrets: one for each receiver, and one for all receivers of a user who has asked for it.

The secret of a receiver is derived under a key of its user, which only the server can read, from the receiver's id and
the number of its rotations. So a receiver cannot sign webhooks for another one. After a rotation, the secret before it
signs too, for a day.
"""

import base64
import hashlib
import hmac
import random
from dataclasses import replace
from datetime import datetime, timedelta

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import user_path
from imagegen.documents.receivers import receiver_of, receiver_path, write_receiver
from imagegen.documents.secrets import (
    SECRET_PREFIX,
    StoredSecrets,
    earlier_webhook_secret_of,
    remove_earlier_webhook_secret,
    webhook_secret_path,
    webhook_secrets_of,
    write_webhook_secrets,
)
from imagegen.domain.receivers import Receiver, origin_of, receiver_id
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Snapshot, Write
from imagegen.services.credits.accounts import require_user
from imagegen.services.retry import Retry

SECRET_BYTES = 32

OVERLAP = timedelta(days=1)
"""The time after a rotation in which the secret before it signs too."""


@dataclass(frozen=True)
class Rotation:
    """A change of a secret: ``rotate`` replaces it, and ``expire_previous`` ends the ones before at once."""

    rotate: bool = False
    expire_previous: bool = False


READ = Rotation()


@dataclass(frozen=True)
class WebhookSecrets:
    """Returns and rotates secrets. In production, ``rng`` is the operating system's generator.

    All methods return secrets as ``whsec_`` and base64, the format of Standard Webhooks. They raise UserNotFound. If
    the retries fail, they raise CommitRefused, OutcomeUnknown or DatabaseUnavailable.
    """

    database: Database
    rng: random.Random
    clock: Clock
    retry: Retry

    def shared(self, user_id: str, rotation: Rotation = READ) -> str:
        """Return the secret of all webhook URLs of a user, after a rotation. The first call creates it."""
        new = SECRET_PREFIX + base64.b64encode(self.rng.randbytes(SECRET_BYTES)).decode()

        def attempt(_tries: int) -> str:
            user, document = self.database.read(user_path(user_id), webhook_secret_path(user_id))
            stored, writes = self._stored(require_user(user), document)
            if stored.shared == new:
                return new  # our own commit was applied, but its answer was lost
            now, secrets = self.clock.now(), stored
            overlaps = stored.previous_until is not None and now < stored.previous_until
            if stored.shared is None:
                secrets = replace(secrets, shared=new)
            elif rotation.rotate and (rotation.expire_previous or not overlaps):
                secrets = replace(secrets, shared=new, previous=stored.shared, previous_until=now + OVERLAP)
            if rotation.expire_previous:
                secrets = replace(secrets, previous=None, previous_until=None)
            if secrets != stored or writes:
                self.database.commit(write_webhook_secrets(document, secrets), *writes)
            assert secrets.shared is not None, "it was created above"
            return secrets.shared

        return self.retry(attempt)

    def of_url(self, user_id: str, url: str, rotation: Rotation = READ) -> str:
        """Return the secret of a user's webhook URLs with the origin of ``url``, after a rotation."""
        origin = origin_of(url)
        return self._of(Receiver(receiver_id(user_id, origin), user_id, origin), rotation)

    def of_receiver(self, user_id: str, receiver_id: str, rotation: Rotation = READ) -> str:
        """Return the secret of a user's endpoint, after a rotation."""
        return self._of(Receiver(receiver_id, user_id, ""), rotation)

    def _of(self, new: Receiver, rotation: Rotation) -> str:
        """Return the secret of a receiver, which is as ``new`` if it has no document, after a rotation."""
        user_id = new.user_id
        made: tuple[int, datetime | None] | None = None

        def attempt(_tries: int) -> str:
            nonlocal made
            user, document, known = self.database.read(
                user_path(user_id), webhook_secret_path(user_id), receiver_path(new.id)
            )
            stored, writes = self._stored(require_user(user), document)
            receiver = receiver_of(known) if known.exists else new
            is_made = made is not None and made == (receiver.secret_number, receiver.previous_secret_until)
            rotated = receiver if is_made else self._rotated(receiver, rotation)
            made = rotated.secret_number, rotated.previous_secret_until
            key, changes = self._key(stored, document)
            changes += writes
            if rotated != receiver:
                changes.append(write_receiver(known, rotated))
            if changes:
                self.database.commit(*changes)
            return derived(key, rotated.id, rotated.secret_number)

        return self.retry(attempt)

    def signing(self, receiver: Receiver) -> list[str]:
        """Return the secrets that sign a webhook to a receiver, its own secret first."""

        def attempt(_tries: int) -> list[str]:
            user_id, now = receiver.user_id, self.clock.now()
            user, document = self.database.read(user_path(user_id), webhook_secret_path(user_id))
            stored, writes = self._stored(require_user(user), document)
            key, changes = self._key(stored, document)
            if changes or writes:
                self.database.commit(*changes, *writes)
            numbers = [receiver.secret_number]
            if receiver.previous_secret_until is not None and now < receiver.previous_secret_until:
                numbers.append(receiver.secret_number - 1)
            secrets = [derived(key, receiver.id, number) for number in numbers]
            if stored.shared is not None:
                secrets.append(stored.shared)
            if stored.previous is not None and stored.previous_until is not None and now < stored.previous_until:
                secrets.append(stored.previous)
            return secrets

        return self.retry(attempt)

    def _rotated(self, receiver: Receiver, rotation: Rotation) -> Receiver:
        """Return the receiver after a rotation of its secret."""
        now = self.clock.now()
        overlaps = receiver.previous_secret_until is not None and now < receiver.previous_secret_until
        if rotation.rotate and (rotation.expire_previous or not overlaps):
            number = receiver.secret_number + 1
            receiver = replace(receiver, secret_number=number, previous_secret_until=now + OVERLAP)
        return replace(receiver, previous_secret_until=None) if rotation.expire_previous else receiver

    def _stored(self, user: Snapshot, document: Snapshot) -> tuple[StoredSecrets, list[Write]]:
        """Return the stored secrets, and the write that removes an earlier one from the user's document."""
        if document.exists:
            return webhook_secrets_of(document), []
        earlier = earlier_webhook_secret_of(user)
        if earlier is None:
            return StoredSecrets(), []
        return StoredSecrets(shared=earlier), [remove_earlier_webhook_secret(user)]

    def _key(self, stored: StoredSecrets, document: Snapshot) -> tuple[bytes, list[Write]]:
        """Return the key of a user's receivers, and the write that creates it if there is none."""
        if stored.key is not None:
            return stored.key, []
        key = self.rng.randbytes(SECRET_BYTES)
        return key, [write_webhook_secrets(document, replace(stored, key=key))]


def derived(key: bytes, receiver_id: str, number: int) -> str:
    """Return the secret of a receiver after ``number`` rotations."""
    digest = hmac.new(key, f"{receiver_id}:{number}".encode(), hashlib.sha256).digest()
    return SECRET_PREFIX + base64.b64encode(digest).decode()

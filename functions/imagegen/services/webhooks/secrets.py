"""Webhook secrets: one for each user, created when it is first needed."""

import base64
import random
from dataclasses import dataclass

from imagegen.documents.accounts import user_path
from imagegen.documents.secrets import (
    create_webhook_secret,
    earlier_webhook_secret_of,
    remove_earlier_webhook_secret,
    update_webhook_secret,
    webhook_secret_of,
    webhook_secret_path,
)
from imagegen.ports.database import Database
from imagegen.services.credits.accounts import require_user
from imagegen.services.retry import Retry

PREFIX = "whsec_"
SECRET_BYTES = 32


@dataclass(frozen=True)
class WebhookSecrets:
    """Returns and rotates the users' secrets. In production, ``rng`` is the operating system's generator."""

    database: Database
    rng: random.Random
    retry: Retry

    def current(self, user_id: str) -> str:
        """Return the user's secret as ``whsec_`` and base64, the format of Standard Webhooks.

        Raises UserNotFound. If the retries fail, raises CommitRefused, OutcomeUnknown or DatabaseUnavailable.
        """
        return self._secret(user_id, rotate=False)

    def rotate(self, user_id: str) -> str:
        """Replace the user's secret and return the new one. Raises like ``current``."""
        return self._secret(user_id, rotate=True)

    def _secret(self, user_id: str, *, rotate: bool) -> str:
        new = PREFIX + base64.b64encode(self.rng.randbytes(SECRET_BYTES)).decode()

        def attempt(_tries: int) -> str:
            user, stored = self.database.read(user_path(user_id), webhook_secret_path(user_id))
            require_user(user)
            if stored.exists:
                if not rotate:
                    return webhook_secret_of(stored)
                self.database.commit(update_webhook_secret(stored, new))
                return new
            earlier = earlier_webhook_secret_of(user)
            if earlier is None:
                self.database.commit(create_webhook_secret(user_id, new))
                return new
            secret = new if rotate else earlier
            self.database.commit(create_webhook_secret(user_id, secret), remove_earlier_webhook_secret(user))
            return secret

        return self.retry(attempt)

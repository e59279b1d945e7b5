"""Webhook secrets: one for each user, created when it is first needed."""

import base64
import random
from dataclasses import dataclass

from imagegen.documents.accounts import user_path
from imagegen.ports.database import Database, Update
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
            [user] = self.database.read(user_path(user_id))
            secret: str | None = require_user(user).data.get("webhookSecret")
            if secret is None or rotate:
                assert user.version is not None, "require_user returns only a user who exists"
                self.database.commit(Update(user.path, {"webhookSecret": new}, user.version))
                return new
            return secret

        return self.retry(attempt)

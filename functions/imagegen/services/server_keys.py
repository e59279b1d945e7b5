"""Random keys that only the server knows."""

import hashlib
import hmac
import random
from dataclasses import dataclass, field

from imagegen.documents.secrets import create_server_key, server_key_of, server_key_path
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database
from imagegen.services.retry import Retry

KEY_BYTES = 32


@dataclass
class ServerKey:
    """A key in a document of its own. The first use creates it, and it never changes. Each instance reads it once.

    In production, ``rng`` is the operating system's generator.
    """

    name: str
    database: Database
    clock: Clock
    rng: random.Random
    retry: Retry
    _key: bytes | None = field(default=None, init=False, repr=False)

    def digest(self, text: str) -> str:
        """Return the HMAC-SHA256 of ``text`` in hex.

        If the retries fail, raises CommitRefused, OutcomeUnknown or DatabaseUnavailable.
        """
        if self._key is None:
            self._key = self.retry(self._read_or_create)
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _read_or_create(self, _tries: int) -> bytes:
        [document] = self.database.read(server_key_path(self.name))
        if document.exists:
            return server_key_of(document)
        key = self.rng.randbytes(KEY_BYTES)
        self.database.commit(create_server_key(self.name, key, self.clock.now()))
        return key

"""Random keys that only the server knows, and digests of texts under them."""

import hashlib
import hmac
import random
from collections.abc import Sequence

from imagegen.documents.keys import create_server_keys, server_keys_of, server_keys_path
from imagegen.ports.database import CommitRefused, Database, OutcomeUnknown

KEY_BYTES = 32


class ServerKeys:
    """The keys in one document. The first use creates a key, and each instance reads the keys once.

    An operator can replace a key by editing the document (docs/runbook.md). In production, ``rng`` is the operating
    system's generator. Both methods raise DatabaseUnavailable and Unreadable, and CommitRefused or OutcomeUnknown if
    no key could be created.
    """

    def __init__(self, name: str, database: Database, rng: random.Random) -> None:
        self._name = name
        self._database = database
        self._rng = rng
        self._keys: Sequence[bytes] | None = None

    def digest(self, text: str) -> str:
        """Return the HMAC-SHA256 of ``text`` under the current key, in hex."""
        return _digest(self._loaded()[0], text)

    def accepts(self, text: str, digest: str) -> bool:
        """Return whether ``digest`` is the digest of ``text`` under any of the keys."""
        given = digest.encode()
        return any(hmac.compare_digest(_digest(key, text).encode(), given) for key in self._loaded())

    def _loaded(self) -> Sequence[bytes]:
        if self._keys is None:
            self._keys = self._load()
        return self._keys

    def _load(self) -> Sequence[bytes]:
        [document] = self._database.read(server_keys_path(self._name))
        if not document.exists:
            key = self._rng.randbytes(KEY_BYTES)
            try:
                self._database.commit(create_server_keys(self._name, key))
            except (CommitRefused, OutcomeUnknown):
                # If another instance was first, or the answer was lost, the stored key counts.
                [document] = self._database.read(server_keys_path(self._name))
                if not document.exists:
                    raise
            else:
                return [key]
        return server_keys_of(document)


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

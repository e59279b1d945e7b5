"""Tickets: each proves that a task comes from this backend. A ticket is derived from its request, and stored nowhere.

To replace the key, an operator edits the document of the keys (docs/runbook.md).
"""

import hashlib
import hmac
import random
from collections.abc import Sequence
from contextlib import suppress

from imagegen.documents.keys import TICKET_KEYS_PATH, create_ticket_keys, ticket_keys_of
from imagegen.ports.database import CommitRefused, Database, DatabaseUnavailable, OutcomeUnknown

KEY_BYTES = 32


class Tickets:
    """Makes and checks tickets. The keys are read once per instance, and created when they are first needed.

    In production, ``rng`` is the operating system's generator. Both methods raise DatabaseUnavailable and Unreadable.
    """

    def __init__(self, database: Database, rng: random.Random) -> None:
        self._database = database
        self._rng = rng
        self._keys: Sequence[bytes] | None = None

    def of(self, request_id: str) -> str:
        """Return the request's ticket: an HMAC of its id under the current key."""
        return _ticket(self._loaded()[0], request_id)

    def accepts(self, request_id: str, ticket: str) -> bool:
        """Return whether ``ticket`` is the request's ticket under any of the keys."""
        given = ticket.encode()
        return any(hmac.compare_digest(_ticket(key, request_id).encode(), given) for key in self._loaded())

    def _loaded(self) -> Sequence[bytes]:
        if self._keys is None:
            self._keys = self._load()
        return self._keys

    def _load(self) -> Sequence[bytes]:
        [document] = self._database.read(TICKET_KEYS_PATH)
        if not document.exists:
            # If another instance is first, or the answer is lost, the stored key counts.
            with suppress(CommitRefused, OutcomeUnknown):
                self._database.commit(create_ticket_keys(self._rng.randbytes(KEY_BYTES)))
            [document] = self._database.read(TICKET_KEYS_PATH)
            if not document.exists:
                raise DatabaseUnavailable("the key of the tickets could not be created")
        return ticket_keys_of(document)


def _ticket(key: bytes, request_id: str) -> str:
    return hmac.new(key, request_id.encode(), hashlib.sha256).hexdigest()

"""Creates, lists, revokes and finds API keys."""

import random
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, timedelta

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import user_path
from imagegen.documents.api_keys import (
    KeyRing,
    active_keys,
    api_key_of,
    api_key_path,
    create_api_key,
    key_ring_path,
    update_last_use,
    update_revoked,
)
from imagegen.documents.fields import Unreadable
from imagegen.domain.api_keys import ApiKey, Scope, key_id, new_secret
from imagegen.domain.limits import Rate, TooFast
from imagegen.errors import ApiKeyNotFound, RateLimited, TooManyApiKeys
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, DatabaseUnavailable, OutcomeUnknown, Write
from imagegen.services.credits.accounts import require_user
from imagegen.services.retry import Retry
from imagegen.services.unreadable import read_or_log

ACTIVE_MAX = 10
"""The number of active keys of a user. Two are needed to replace one without an interruption."""

CREATED_PER_DAY = 20
"""The number of keys that a user can create in a day. Revoked keys stay stored."""

LISTED_MAX = 100
"""The number of keys in a list. A user has more than ``ACTIVE_MAX`` active keys only after a ring was edited."""

CREATION = Rate(CREATED_PER_DAY, timedelta(days=1) / CREATED_PER_DAY)


@dataclass(frozen=True)
class ApiKeys:
    """The keys of all users. If the retries of a change fail, the methods raise like ``Retry``."""

    database: Database
    clock: Clock
    rng: random.Random
    retry: Retry

    def create(
        self, user_id: str, name: str, scopes: Collection[Scope], grant_credits_per_day: int
    ) -> tuple[str, ApiKey]:
        """Create a key. Return it in clear, which is possible only now, and as stored.

        Raises UserNotFound, TooManyApiKeys and RateLimited.
        """
        secret = new_secret(self.rng)

        def attempt(_tries: int) -> ApiKey:
            user, ring_document, existing = self.database.read(
                user_path(user_id), key_ring_path(user_id), api_key_path(key_id(secret))
            )
            if existing.exists:
                return api_key_of(existing)  # our own commit was applied, but its answer was lost
            require_user(user)
            ring, now = KeyRing.of(ring_document), self.clock.now()
            if len(ring.active) >= ACTIVE_MAX:
                raise TooManyApiKeys(f"You have {ACTIVE_MAX} active API keys. Revoke one first.", limit=ACTIVE_MAX)
            try:
                earned_at = CREATION.admit(ring.earned_at, now)
            except TooFast as too_fast:
                seconds = too_fast.retry_after_seconds
                raise RateLimited(
                    f"Too many new API keys in a day. Try again in {seconds} s.", retryAfterSeconds=seconds
                ) from None
            key = ApiKey(key_id(secret), user_id, name, frozenset(scopes), now, grant_credits_per_day)
            ring = KeyRing((*ring.active, key.id), earned_at)
            self.database.commit(create_api_key(key), ring.write(ring_document))
            return key

        return secret, self.retry(attempt)

    def list(self, user_id: str) -> Sequence[ApiKey]:
        """Return a user's active keys, newest first. Raises DatabaseUnavailable.

        The keys' own documents say which keys are active. So the list has a key that the ring lacks, too.
        """
        keys = [read_or_log(api_key_of, document) for document in self.database.find(active_keys(user_id, LISTED_MAX))]
        return sorted((key for key in keys if key is not None), key=lambda key: key.created_at, reverse=True)

    def revoke(self, id: str, may_revoke: Callable[[ApiKey], bool]) -> ApiKey:
        """Revoke a key and return it. A key that was revoked before keeps its time.

        A ring that cannot be read is logged and left as it is. Raises ApiKeyNotFound if there is no such key, or
        ``may_revoke`` returns False.
        """

        def attempt(_tries: int) -> ApiKey:
            [document] = self.database.read(api_key_path(id))
            if not document.exists or not may_revoke(key := api_key_of(document)):
                raise ApiKeyNotFound(f"You have no API key {id!r}.", keyId=id)
            [ring_document] = self.database.read(key_ring_path(key.user_id))
            ring = read_or_log(KeyRing.of, ring_document)
            is_in_ring = ring is not None and id in ring.active
            if key.revoked_at is not None and not is_in_ring:
                return key
            # An operator can revoke a key by its document. Then it is still in the ring.
            revoked = replace(key, revoked_at=key.revoked_at or self.clock.now())
            writes: list[Write] = [update_revoked(document, revoked)]
            if ring is not None:
                active = tuple(active for active in ring.active if active != id)
                writes.append(replace(ring, active=active).write(ring_document))
            self.database.commit(*writes)
            return revoked

        return self.retry(attempt)

    def find(self, secret: str) -> ApiKey | None:
        """Return the active key of a well-formed secret, or None. Raises DatabaseUnavailable and Unreadable."""
        [document] = self.database.read(api_key_path(key_id(secret)))
        key = api_key_of(document) if document.exists else None
        return None if key is None or key.revoked_at is not None else key

    def record_use(self, key: ApiKey) -> None:
        """Record that the key was used today, in the first call of a day. If that fails, a later call does it."""
        today = self.clock.now().astimezone(UTC).date()
        if key.last_used_on == today:
            return
        with suppress(CommitRefused, OutcomeUnknown, DatabaseUnavailable, Unreadable):
            [document] = self.database.read(api_key_path(key.id))
            if api_key_of(document).last_used_on != today:
                self.database.commit(update_last_use(document, today))

"""API keys: the secrets with which servers call for their owner, limited by scopes."""

import hashlib
import random
import re
import zlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from imagegen.dataclass import dataclass

PREFIX = "igk_"
"""The beginning of each key, by which people and secret scanners know it."""

RANDOM_BYTES = 32
KEY_PATTERN = r"^igk_[0-9a-f]{72}$"
"""The prefix, 32 random bytes and their CRC-32, in hex."""


class Scope(StrEnum):
    """The purpose of a key, which can call only the functions of its scopes."""

    READ = "read"
    GENERATE = "generate"
    GRANT = "grant"


class TooManyGranted(Exception):
    """A grant exceeds the credits that a key may grant in a day."""

    def __init__(self, left: int, retry_after: timedelta) -> None:
        super().__init__()
        self.left = left
        self.retry_after_seconds = max(1, int(retry_after.total_seconds()))


def new_secret(rng: random.Random) -> str:
    """Return a new key. In production, ``rng`` is the operating system's generator."""
    part = rng.randbytes(RANDOM_BYTES)
    return f"{PREFIX}{part.hex()}{zlib.crc32(part):08x}"


def is_well_formed(secret: str) -> bool:
    """Return whether a text has the form of a key. Typing errors and cut keys do not have it."""
    if not re.fullmatch(KEY_PATTERN, secret):
        return False
    digits = secret.removeprefix(PREFIX)
    return f"{zlib.crc32(bytes.fromhex(digits[:-8])):08x}" == digits[-8:]


def key_id(secret: str) -> str:
    """Return the id under which a key is stored: the SHA-256 of the whole key, in hex. The key itself is not stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """A key as stored, without its secret.

    ``grant_credits_per_day`` is the most that the key may grant in a day (UTC), and ``granted`` what it granted on
    ``granted_on``. ``last_used_on`` is a day too.
    """

    id: str
    user_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    grant_credits_per_day: int = 0
    granted_on: date | None = None
    granted: int = 0
    last_used_on: date | None = None
    revoked_at: datetime | None = None

    def after_grant(self, credits: int, at: datetime) -> "ApiKey":
        """Return the key after a grant of ``credits``. Raises TooManyGranted."""
        today = at.astimezone(UTC).date()
        granted = self.granted if self.granted_on == today else 0
        if granted + credits > self.grant_credits_per_day:
            tomorrow = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
            raise TooManyGranted(max(0, self.grant_credits_per_day - granted), tomorrow - at)
        return replace(self, granted_on=today, granted=granted + credits)

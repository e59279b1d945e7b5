"""Conversion of API keys to and from Firestore documents, which clients cannot read."""

from datetime import date, datetime, timedelta
from typing import Any, Self

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import SCHEMA_VERSION
from imagegen.documents.fields import EXPIRE_AT, Fields
from imagegen.domain.api_keys import ApiKey, Scope
from imagegen.ports.database import Create, Query, Snapshot, Update, Where

REVOKED_KEPT = timedelta(days=400)
"""The time in which an operator can look up a revoked key, whose id is in the grants that were made with it."""

API_KEYS = "apiKeys"
KEY_RINGS = "apiKeyRings"


def api_key_path(key_id: str) -> str:
    return f"{API_KEYS}/{key_id}"


def key_ring_path(user_id: str) -> str:
    return f"{KEY_RINGS}/{user_id}"


def active_keys(user_id: str, limit: int) -> Query:
    """Return the query for the keys of a user that are not revoked."""
    return Query(API_KEYS, (Where("userId", "==", user_id), Where("revokedAt", "==", None)), limit=limit)


def create_api_key(key: ApiKey) -> Create:
    data = {
        "schemaVersion": SCHEMA_VERSION,
        "userId": key.user_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "createdAt": key.created_at,
        "grantCreditsPerDay": key.grant_credits_per_day,
        **granted_fields(key),
        "lastUsedOn": None,
        "revokedAt": None,
    }
    return Create(api_key_path(key.id), data)


def granted_fields(key: ApiKey) -> dict[str, Any]:
    return {"grantedOn": key.granted_on and str(key.granted_on), "granted": key.granted}


def update_granted(document: Snapshot, key: ApiKey) -> Update:
    """Return the update of what the key has granted, on the condition that the document is unchanged."""
    return _update(document, granted_fields(key))


def update_last_use(document: Snapshot, day: date) -> Update:
    return _update(document, {"lastUsedOn": str(day)})


def update_revoked(document: Snapshot, key: ApiKey) -> Update:
    assert key.revoked_at is not None, "the key is revoked"
    return _update(document, {"revokedAt": key.revoked_at, EXPIRE_AT: key.revoked_at + REVOKED_KEPT})


def _update(document: Snapshot, fields: dict[str, Any]) -> Update:
    assert document.version is not None, "only a key that was read can be updated"
    return Update(document.path, fields, document.version)


def api_key_of(document: Snapshot) -> ApiKey:
    """Return the key. Raises Unreadable."""
    fields = Fields.of(document)
    return ApiKey(
        id=document.id,
        user_id=fields.id("userId"),
        name=fields.read("name", str),
        scopes=frozenset(fields.members("scopes", Scope)),
        created_at=fields.read("createdAt", datetime),
        grant_credits_per_day=fields.amount("grantCreditsPerDay", default=0),
        granted_on=_day_of(fields, "grantedOn"),
        granted=fields.amount("granted", default=0),
        last_used_on=_day_of(fields, "lastUsedOn"),
        revoked_at=fields.nullable("revokedAt", datetime),
    )


def _day_of(fields: Fields, name: str) -> date | None:
    day = fields.optional(name, str)
    try:
        return None if day is None else date.fromisoformat(day)
    except ValueError:
        fields.refuse(name)


@dataclass(frozen=True)
class KeyRing:
    """The ids of a user's active keys, oldest first, and the time at which all keys created so far are earned."""

    active: tuple[str, ...] = ()
    earned_at: datetime | None = None

    @classmethod
    def of(cls, document: Snapshot) -> Self:
        """Return the stored ring, or an empty one if there is none. Raises Unreadable."""
        fields = Fields.of(document)
        return cls(fields.ids("active"), fields.optional("earnedAt", datetime))

    def write(self, document: Snapshot) -> Create | Update:
        """Return the write of the ring, on the condition that the document is unchanged."""
        data: dict[str, Any] = {"active": list[str](self.active), "earnedAt": self.earned_at}
        if document.version is None:
            return Create(document.path, {"schemaVersion": SCHEMA_VERSION, **data})
        return Update(document.path, data, document.version)

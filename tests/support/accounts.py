"""A fake of Firebase Auth for the functions in this process."""

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from firebase_admin import auth


@dataclass
class Accounts:
    """The accounts. Every user has an account unless it is deleted here. The user's id is a valid ID token."""

    admins: set[str] = field(default_factory=lambda: {"admin"})
    unverified: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    lookups: int = 0

    def get_user(self, uid: str) -> Any:
        self.lookups += 1
        if uid in self.deleted:
            raise auth.UserNotFoundError("deleted")
        return SimpleNamespace(
            uid=uid,
            custom_claims={"admin": True} if uid in self.admins else None,
            display_name=None,
            email=f"{uid}@example.com",
            email_verified=uid not in self.unverified,
            phone_number=None,
            disabled=uid in self.disabled,
            tokens_valid_after_timestamp=0,
        )

    def verify_id_token(self, token: str, **_: object) -> dict[str, Any]:
        if not token.islower():
            raise ValueError(token)
        now = int(time.time())
        return {"sub": token, "iat": now, "exp": now + 3_600}

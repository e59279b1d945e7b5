"""Authentication of callers and access to operations."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from firebase_admin import auth
from firebase_admin.exceptions import FirebaseError
from firebase_functions.https_fn import CallableRequest

from imagegen import settings
from imagegen.errors import (
    AppCheckRequired,
    EmailNotVerified,
    PermissionDenied,
    ServiceUnavailable,
    Unauthenticated,
)

BEARER = "Bearer "


@dataclass(frozen=True)
class Caller:
    """The caller. ``uid`` is None for anonymous calls, which are accepted only where REQUIRE_AUTH is off."""

    uid: str | None = None
    is_admin: bool = False
    email_verified: bool = False
    profile: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, call: CallableRequest[Any]) -> Self:
        """Return the caller that the call's token identifies.

        Raises AppCheckRequired and Unauthenticated, and ServiceUnavailable if the account cannot be looked up.
        """
        if call.app is None and settings.app_check_enforced():
            raise AppCheckRequired("This call needs a valid App Check token. Call it from your app.")
        if call.auth is None:
            if settings.auth_required():
                raise Unauthenticated("Sign in first. This call needs a Firebase ID token.")
            return cls()
        claims = call.auth.token
        _check_still_valid(call, claims)
        profile = {"displayName": claims.get("name"), "email": claims.get("email")}
        return cls(
            uid=claims["uid"],
            is_admin=claims.get("admin") is True,
            email_verified=claims.get("email_verified") is True,
            profile={name: value for name, value in profile.items() if isinstance(value, str)},
        )

    def check_may_spend(self) -> None:
        """Raise EmailNotVerified if a verified e-mail address is required and the caller has none."""
        if self.uid is not None and not self.email_verified and settings.verified_email_required():
            raise EmailNotVerified("Verify your e-mail address, then sign in again to spend credits.")


class Access(Enum):
    """The callers that may call an operation. The documentation shows the values.

    An anonymous caller, accepted only where REQUIRE_AUTH is off, can act as any owner, but not as an admin.
    """

    SIGNED_IN = "anyone signed in"
    OWNER = "the owner"
    OWNER_OR_ADMIN = "the owner or an admin"
    ADMIN = "an admin"

    def allows(self, caller: Caller, owner_id: str) -> bool:
        """Return whether ``caller`` may call for the data of the user ``owner_id``."""
        is_owner = caller.uid in (None, owner_id)
        match self:
            case Access.SIGNED_IN:
                return True
            case Access.OWNER:
                return is_owner
            case Access.OWNER_OR_ADMIN:
                return is_owner or caller.is_admin
            case Access.ADMIN:
                return caller.is_admin

    def check(self, caller: Caller, owner_id: str | None) -> None:
        """Raise PermissionDenied if ``caller`` may not call for ``owner_id``.

        ``owner_id`` is None in a call that does not name an owner.
        """
        if self is Access.ADMIN and not caller.is_admin:
            raise PermissionDenied("Only admins can call this function. An admin's account has the custom claim admin.")
        if owner_id is not None and not self.allows(caller, owner_id):
            raise PermissionDenied("You can act only for yourself. Send your own userId, or leave it out.")


def _check_still_valid(call: CallableRequest[Any], claims: Mapping[str, Any]) -> None:
    """Check that the token has not expired or been revoked, and that its account is enabled.

    The SDK has verified the token's signature before. Raises Unauthenticated and ServiceUnavailable.
    """
    issued, expires = claims.get("iat"), claims.get("exp")  # under the Auth emulator, the SDK does not check these
    if not (isinstance(issued, int) and isinstance(expires, int) and time.time() < expires):
        raise Unauthenticated("The token has expired. Sign in again.")
    token = call.raw_request.headers["Authorization"].removeprefix(BEARER)
    try:
        auth.verify_id_token(token, check_revoked=True)
    except (auth.InvalidIdTokenError, auth.UserDisabledError, auth.UserNotFoundError):
        message = "The token was revoked, or its account was disabled or deleted. Sign in again."
        raise Unauthenticated(message) from None
    except FirebaseError as error:
        raise ServiceUnavailable("Your account could not be checked. Nothing was changed. Try again.") from error

"""Implements the ``AuthAccounts`` port with Firebase Auth."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.auth.exceptions import GoogleAuthError

from imagegen.deadlines import DeadlineExceeded, Deadlines
from imagegen.ports.auth_accounts import AuthUnavailable

CALL_SECONDS = 10.0

UID_LENGTH_MAX = 128
"""No account has a longer id. Where REQUIRE_AUTH is off, a user may have one."""

A = TypeVar("A")


class FirebaseAuthAccounts:
    """The accounts of the project. Thread-safe. The first call imports the Admin SDK."""

    def __init__(self) -> None:
        self._deadlines = Deadlines()

    def get(self, user_id: str) -> Mapping[str, Any] | None:
        from firebase_admin import auth

        user = self._called(auth.get_user, user_id)
        if user is None:
            return None
        times = user.user_metadata
        return {
            "email": user.email,
            "emailVerified": user.email_verified,
            "phoneNumber": user.phone_number,
            "displayName": user.display_name,
            "photoUrl": user.photo_url,
            "disabled": user.disabled,
            "createdAt": _time(times.creation_timestamp),
            "lastSignInAt": _time(times.last_sign_in_timestamp),
            "lastRefreshAt": _time(times.last_refresh_timestamp),
            "customClaims": user.custom_claims,
            "providers": [
                {
                    "providerId": one.provider_id,
                    "uid": one.uid,
                    "email": one.email,
                    "phoneNumber": one.phone_number,
                    "displayName": one.display_name,
                    "photoUrl": one.photo_url,
                }
                for one in user.provider_data
            ],
        }

    def delete(self, user_id: str) -> None:
        from firebase_admin import auth

        self._called(auth.delete_user, user_id)

    def _called(self, function: Callable[[str], A], user_id: str) -> A | None:
        """Return the result of a call about an account, or None if there is no account. Raises AuthUnavailable."""
        from firebase_admin import auth
        from firebase_admin.exceptions import FirebaseError

        from imagegen import admin_sdk  # noqa: F401 - initializes the SDK

        if len(user_id) > UID_LENGTH_MAX:
            return None
        if self._deadlines.is_full:
            raise AuthUnavailable("too many calls of Firebase Auth have not ended yet")
        try:
            return self._deadlines.run(lambda: function(user_id), CALL_SECONDS)
        except auth.UserNotFoundError:
            return None
        except (DeadlineExceeded, FirebaseError, GoogleAuthError, ValueError) as error:  # ValueError: an invalid id
            raise AuthUnavailable(type(error).__name__) from error


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)

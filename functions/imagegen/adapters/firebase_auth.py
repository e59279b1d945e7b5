"""Implements the ``AuthAccounts`` port with Firebase Auth."""

from google.auth.exceptions import GoogleAuthError

from imagegen.deadlines import DeadlineExceeded, Deadlines
from imagegen.ports.auth_accounts import AuthUnavailable

DELETE_SECONDS = 10.0


class FirebaseAuthAccounts:
    """The accounts of the project. Thread-safe. The first call imports the Admin SDK."""

    def __init__(self) -> None:
        self._deadlines = Deadlines()

    def delete(self, user_id: str) -> None:
        from firebase_admin import auth
        from firebase_admin.exceptions import FirebaseError

        from imagegen import admin_sdk  # noqa: F401 - initializes the SDK

        if self._deadlines.is_full:
            raise AuthUnavailable("too many calls of Firebase Auth have not ended yet")
        try:
            self._deadlines.run(lambda: auth.delete_user(user_id), DELETE_SECONDS)
        except auth.UserNotFoundError:
            pass
        except (DeadlineExceeded, FirebaseError, GoogleAuthError, ValueError) as error:  # ValueError: an invalid id
            raise AuthUnavailable(type(error).__name__) from error

"""The port to the accounts that people sign in with."""

from collections.abc import Mapping
from typing import Any, Protocol


class AuthUnavailable(Exception):
    """The account could not be read or deleted, or its deletion was not confirmed."""


class AuthAccounts(Protocol):
    """The accounts of Firebase Auth. ``FirebaseAuthAccounts`` implements it."""

    def get(self, user_id: str) -> Mapping[str, Any] | None:
        """Return what is stored about the user, or None if there is no account. Raises AuthUnavailable."""

    def delete(self, user_id: str) -> None:
        """Delete an account, which may be missing. Raises AuthUnavailable."""

"""The port to the accounts that people sign in with."""

from typing import Protocol


class AuthUnavailable(Exception):
    """The account could not be deleted, or its deletion was not confirmed."""


class AuthAccounts(Protocol):
    """The accounts of Firebase Auth. ``FirebaseAuthAccounts`` implements it."""

    def delete(self, user_id: str) -> None:
        """Delete an account, which may be missing. Raises AuthUnavailable."""

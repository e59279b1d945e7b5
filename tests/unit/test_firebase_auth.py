"""Tests of the adapter that deletes accounts of Firebase Auth."""

import threading
from typing import Any

import pytest
from firebase_admin import auth
from firebase_admin.exceptions import UnavailableError

from imagegen.adapters import firebase_auth
from imagegen.adapters.firebase_auth import FirebaseAuthAccounts
from imagegen.ports.auth_accounts import AuthUnavailable


def raising(error: Exception) -> Any:
    def delete_user(_user_id: str) -> None:
        raise error

    return delete_user


def test_account_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[str] = []
    monkeypatch.setattr(auth, "delete_user", deleted.append)
    FirebaseAuthAccounts().delete("user")
    assert deleted == ["user"]


def test_missing_account_counts_as_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "delete_user", raising(auth.UserNotFoundError("gone")))
    FirebaseAuthAccounts().delete("user")


@pytest.mark.parametrize("error", [UnavailableError("down"), ValueError("no credentials")])
def test_other_errors_are_unavailable(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(auth, "delete_user", raising(error))
    with pytest.raises(AuthUnavailable):
        FirebaseAuthAccounts().delete("user")


def test_call_that_hangs_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firebase_auth, "DELETE_SECONDS", 0)
    released = threading.Event()
    monkeypatch.setattr(auth, "delete_user", lambda _user_id: released.wait(30))
    with pytest.raises(AuthUnavailable):
        FirebaseAuthAccounts().delete("user")
    released.set()

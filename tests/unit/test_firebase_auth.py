"""Tests of the adapter that reads and deletes accounts of Firebase Auth."""

import threading
from datetime import UTC, datetime, timedelta
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


def test_everything_about_an_account_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    google = {"providerId": "google.com", "rawId": "117", "email": "grace@gmail.com", "displayName": "Grace"}
    stored = {
        "localId": "user",
        "email": "grace@example.com",
        "emailVerified": True,
        "phoneNumber": "+15550100",
        "createdAt": "1700000000000",
        "lastLoginAt": "1700000060000",
        "passwordHash": "secret",
        "providerUserInfo": [google],
        "customAttributes": '{"admin": true}',
    }
    monkeypatch.setattr(auth, "get_user", lambda _user_id: auth.UserRecord(stored))
    account = FirebaseAuthAccounts().get("user")
    assert account is not None
    assert "secret" not in str(account)
    assert account["createdAt"] == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert account["lastSignInAt"] - account["createdAt"] == timedelta(minutes=1)
    assert (account["phoneNumber"], account["customClaims"]) == ("+15550100", {"admin": True})
    [provider] = account["providers"]
    assert (provider["providerId"], provider["uid"], provider["email"]) == ("google.com", "117", "grace@gmail.com")


def test_missing_account_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "get_user", raising(auth.UserNotFoundError("gone")))
    assert FirebaseAuthAccounts().get("user") is None


def test_id_that_no_account_can_have_is_nothing() -> None:
    """The SDK refuses it, so its deletion would never end."""
    FirebaseAuthAccounts().delete("u" * 129)
    assert FirebaseAuthAccounts().get("u" * 129) is None


@pytest.mark.parametrize("error", [UnavailableError("down"), ValueError("no credentials")])
def test_other_errors_are_unavailable(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(auth, "delete_user", raising(error))
    with pytest.raises(AuthUnavailable):
        FirebaseAuthAccounts().delete("user")


def test_call_that_hangs_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firebase_auth, "CALL_SECONDS", 0)
    released = threading.Event()
    monkeypatch.setattr(auth, "delete_user", lambda _user_id: released.wait(30))
    with pytest.raises(AuthUnavailable):
        FirebaseAuthAccounts().delete("user")
    released.set()

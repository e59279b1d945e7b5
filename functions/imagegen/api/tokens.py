"""Checks App Check tokens and ID tokens, and looks up accounts, with the Admin SDK."""

import time
from collections.abc import Mapping
from typing import Any

from firebase_admin import app_check, auth
from firebase_admin.exceptions import FirebaseError
from google.auth.exceptions import GoogleAuthError
from jwt import PyJWKClientConnectionError

from imagegen import admin_sdk  # noqa: F401 - initializes the SDK
from imagegen.api.auth import UNCHECKED
from imagegen.errors import AppCheckRequired, ServiceUnavailable, Unauthenticated

CLOCK_SKEW_SECONDS = 10
"""The most that the clocks of Firebase Auth and of an instance may differ."""


def check_app(token: str | None) -> None:
    """Raise AppCheckRequired unless ``token`` is a valid App Check token.

    Raises ServiceUnavailable if the keys of App Check cannot be fetched.
    """
    try:
        app_check.verify_token(token)
    except (PyJWKClientConnectionError, GoogleAuthError) as error:  # GoogleAuthError: no credentials of our own
        raise ServiceUnavailable(UNCHECKED) from error
    except Exception:  # noqa: BLE001 - a malformed token makes the SDK raise all kinds of errors
        raise AppCheckRequired("This call needs a valid App Check token. Call it from your app.") from None


def claims_of(authorization: str) -> Mapping[str, Any]:
    """Return the claims of the ID token in an Authorization header, which are as they were when it was issued.

    Raises Unauthenticated, and ServiceUnavailable if Google's certificates cannot be fetched.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme != "Bearer":
        raise Unauthenticated("The Authorization header must be: Bearer <ID token>.")
    try:
        claims = auth.verify_id_token(token, clock_skew_seconds=CLOCK_SKEW_SECONDS)
    except auth.CertificateFetchError as error:
        raise ServiceUnavailable(UNCHECKED) from error
    except Exception:  # noqa: BLE001 - a malformed token makes the SDK raise all kinds of errors
        raise Unauthenticated("The token is invalid or expired. Sign in again.") from None
    issued, expires = claims.get("iat"), claims.get("exp")  # the SDK does not check these under the Auth emulator
    if not (isinstance(issued, int) and isinstance(expires, int)):
        raise Unauthenticated("The token is invalid. Sign in again.")
    if not issued - CLOCK_SKEW_SECONDS <= time.time() < expires + CLOCK_SKEW_SECONDS:
        raise Unauthenticated("The token has expired. Sign in again.")
    return dict(claims)


def account_of(claims: Mapping[str, Any]) -> auth.UserRecord:
    """Return the account of a token. Raises Unauthenticated if the token is no longer valid, and ServiceUnavailable."""
    account = active_account(claims["sub"])
    if claims["iat"] * 1000 < account.tokens_valid_after_timestamp:
        raise Unauthenticated("The token was revoked. Sign in again.")
    return account


def active_account(uid: str) -> auth.UserRecord:
    """Return the account. Raises Unauthenticated if it was deleted or disabled, and ServiceUnavailable."""
    try:
        account = auth.get_user(uid)
    except auth.UserNotFoundError:
        raise Unauthenticated("The account was deleted.") from None
    except (FirebaseError, GoogleAuthError) as error:
        raise ServiceUnavailable("Your account could not be checked. Nothing was changed. Try again.") from error
    if account.disabled:
        raise Unauthenticated("The account is disabled.")
    return account

"""Who is calling, and for whom they may."""

import os
from typing import Any

from firebase_functions.https_fn import CallableRequest
from firebase_functions.params import BoolParam

from imagegen.errors import PermissionDenied, Unauthenticated

REQUIRE_AUTH = BoolParam(
    "REQUIRE_AUTH",
    default=True,
    description="Refuse calls without a signed-in user. Off only in the local demo project.",
)


def require_caller(request: CallableRequest[Any]) -> None:
    """Raises Unauthenticated where nobody is signed in and REQUIRE_AUTH is not off."""
    if request.auth is None and _auth_required():
        raise Unauthenticated("Sign in first: this call needs a Firebase ID token.")


def require_owner(request: CallableRequest[Any], user_id: str) -> None:
    """Raises PermissionDenied for a signed-in caller who names someone else's ``user_id``."""
    if request.auth is not None and request.auth.uid != user_id:
        raise PermissionDenied("Signed-in users act for themselves only. Send your own userId.")


def _auth_required() -> bool:
    # BoolParam takes everything but "true" for False; a typing slip must not open the backend.
    return os.environ.get(REQUIRE_AUTH.name, "true").strip().lower() != "false"

"""ID tokens like those of the Auth emulator, which have no signature, so that their claims can be changed."""

import base64
import json
from typing import Any


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def altered(token: str, **claims: object) -> str:
    """Return the token with changed ``claims``. A claim of None is left out."""
    changed = {name: value for name, value in {**claims_of(token), **claims}.items() if value is not None}
    return unsigned(changed)


def unsigned(payload: object) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, payload]
    return ".".join([*(encoded(json.dumps(part).encode()) for part in parts), ""])


def encoded(part: bytes) -> str:
    """Return the part of a token in unpadded base64url."""
    return base64.urlsafe_b64encode(part).decode().rstrip("=")

"""ID tokens as the Auth emulator makes them: without a signature, so that anybody can change what they say."""

import base64
import json
from typing import Any


def claims_of(token: str) -> dict[str, Any]:
    """What a token says."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def altered(token: str, **claims: object) -> str:
    """A token that says the same but for ``claims``; what is None there is left out."""
    said = {name: value for name, value in {**claims_of(token), **claims}.items() if value is not None}
    return unsigned(said)


def unsigned(payload: object) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, payload]
    return ".".join([*(encoded(json.dumps(part).encode()) for part in parts), ""])


def encoded(part: bytes) -> str:
    """As a part of a token is written."""
    return base64.urlsafe_b64encode(part).decode().rstrip("=")

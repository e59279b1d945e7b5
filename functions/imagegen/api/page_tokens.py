"""Page tokens: the opaque place in a list where a page ended, which holds for the query that it came from alone."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from imagegen.api.fields import is_document_id
from imagegen.domain.weeks import Week

SEQUENCE = range(1, 2**63)  # what Firestore's integers leave for entry numbers
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOKEN_LENGTH_MAX = 4_000


def encode(query: object, *position: int | str) -> str:
    """The base64url of a digest of ``query`` (JSON-like) and the position in its results."""
    text = json.dumps([_digest(query), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, query: object) -> list[Any]:
    """The position in ``query``. Raises ValueError for anything that was not given out for it."""
    if len(token) > TOKEN_LENGTH_MAX:
        raise ValueError("too long")
    text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(content, list) or not content or token != encode(query, *content[1:]):
        raise ValueError("of another query, or of none")
    return content[1:]


def entry_number(position: list[Any]) -> int:
    """Raises ValueError."""
    match position:
        case [int(seq)] if seq in SEQUENCE and seq is not True:
            return seq
    raise ValueError("no place in a history")


def week(position: list[Any]) -> Week:
    """Raises ValueError."""
    match position:
        case [str(name)]:
            return Week.parse(name)
    raise ValueError("no place in a list of reports")


def moment(at: datetime) -> int:
    """Microseconds since 1970: how a time is written in a token."""
    return (at - EPOCH) // timedelta(microseconds=1)


def moment_and_id(position: list[Any]) -> tuple[datetime, str]:
    """Raises ValueError."""
    match position:
        case [int(microseconds), str(id)] if is_document_id(id):
            try:
                return EPOCH + timedelta(microseconds=microseconds), id
            except OverflowError:
                pass
    raise ValueError("no place in a list of requests")


def _digest(query: object) -> str:
    return hashlib.sha256(json.dumps(query, sort_keys=True, default=str).encode()).hexdigest()[:16]

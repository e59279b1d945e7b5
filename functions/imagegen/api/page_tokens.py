"""Page tokens: opaque positions in a list, each valid only for the query that returned it."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from imagegen.api.fields import is_document_id, refuse

SEQUENCE = range(1, 2**63)  # entry numbers; Firestore's integers have 64 bits
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOKEN_LENGTH_MAX = 4_000
TOKEN_SCHEMA = WithJsonSchema({"type": "string", "description": "The token of the next page, from the previous page."})


def position(place_of: Callable[[list[Any]], Any], *query_fields: str) -> BeforeValidator:
    """Return a validator that decodes a page token into a position in the results of a query.

    The fields named ``query_fields`` make the query. They must be declared before the token. A token of another query
    is refused.
    """

    def place(token: object, info: ValidationInfo) -> Any:
        if token is None or token == "":  # as before the first page
            return None
        if not isinstance(token, str):
            raise refuse("must be a string")
        if not info.data.keys() >= set(query_fields):
            return None  # a field of the query is invalid, and reported already
        try:
            return place_of(decode(token, query_of(info.data, query_fields)))
        except ValueError:
            raise refuse("is not a token from an earlier answer to this query") from None

    return BeforeValidator(place)


def query_of(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a request that make its query."""
    return {name: fields[name] for name in names}


def encode(query: object, *position: float | str) -> str:
    """Return the token of a position in the results of ``query``: base64url of the query's digest and the position."""
    text = json.dumps([_digest(query), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, query: object) -> list[Any]:
    """Return the position in the results of ``query``. Raises ValueError if the token is not one of this query."""
    if len(token) > TOKEN_LENGTH_MAX:
        raise ValueError("too long")
    text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(content, list) or not content or token != encode(query, *content[1:]):
        raise ValueError("not a token of this query")
    return content[1:]


def entry_number(position: list[Any]) -> float:
    """Return the number of a ledger entry from a decoded position. Raises ValueError.

    An entry that cannot be read may have a number that is not an integer, and be the last of its page.
    """
    match position:
        case [int(seq) | float(seq)] if SEQUENCE.start <= seq < SEQUENCE.stop and seq is not True:
            return seq
    raise ValueError("not a position in a history")


def week(position: list[Any]) -> str:
    """Return the name of a week from a decoded position. Raises ValueError.

    A report that cannot be read may have another text, and be the last of its page.
    """
    match position:
        case [str(name)] if name.isprintable():
            return name
    raise ValueError("not a position in a list of reports")


def after_moment(query: object, position: tuple[datetime, str] | None) -> str | None:
    """Return the token of a position in a list by creation time, or None without a position."""
    return None if position is None else encode(query, moment(position[0]), position[1])


def after_entry(query: object, position: tuple[float, str] | None) -> str | None:
    """Return the token of a position in a ledger, or None without a position."""
    return None if position is None else encode(query, position[0])


def moment(at: datetime) -> int:
    """Return a time as a token stores it, in microseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)


def moment_and_id(position: list[Any]) -> tuple[datetime, str]:
    """Return the creation time and the document's id from a decoded position. Raises ValueError."""
    match position:
        case [int(microseconds), str(id)] if is_document_id(id):
            try:
                return EPOCH + timedelta(microseconds=microseconds), id
            except OverflowError:
                pass
    raise ValueError("not a position in a list of requests or webhooks")


def _digest(query: object) -> str:
    return hashlib.sha256(json.dumps(query, sort_keys=True, default=str).encode()).hexdigest()[:16]

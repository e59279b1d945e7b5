"""The Idempotency-Key header."""

import re
from typing import LiteralString

from imagegen.api.fields import HEADER_KEY, HEADER_KEY_LENGTH_MAX, QUOTED_HEADER_KEY
from imagegen.errors import InvalidInput

KEY_HEADER = "Idempotency-Key"

REPLAYED_HEADER = "Idempotent-Replayed"
"""The header of an answer that repeats the answer to an earlier call, under the name that Stripe's API gave it."""

_COMMA_OUTSIDE_OF_QUOTES = rf'(?:[^",]|{QUOTED_HEADER_KEY})*+,'
"""Goes through a header once, and never back, because a caller could make that take long."""


def header_key(header: str) -> tuple[str, str | None]:
    """Return the key of an Idempotency-Key header, and the key that earlier versions read from it if that was another.

    The header is a quoted string, as in the IETF's draft (draft-ietf-httpapi-idempotency-key-header), or the bare key.
    Earlier versions took the quotes for a part of the key. Raises InvalidInput.
    """
    if len(header) > HEADER_KEY_LENGTH_MAX:
        raise _refused("must have at most {1} characters in the {0} header")
    if re.fullmatch(QUOTED_HEADER_KEY, header):
        return re.sub(r"\\(.)", r"\1", header[1:-1]), header
    if re.fullmatch(HEADER_KEY, header):
        return header, None
    if re.match(_COMMA_OUTSIDE_OF_QUOTES, header):
        # Servers join two headers of the same name with a comma.
        raise _refused("must not contain a comma outside of quotes in the {} header. Send one header")
    raise _refused("must be printable ASCII characters or a quoted string in the {} header")


def _refused(message: LiteralString) -> InvalidInput:
    return InvalidInput([{"field": "idempotencyKey", "message": message.format(KEY_HEADER, HEADER_KEY_LENGTH_MAX)}])

"""The Idempotency-Key header."""

import re
from typing import LiteralString

from imagegen.api.fields import HEADER_KEY, QUOTED_HEADER_KEY
from imagegen.errors import InvalidInput

KEY_HEADER = "Idempotency-Key"

REPLAYED_HEADER = "Idempotent-Replayed"
"""The header of an answer that repeats the answer to an earlier call, under the name that Stripe's API gave it."""


def header_key(header: str) -> tuple[str, str | None]:
    """Return the key of an Idempotency-Key header, and the key that earlier versions read from it if that was another.

    The header is a quoted string, as in the IETF's draft (draft-ietf-httpapi-idempotency-key-header), or the bare key.
    Earlier versions took the quotes for a part of the key. Raises InvalidInput.
    """
    if "," in re.sub(QUOTED_HEADER_KEY, "", header):
        # Servers join two headers of the same name with a comma.
        raise _refused("must not contain a comma outside of quotes in the {} header. Send one header")
    if re.fullmatch(QUOTED_HEADER_KEY, header):
        return re.sub(r"\\(.)", r"\1", header[1:-1]), header
    if re.fullmatch(HEADER_KEY, header):
        return header, None
    raise _refused("must be printable ASCII characters or a quoted string in the {} header")


def _refused(message: LiteralString) -> InvalidInput:
    return InvalidInput([{"field": "idempotencyKey", "message": message.format(KEY_HEADER)}])

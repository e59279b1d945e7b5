"""The fields of the API's requests: what each of them may hold."""

import base64
import re
import unicodedata
from typing import Annotated, Any, LiteralString

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from imagegen.domain.catalog import Catalog, Color, Kind, Model, Option, Size, Style

PROMPT_LENGTH_MAX = 2_000
IDEMPOTENCY_KEY_LENGTH_MAX = 255
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
DOCUMENT_ID_BYTES_MAX = 1_500  # https://firebase.google.com/docs/firestore/quotas

SEQUENCE = range(1, 2**63)  # what Firestore's integers leave for entry numbers


def _refuse(message: LiteralString, **context: Any) -> PydanticCustomError:
    return PydanticCustomError("refused", message, context)


def _document_id(value: str) -> str:
    """Firestore's own rules, https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields"""
    if len(value.encode()) > DOCUMENT_ID_BYTES_MAX:
        raise _refuse("must have at most {bytes} bytes", bytes=DOCUMENT_ID_BYTES_MAX)
    if "/" in value or value in {".", ".."} or re.fullmatch("__.*__", value) or _has_control_characters(value):
        raise _refuse("is no valid id")
    return value


def _prompt(value: str) -> str:
    if not value.strip():
        raise _refuse("must not be blank")
    if _has_control_characters(value, but="\t\n\r"):
        raise _refuse("must not hold control characters")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise _refuse("must hold printable characters only")
    return value


def _has_control_characters(value: str, but: str = "") -> bool:
    return any(unicodedata.category(character) == "Cc" and character not in but for character in value)


def _page_size(value: object) -> object:
    """Null is as if left out; the Apple and Android SDKs send 64-bit integers in the callable protocol's long form."""
    match value:
        case None:
            return PAGE_SIZE_DEFAULT
        case {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": str(digits)} if digits.isdecimal():
            return int(digits[:20])
    return value


def _choice(kind: Kind) -> BeforeValidator:
    """Turns a name or id into the catalog's option."""

    def choose(value: object, info: ValidationInfo[Catalog]) -> Option:
        if not isinstance(value, str):
            raise _refuse("must be a string")
        option = info.context.choose(kind, value)
        if option is None:
            raise _refuse("must be one of the {kind} on offer", kind=kind.collection)
        return option

    return BeforeValidator(choose)


ChosenModel = Annotated[Model, _choice(Kind.MODEL)]
ChosenStyle = Annotated[Style, _choice(Kind.STYLE)]
ChosenColor = Annotated[Color, _choice(Kind.COLOR)]
ChosenSize = Annotated[Size, _choice(Kind.SIZE)]
UserId = Annotated[str, Field(min_length=1), AfterValidator(_document_id)]
Prompt = Annotated[str, Field(max_length=PROMPT_LENGTH_MAX), AfterValidator(_prompt)]
PageSize = Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX), BeforeValidator(_page_size)]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=IDEMPOTENCY_KEY_LENGTH_MAX), AfterValidator(_printable)]


class PageToken:
    """The opaque place in a user's history where a page ended: the base64url of user and entry number."""

    @staticmethod
    def encode(user_id: str, seq: int) -> str:
        return base64.urlsafe_b64encode(f"{seq}@{user_id}".encode()).decode().rstrip("=")

    @staticmethod
    def decode(token: str, user_id: str) -> int:
        """The entry number. Raises ValueError for anything that was not given out for this user."""
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
        seq = int(text.partition("@")[0])
        if seq not in SEQUENCE or token != PageToken.encode(user_id, seq):
            raise ValueError
        return seq


def _place(token: object, info: ValidationInfo) -> int | None:
    """The entry number that a page token stands for, once the user is known whose it has to be."""
    if token is None:
        return None
    if not isinstance(token, str):
        raise _refuse("must be a string")
    try:
        return PageToken.decode(token, info.data["user_id"]) if "user_id" in info.data else None
    except ValueError:
        raise _refuse("is not a token from an earlier answer for this user") from None


Place = Annotated[int | None, BeforeValidator(_place)]

"""The fields of the API's requests: what each of them may hold."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, LiteralString

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError, Url

from imagegen import settings
from imagegen.api.context import Context
from imagegen.domain.catalog import Color, Kind, Model, Option, Size, Style
from imagegen.domain.generation import Mode
from imagegen.domain.public_addresses import is_loopback_host, is_public_host
from imagegen.domain.weeks import Week

PROMPT_LENGTH_MAX = 2_000
ADDRESS_LENGTH_MAX = 500
REASON_LENGTH_MAX = 500
URL_LENGTH_MAX = 2_048
NAME_LENGTH_MAX = 200
IDEMPOTENCY_KEY_LENGTH_MAX = 255
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
GRANT_MAX = 1_000_000
ID_LENGTH_MAX = 128
"""Of a user in Firebase Auth, https://firebase.google.com/docs/auth/admin/manage-users#create_a_user; ours have 32.

Firestore would take 1,500 bytes for a document's id, and refuse a query for a field that holds one of that size.
"""


# What the validators below accept, for the API's documentation: nothing else is accepted, and next to nothing less.
_CONTROL = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
_BLANKS_AND_FORMATS = r"\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ue000-\uf8ff\ufeff"
_UNPRINTABLE = rf"\u0000-\u001f\u007f-\u00a0{_BLANKS_AND_FORMATS}"
TEXT_PATTERN = rf"^[^{_CONTROL}]*[^{_CONTROL}\s][^{_CONTROL}]*$"
KEY_PATTERN = rf"^[^{_UNPRINTABLE}]+$"
ID_PATTERN = rf"^(?!\.{{1,2}}$)(?!__[^/]*__$)[^/{_UNPRINTABLE}]+$"
URL_PATTERN = rf"^https://[^/?#@\\ {_UNPRINTABLE}]+([/?#][^ {_UNPRINTABLE}]*)?$"
MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
WEEK_PATTERN = r"^2[0-9]{3}-W[0-9]{2}$"
HEADER_KEY_PATTERN = r"^[!-~]([ -~]*[!-~])?$"
"""An idempotency key that fits into a header: there, nobody agrees what other characters mean."""
UNPRIVILEGED_PORTS = range(1024, 65_536)


def refuse(message: LiteralString, **context: Any) -> PydanticCustomError:
    return PydanticCustomError("refused", message, context)


def is_document_id(value: str) -> bool:
    """Firestore's own rules, https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields

    And printable characters only: an id with invisible or reordering ones is a trap for whoever reads it.
    """
    return (
        value.isprintable()
        and 0 < len(value) <= ID_LENGTH_MAX
        and "/" not in value
        and value not in {".", ".."}
        and not re.fullmatch("__.*__", value)
    )


def _document_id(value: str) -> str:
    if not is_document_id(value):
        raise refuse("is no valid id")
    return value


def _own_id(value: object, info: ValidationInfo[Context]) -> object:
    """The caller's, where nobody is named."""
    if value is not None:
        return value
    if info.context.caller.uid is None:
        raise refuse("is required")
    return info.context.caller.uid


def _text(value: str) -> str:
    if not value.strip():
        raise refuse("must not be blank")
    if any(unicodedata.category(character) == "Cc" and character not in "\t\n\r" for character in value):
        raise refuse("must not hold control characters")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise refuse("must hold printable characters only")
    return value


def _https_url(value: str) -> str:
    _url(value, "https")
    if not re.match(URL_PATTERN, value):  # it is kept as it came, so there must be one way to read it
        raise refuse("must be an https URL")
    return value


def _webhook_url(value: str) -> str:
    """As the URL standard writes it, so that whoever sends to it reads it as it was read here.

    Names are judged here, and what they resolve to by whoever sends.
    """
    is_local_allowed = settings.local_webhooks_allowed()
    url = _url(value, *(("https", "http") if is_local_allowed else ("https",)))
    host = url.host or ""
    if not is_public_host(host) and not (is_local_allowed and is_loopback_host(host)):
        raise refuse("must be at a public host")
    if url.port not in {443, 80 if url.scheme == "http" else 443, *UNPRIVILEGED_PORTS}:
        raise refuse("must have no port, or 443, or one from 1024 on")
    return str(url)


def _url(value: str, *schemes: str) -> Url:
    try:
        url = Url(value)
    except ValueError:
        raise refuse("is no URL") from None
    if url.username or url.password:
        raise refuse("must not hold a user name or password")
    if url.scheme not in schemes or not value.isprintable() or " " in value:
        raise refuse("must be an https URL")
    return url


def _integer(value: object) -> object:
    """The Apple and Android SDKs send 64-bit integers in the callable protocol's long form."""
    match value:
        case {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": str(digits), **others}:
            if not others and re.fullmatch("-?[0-9]{1,19}", digits):
                return int(digits)
    return value


def _or(default: object) -> BeforeValidator:
    """Null is as if left out."""
    return BeforeValidator(lambda value: default if value is None else value)


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, str) and re.fullmatch(MOMENT_PATTERN, value):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise refuse("must be an RFC 3339 time with its zone, as in 2026-11-09T00:00:00Z")


def _week(value: object) -> Week:
    try:
        if isinstance(value, str) and re.match(WEEK_PATTERN, value):
            return Week.parse(value)
    except ValueError:
        pass
    raise refuse("must be an ISO week from 2000 on, as in 2026-W46")


def _choice(kind: Kind) -> BeforeValidator:
    """Turns a name or id into the catalog's option."""

    def choose(value: object, info: ValidationInfo[Context]) -> Option:
        if not isinstance(value, str):
            raise refuse("must be a string")
        option = info.context.catalog().choose(kind, value)
        if option is None:
            raise refuse("must be one of the {kind} on offer", kind=kind.collection)
        return option

    return BeforeValidator(choose)


def _name(kind: Kind) -> AfterValidator:
    """Turns an id into the name that requests are recorded with; what is no longer on offer can still be named."""

    def name(value: str, info: ValidationInfo[Context]) -> str:
        return info.context.catalog().name(kind, value)

    return AfterValidator(name)


def _chosen(kind: Kind, example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "description": f"The name or id of a {kind.value} on offer.", "examples": [example]}
    )


ChosenModel = Annotated[Model, _choice(Kind.MODEL), _chosen(Kind.MODEL, "Model A")]
ChosenStyle = Annotated[Style, _choice(Kind.STYLE), _chosen(Kind.STYLE, "oil painting")]
ChosenColor = Annotated[Color, _choice(Kind.COLOR), _chosen(Kind.COLOR, "neon")]
ChosenSize = Annotated[Size, _choice(Kind.SIZE), _chosen(Kind.SIZE, "1024x1024")]

_Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
ModelName = Annotated[_Name, _name(Kind.MODEL)]
StyleName = Annotated[_Name, _name(Kind.STYLE)]
ColorName = Annotated[_Name, _name(Kind.COLOR)]
SizeName = Annotated[_Name, _name(Kind.SIZE)]

DocumentId = Annotated[
    str,
    Field(min_length=1, max_length=ID_LENGTH_MAX, json_schema_extra={"pattern": ID_PATTERN}),
    AfterValidator(_document_id),
]
UserId = Annotated[DocumentId, BeforeValidator(_own_id)]
"""Left out, it is the caller's."""


def _text_of(length_max: int, description: str) -> Any:
    return Field(max_length=length_max, description=description, json_schema_extra={"pattern": TEXT_PATTERN})


Prompt = Annotated[
    str, _text_of(PROMPT_LENGTH_MAX, "What the image shows; breaks and tabs may be in it."), AfterValidator(_text)
]
Address = Annotated[str, _text_of(ADDRESS_LENGTH_MAX, "A postal address."), AfterValidator(_text)]
Reason = Annotated[str, _text_of(REASON_LENGTH_MAX, "Why, for people who read the ledger."), AfterValidator(_text)]
HttpsUrl = Annotated[
    str, Field(max_length=URL_LENGTH_MAX, json_schema_extra={"pattern": URL_PATTERN}), AfterValidator(_https_url)
]
WebhookUrl = Annotated[
    str,
    Field(
        max_length=URL_LENGTH_MAX,
        description="Where the end is told: an https URL at a public host. Locally, http and loopback are taken, too.",
    ),
    AfterValidator(_webhook_url),
]
CreditAmount = Annotated[int, Field(ge=1, le=GRANT_MAX), BeforeValidator(_integer)]
PageSize = Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX), _or(PAGE_SIZE_DEFAULT), BeforeValidator(_integer)]
Flag = Annotated[bool, _or(False)]
ModeName = Annotated[Mode, Field(strict=False), _or(Mode.SYNC)]
IdempotencyKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=IDEMPOTENCY_KEY_LENGTH_MAX,
        description="Makes a call safe to repeat: what was done under this key before is answered, not done again.",
        json_schema_extra={"pattern": KEY_PATTERN},
    ),
    AfterValidator(_printable),
]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": MOMENT_PATTERN}),
]
WeekName = Annotated[
    Week,
    BeforeValidator(_week),
    WithJsonSchema({"type": "string", "pattern": WEEK_PATTERN, "examples": ["2026-W46"]}),
]

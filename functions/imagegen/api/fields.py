"""The types of the fields of the API's requests, with their limits and validators."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, LiteralString

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError, Url

from imagegen import settings
from imagegen.api.context import Context
from imagegen.domain.catalog import Color, Kind, Model, Option, Size, Style
from imagegen.domain.generation import Mode
from imagegen.domain.public_addresses import CONTAINER_HOST, is_localhost_name, is_loopback_host, is_public_host
from imagegen.domain.weeks import Week

PROMPT_LENGTH_MAX = 2_000
ADDRESS_LENGTH_MAX = 500
REASON_LENGTH_MAX = 500
URL_LENGTH_MAX = 2_048
NAME_LENGTH_MAX = 200
KEY_NAME_LENGTH_MAX = 100
IDEMPOTENCY_KEY_LENGTH_MAX = 255
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
SEED_MAX = 2**31 - 1
MAX_AGE_SECONDS_MAX = 10 * 366 * 86_400
LIMIT_DEFAULT = 20
LIMIT_MAX = 100
OFFSET_MAX = 1_000
"""Firestore bills a read for each document that an offset leaves out."""
TOTAL_MAX = 10_000
"""The highest total that a list counts to in the REST API. Firestore bills a read for 1,000 of them."""
REPORTS_PAGE_SIZE_DEFAULT = 10
"""Fewer than in other lists, because a report has some hundred figures."""
GRANT_MAX = 1_000_000
ID_LENGTH_MAX = 128
"""The maximum length of a user id, https://firebase.google.com/docs/auth/admin/manage-users#create_a_user

The ids that the backend creates have 32 characters. Firestore accepts document ids of up to 1,500 bytes, but refuses a
query for a field value of that size.
"""


# The patterns are for the API's documentation. The validators below accept a little less, and never more.
_CONTROL = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
# White_Space and Default_Ignorable_Code_Point of Unicode 17 (PropList.txt and DerivedCoreProperties.txt in
# https://www.unicode.org/Public/17.0.0/ucd/), and the blank Braille pattern.
_INVISIBLE = (
    r"\s\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\u2800"
)
_INVISIBLE_BEYOND_16_BITS = r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
_BLANKS_AND_FORMATS = r"\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ue000-\uf8ff\ufeff"
_UNPRINTABLE = rf"\u0000-\u001f\u007f-\u00a0{_BLANKS_AND_FORMATS}"
TEXT_PATTERN = rf"^[^{_CONTROL}]*[^{_CONTROL}{_INVISIBLE}][^{_CONTROL}]*$"
KEY_PATTERN = rf"^[^{_UNPRINTABLE}]+$"
PRINTABLE_PATTERN = rf"^[^{_UNPRINTABLE}]*$"
ID_PATTERN = rf"^(?!\.{{1,2}}$)(?!__[^/]*__$)[^/{_UNPRINTABLE}]+$"
URL_PATTERN = rf"^https://[^/?#@\\ {_UNPRINTABLE}]+([/?#][^ {_UNPRINTABLE}]*)?$"
MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
WEEK_PATTERN = r"^2[0-9]{3}-W[0-9]{2}$"
HEADER_KEY = r"[!#-+\--~](?:[ -+\--~]*[!-+\--~])?"
"""A bare idempotency key in a header: no comma, and no quote at its start. Clients and servers decode non-ASCII
characters in headers differently."""
QUOTED_HEADER_KEY = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
"""A quoted one: a string of https://www.rfc-editor.org/rfc/rfc9651.html#name-strings"""
HEADER_KEY_PATTERN = f"^(?:{HEADER_KEY}|{QUOTED_HEADER_KEY})$"
HEADER_KEY_LENGTH_MAX = 2 * IDEMPOTENCY_KEY_LENGTH_MAX + 2
"""In quotes, each character may need a backslash."""
_CONTROL_CHARACTER = re.compile(rf"[{_CONTROL}]")
_VISIBLE_CHARACTER = re.compile(rf"[^{_CONTROL}{_INVISIBLE}{_INVISIBLE_BEYOND_16_BITS}]")
UNPRIVILEGED_PORTS = range(1024, 65_536)


def refuse(message: LiteralString, **context: Any) -> PydanticCustomError:
    """Return the error for a validator to raise. ``context`` fills the placeholders of ``message``."""
    return PydanticCustomError("refused", message, context)


def is_document_id(value: str) -> bool:
    """Return whether ``value`` can be a document's id.

    The rules are Firestore's, https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields, and
    one more: only printable characters, because invisible or reordering characters mislead people who read the id.
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
        raise refuse("is not a valid id")
    return value


def _default_to_caller(value: object, info: ValidationInfo[Context]) -> object:
    """Return ``value``, or the caller's id if it is None."""
    if value is not None:
        return value
    if info.context.caller.uid is None:
        raise refuse("is required")
    return info.context.caller.uid


def _text(value: str) -> str:
    if control := _CONTROL_CHARACTER.search(value):
        code, position = f"U+{ord(control[0]):04X}", control.start()
        message: LiteralString = "must not contain control characters: {code} is at position {position}"
        raise refuse(message, code=code, position=position)
    if not _VISIBLE_CHARACTER.search(value):
        raise refuse("must not be blank")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise refuse("must contain only printable characters")
    return value


def _photo_url(value: str) -> str:
    url = _public_url(value)
    if not re.match(URL_PATTERN, value):
        raise refuse("must be an https URL")
    return url


def _webhook_url(value: str) -> str:
    return _public_url(value, is_local_allowed=settings.local_webhooks_allowed())


def _public_url(value: str, *, is_local_allowed: bool = False) -> str:
    """Return the URL as normalized by the URL standard, so that its user parses it as this function did.

    Only the host's name is checked here. The webhook sender checks the addresses that the name resolves to.
    """
    url = _url(value, *(("https", "http") if is_local_allowed else ("https",)))
    host = url.host or ""
    if not is_public_host(host) and not (is_local_allowed and _is_this_machine(host)):
        raise refuse("must be at a public host")
    if url.port not in {443, 80 if url.scheme == "http" else 443, *UNPRIVILEGED_PORTS}:
        raise refuse("must not have a port below 1024 except 443")
    return str(url)


def _is_this_machine(host: str) -> bool:
    """Return whether the host of a URL is this machine. Some names are so in a demo project only."""
    is_demo_name = host.removesuffix(".") == CONTAINER_HOST or is_localhost_name(host)
    return is_loopback_host(host) or (is_demo_name and settings.is_demo_project())


def _url(value: str, *schemes: str) -> Url:
    try:
        url = Url(value)
    except ValueError:
        raise refuse("is not a URL") from None
    if url.username or url.password:
        raise refuse("must not contain a user name or password")
    if url.scheme not in schemes or not value.isprintable() or " " in value:
        raise refuse("must be an https URL")
    return url


_LONG_FORMS = (
    "type.googleapis.com/google.protobuf.Int64Value",
    "type.googleapis.com/google.protobuf.UInt64Value",
)


def integer(value: object) -> object:
    """Return the integer that a whole number stands for, or ``value`` unchanged.

    JSON has one kind of number, so ``2.0`` and ``2e0`` are 2. The Apple and Android SDKs send 64-bit integers in a long
    form of the callable protocol.
    """
    match value:
        case float() if value.is_integer():
            return int(value)
        case {"@type": str(form), "value": str(digits), **others} if form in _LONG_FORMS and not others:
            if re.fullmatch("-?[0-9]{1,20}", digits):
                return int(digits)
    return value


def _null_means(default: object) -> BeforeValidator:
    """Return a validator that replaces null with ``default``, as if the field was left out."""
    return BeforeValidator(lambda value: default if value is None else value)


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, str) and re.fullmatch(MOMENT_PATTERN, value):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise refuse("must be an RFC 3339 time with a time zone, such as 2026-11-09T00:00:00Z")


def _week(value: object) -> Week:
    try:
        if isinstance(value, str) and re.match(WEEK_PATTERN, value):
            return Week.parse(value)
    except ValueError:
        pass
    raise refuse("must be an ISO week from 2000 on, such as 2026-W46")


def _option_of(kind: Kind) -> BeforeValidator:
    """Return a validator that replaces the name or id of an option with the option of the catalog."""

    def choose(value: object, info: ValidationInfo[Context]) -> Option:
        if not isinstance(value, str):
            raise refuse("must be a string")
        option = info.context.catalog().choose(kind, value)
        if option is None:
            raise refuse("must be one of the {kind} on offer", kind=kind.collection)
        return option

    return BeforeValidator(choose)


def _name_of(kind: Kind) -> AfterValidator:
    """Return a validator that replaces the id of an option with its name, because requests record names.

    Disabled options are accepted, because older requests have them.
    """

    def name(value: str, info: ValidationInfo[Context]) -> str:
        found = info.context.catalog().name(kind, value)
        if found is None:
            raise refuse("must be one of the {kind} in the catalog", kind=kind.collection)
        return found

    return AfterValidator(name)


def _option_schema(kind: Kind, example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "description": f"The name or id of a {kind.value} on offer.", "examples": [example]}
    )


ChosenModel = Annotated[Model, _option_of(Kind.MODEL), _option_schema(Kind.MODEL, "Model A")]
ChosenStyle = Annotated[Style, _option_of(Kind.STYLE), _option_schema(Kind.STYLE, "oil painting")]
ChosenColor = Annotated[Color, _option_of(Kind.COLOR), _option_schema(Kind.COLOR, "neon")]
ChosenSize = Annotated[Size, _option_of(Kind.SIZE), _option_schema(Kind.SIZE, "1024x1024")]

_Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
ModelName = Annotated[_Name, _name_of(Kind.MODEL)]
StyleName = Annotated[_Name, _name_of(Kind.STYLE)]
ColorName = Annotated[_Name, _name_of(Kind.COLOR)]
SizeName = Annotated[_Name, _name_of(Kind.SIZE)]

DocumentId = Annotated[
    str,
    Field(min_length=1, max_length=ID_LENGTH_MAX, json_schema_extra={"pattern": ID_PATTERN}),
    AfterValidator(_document_id),
]
UserId = Annotated[DocumentId, BeforeValidator(_default_to_caller)]
"""A user's id. The default is the caller's id."""


def _text_of(length_max: int, description: str) -> Any:
    """Return the field of a text of up to ``length_max`` characters."""
    return Field(max_length=length_max, description=description, json_schema_extra={"pattern": TEXT_PATTERN})


Prompt = Annotated[
    str,
    _text_of(PROMPT_LENGTH_MAX, "A description of the image. It can contain line breaks and tabs."),
    AfterValidator(_text),
]
Address = Annotated[str, _text_of(ADDRESS_LENGTH_MAX, "A postal address."), AfterValidator(_text)]
Reason = Annotated[
    str, _text_of(REASON_LENGTH_MAX, "The reason, for people who read the ledger."), AfterValidator(_text)
]
KeyName = Annotated[
    str, _text_of(KEY_NAME_LENGTH_MAX, "A name for people, such as the name of the server."), AfterValidator(_text)
]
PrintableText = Annotated[
    str,
    Field(min_length=1, max_length=NAME_LENGTH_MAX, json_schema_extra={"pattern": PRINTABLE_PATTERN}),
    AfterValidator(_printable),
]
SearchText = Annotated[
    str,
    Field(max_length=NAME_LENGTH_MAX, json_schema_extra={"pattern": PRINTABLE_PATTERN}),
    AfterValidator(_printable),
    _null_means(""),
]
PhotoUrl = Annotated[
    str,
    Field(
        max_length=URL_LENGTH_MAX,
        description="The URL of a photo. It must be an https URL at a public host.",
        json_schema_extra={"pattern": URL_PATTERN},
    ),
    AfterValidator(_photo_url),
]
WebhookUrl = Annotated[
    str,
    Field(
        max_length=URL_LENGTH_MAX,
        description="The URL that gets a message when the request ends. It must be an https URL at a public host. "
        "The local emulator also accepts http and loopback hosts.",
    ),
    AfterValidator(_webhook_url),
]
CreditAmount = Annotated[int, Field(ge=1, le=GRANT_MAX), BeforeValidator(integer)]
MaxCredits = Annotated[
    int,
    Field(ge=0, le=GRANT_MAX, description="The highest price that you accept. If the price is higher, it is refused."),
    BeforeValidator(integer),
]


def _page_size(default: int) -> Any:
    """Return the type of a page size, as in Google's APIs (https://google.aip.dev/158)."""
    description = f"The default is {default}, also for 0. More than {PAGE_SIZE_MAX} is taken for {PAGE_SIZE_MAX}."
    return Annotated[
        int,
        Field(ge=0, description=description),
        AfterValidator(lambda size: min(size, PAGE_SIZE_MAX) or default),
        _null_means(default),
        BeforeValidator(integer),
    ]


Seed = Annotated[
    int,
    Field(
        ge=0,
        le=SEED_MAX,
        description="A number that a model starts from. The same order with the same seed gives a similar image. Only "
        "models with takesSeed accept it.",
    ),
    BeforeValidator(integer),
]
MaxAgeSeconds = Annotated[int, Field(ge=1, le=MAX_AGE_SECONDS_MAX), BeforeValidator(integer)]
PageSize = _page_size(PAGE_SIZE_DEFAULT)
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)]
"""The page size in the REST API."""
Offset = Annotated[
    int,
    Field(
        ge=0,
        le=OFFSET_MAX,
        description="The number of items to leave out at the start. To go further, follow the tokens.",
    ),
]
ReportsPageSize = _page_size(REPORTS_PAGE_SIZE_DEFAULT)
Flag = Annotated[bool, _null_means(False)]
ModeName = Annotated[Mode, Field(strict=False), _null_means(Mode.SYNC)]
IdempotencyKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=IDEMPOTENCY_KEY_LENGTH_MAX,
        description="Makes the call safe to repeat. A repeated call returns the outcome of the first call.",
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

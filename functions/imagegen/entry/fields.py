"""The fields of the API's requests: what each of them may hold."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, LiteralString

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError, Url

from imagegen import settings
from imagegen.addresses import is_loopback_host, is_public_host
from imagegen.domain.catalog import Color, Kind, Model, Option, Size, Style
from imagegen.domain.weeks import Week
from imagegen.entry.context import Context

PROMPT_LENGTH_MAX = 2_000
ADDRESS_LENGTH_MAX = 500
REASON_LENGTH_MAX = 500
URL_LENGTH_MAX = 2_048
NAME_LENGTH_MAX = 200
IDEMPOTENCY_KEY_LENGTH_MAX = 255
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
GRANT_MAX = 1_000_000
UNPRIVILEGED_PORTS = range(1024, 65_536)
DOCUMENT_ID_BYTES_MAX = 1_500  # https://firebase.google.com/docs/firestore/quotas


def refuse(message: LiteralString, **context: Any) -> PydanticCustomError:
    return PydanticCustomError("refused", message, context)


def is_document_id(value: str) -> bool:
    """Firestore's own rules, https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields"""
    return (
        0 < len(value.encode("utf-8", "surrogatepass")) <= DOCUMENT_ID_BYTES_MAX
        and "/" not in value
        and value not in {".", ".."}
        and not re.fullmatch("__.*__", value)
        and not _has_control_characters(value)
    )


def _document_id(value: str) -> str:
    if len(value.encode()) > DOCUMENT_ID_BYTES_MAX:
        raise refuse("must have at most {bytes} bytes", bytes=DOCUMENT_ID_BYTES_MAX)
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
    if _has_control_characters(value, but="\t\n\r"):
        raise refuse("must not hold control characters")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise refuse("must hold printable characters only")
    return value


def _has_control_characters(value: str, but: str = "") -> bool:
    return any(unicodedata.category(character) == "Cc" and character not in but for character in value)


def _https_url(value: str) -> str:
    _url(value, "https")
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
    if url.scheme not in schemes or not value.isprintable() or " " in value:
        raise refuse("must be an https URL")
    if url.username or url.password:
        raise refuse("must not hold a user name or password")
    return url


def _integer(value: object) -> object:
    """The Apple and Android SDKs send 64-bit integers in the callable protocol's long form."""
    match value:
        case {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": str(digits)} if digits.isdecimal():
            return int(digits[:20])
    return value


def _page_size(value: object) -> object:
    """Null is as if left out."""
    return PAGE_SIZE_DEFAULT if value is None else value


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise refuse("must be an RFC 3339 time with its zone, as in 2026-11-09T00:00:00Z")


def _week(value: object) -> Week:
    try:
        return Week.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise refuse("must be an ISO week, as in 2026-W46") from None


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


def _schema(kind: Kind, example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "description": f"The name or id of a {kind.value}.", "examples": [example]}
    )


ChosenModel = Annotated[Model, _choice(Kind.MODEL), _schema(Kind.MODEL, "Model A")]
ChosenStyle = Annotated[Style, _choice(Kind.STYLE), _schema(Kind.STYLE, "oil painting")]
ChosenColor = Annotated[Color, _choice(Kind.COLOR), _schema(Kind.COLOR, "neon")]
ChosenSize = Annotated[Size, _choice(Kind.SIZE), _schema(Kind.SIZE, "1024x1024")]

_Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
ModelName = Annotated[_Name, _name(Kind.MODEL)]
StyleName = Annotated[_Name, _name(Kind.STYLE)]
ColorName = Annotated[_Name, _name(Kind.COLOR)]
SizeName = Annotated[_Name, _name(Kind.SIZE)]

DocumentId = Annotated[str, Field(min_length=1), AfterValidator(_document_id)]
UserId = Annotated[DocumentId, BeforeValidator(_own_id)]
"""Left out, it is the caller's."""

Prompt = Annotated[str, Field(max_length=PROMPT_LENGTH_MAX), AfterValidator(_text)]
Address = Annotated[str, Field(max_length=ADDRESS_LENGTH_MAX), AfterValidator(_text)]
Reason = Annotated[str, Field(max_length=REASON_LENGTH_MAX), AfterValidator(_text)]
HttpsUrl = Annotated[str, Field(max_length=URL_LENGTH_MAX), AfterValidator(_https_url)]
WebhookUrl = Annotated[str, Field(max_length=URL_LENGTH_MAX), AfterValidator(_webhook_url)]
GrantedCredits = Annotated[int, Field(ge=1, le=GRANT_MAX), BeforeValidator(_integer)]
PageSize = Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX), BeforeValidator(_page_size), BeforeValidator(_integer)]
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=IDEMPOTENCY_KEY_LENGTH_MAX), AfterValidator(_printable)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
WeekName = Annotated[
    Week,
    BeforeValidator(_week),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-W\d{2}$", "examples": ["2026-W46"]}),
]

"""What callers may send and what they get back: the request and response models of the API.

Every violation of a request is reported at once, with its field and, where there is a choice, the allowed values.
"""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, LiteralString, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from imagegen.domain.catalog import Catalog, Color, Kind, Model, Option, Size, Style
from imagegen.domain.generation import GenerationRequest, Order
from imagegen.errors import InvalidInput
from imagegen.services.histories import Page

PROMPT_LENGTH_MAX = 2_000
IDEMPOTENCY_KEY_LENGTH_MAX = 255
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
DOCUMENT_ID_BYTES_MAX = 1_500  # https://firebase.google.com/docs/firestore/quotas

VIOLATIONS_MAX = 100  # an answer must not grow with whatever was sent
SEQUENCE = range(1, 2**63)  # what Firestore's integers leave for entry numbers

M = TypeVar("M", bound=BaseModel)


def parse(shape: type[M], data: object, catalog: Catalog | None = None) -> M:
    """``data`` as a ``shape``. Raises InvalidInput with every violation, up to ``VIOLATIONS_MAX``."""
    try:
        return shape.model_validate(data, context=catalog)
    except ValidationError as error:
        problems = error.errors(include_url=False)[:VIOLATIONS_MAX]
        raise InvalidInput([_violation(problem, catalog) for problem in problems]) from None


def _violation(problem: Any, catalog: Catalog | None) -> dict[str, Any]:
    field = ".".join(str(part) for part in problem["loc"]) if problem["loc"] else "data"
    violation: dict[str, Any] = {"field": field, "message": _MESSAGES.get(problem["type"], _as_is)(problem)}
    if catalog is not None and field in set(Kind):
        violation["allowed"] = catalog.names(Kind(field))
    return violation


def _as_is(problem: Any) -> str:
    text: str = problem["msg"]
    return text[:1].lower() + text[1:]


_MESSAGES: dict[str, Callable[[Any], str]] = {
    "missing": lambda _: "is required",
    "extra_forbidden": lambda _: "is not a known field",
    "model_type": lambda _: "must be an object",
    "string_type": lambda _: "must be a string",
    "int_type": lambda _: "must be an integer",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda problem: f"must have at most {problem['ctx']['max_length']} characters",
    "greater_than_equal": lambda problem: f"must be at least {problem['ctx']['ge']}",
    "less_than_equal": lambda problem: f"must be at most {problem['ctx']['le']}",
}


# Fields


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


def _choose(kind: Kind) -> BeforeValidator:
    """Turns a name or id into the catalog's option."""

    def choose(value: object, info: ValidationInfo[Catalog]) -> Option:
        if not isinstance(value, str):
            raise _refuse("must be a string")
        option = info.context.choose(kind, value)
        if option is None:
            raise _refuse("must be one of the {kind} on offer", kind=kind.collection)
        return option

    return BeforeValidator(choose)


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


# Requests


class Request(BaseModel):
    """camelCase on the wire, nothing coerced, nothing unknown accepted."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class CreateGenerationRequest(Request):
    user_id: UserId
    model: Annotated[Model, _choose(Kind.MODEL)]
    style: Annotated[Style, _choose(Kind.STYLE)]
    color: Annotated[Color, _choose(Kind.COLOR)]
    size: Annotated[Size, _choose(Kind.SIZE)]
    prompt: Prompt
    idempotency_key: IdempotencyKey | None = None

    def order(self, fingerprint: str) -> Order:
        return Order(
            user_id=self.user_id,
            model=self.model,
            style=self.style,
            color=self.color,
            size=self.size,
            prompt=self.prompt,
            fingerprint=fingerprint,
            idempotency_key=self.idempotency_key,
        )


class Repeat(Request):
    """What an earlier createGenerationRequest is found by, in a payload that may be invalid by now."""

    model_config = ConfigDict(extra="ignore")

    user_id: UserId
    idempotency_key: IdempotencyKey


def fingerprint(data: dict[str, Any]) -> str:
    """The same for the same ``data``, in whatever order its fields came; a SHA-256 in hex."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


class GetUserCredits(Request):
    user_id: UserId
    page_size: PageSize = PAGE_SIZE_DEFAULT
    before_seq: Annotated[int | None, Field(alias="pageToken"), BeforeValidator(_place)] = None


# Responses


class Response(BaseModel):
    """camelCase on the wire; times are RFC 3339 in UTC; what is None is left out."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True)

    def wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class CreatedGenerationRequest(Response):
    generation_request_id: str
    deducted_credits: int
    image_url: str

    @classmethod
    def of(cls, request: GenerationRequest) -> Self:
        assert request.image_url is not None, "a completed request has its image"
        return cls(generation_request_id=request.id, deducted_credits=request.cost, image_url=request.image_url)


class Transaction(Response):
    id: str
    type: Literal["deduction", "refund"]
    credits: int
    generation_request_id: str
    timestamp: datetime


class UserCredits(Response):
    current_credits: int
    transactions: list[Transaction]
    next_page_token: str | None

    @classmethod
    def of(cls, page: Page) -> Self:
        wallet, entries = page.wallet, page.entries
        return cls(
            current_credits=wallet.credits.total,
            transactions=[
                Transaction.model_validate(
                    {
                        "id": entry.id,
                        "type": entry.type.value,
                        "credits": entry.amount.total,
                        "generationRequestId": entry.generation_request_id,
                        "timestamp": entry.timestamp,
                    }
                )
                for entry in entries
            ],
            next_page_token=PageToken.encode(wallet.user_id, entries[-1].seq) if page.has_more else None,
        )

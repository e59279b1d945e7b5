"""What callers may send and what they get back: the request and response models of the API.

Every violation of a request is reported at once, with its field and, where there is a choice, the allowed values.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from imagegen.domain.catalog import Catalog, Kind
from imagegen.domain.generation import GenerationRequest, Order
from imagegen.entry.fields import (
    PAGE_SIZE_DEFAULT,
    ChosenColor,
    ChosenModel,
    ChosenSize,
    ChosenStyle,
    IdempotencyKey,
    PageSize,
    PageToken,
    Place,
    Prompt,
    UserId,
)
from imagegen.errors import InvalidInput
from imagegen.services.histories import Page

VIOLATIONS_MAX = 100  # an answer must not grow with whatever was sent

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


# Requests


class Request(BaseModel):
    """camelCase on the wire, nothing coerced, nothing unknown accepted."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class CreateGenerationRequest(Request):
    user_id: UserId
    model: ChosenModel
    style: ChosenStyle
    color: ChosenColor
    size: ChosenSize
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
    before_seq: Place = Field(default=None, alias="pageToken")


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

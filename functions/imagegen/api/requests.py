"""The request models of the API."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.alias_generators import to_camel

from imagegen.api import page_tokens
from imagegen.api.fields import (
    LIMIT_DEFAULT,
    PAGE_SIZE_DEFAULT,
    REPORTS_PAGE_SIZE_DEFAULT,
    Address,
    ChosenColor,
    ChosenModel,
    ChosenSize,
    ChosenStyle,
    ColorName,
    CreditAmount,
    DocumentId,
    Flag,
    IdempotencyKey,
    KeyName,
    Limit,
    MaxAgeSeconds,
    MaxCredits,
    ModelName,
    ModeName,
    Moment,
    Offset,
    PageSize,
    PhotoUrl,
    Prompt,
    Reason,
    ReportsPageSize,
    Seed,
    SizeName,
    StyleName,
    UserId,
    WebhookUrl,
    WeekName,
    refuse,
)
from imagegen.domain.api_keys import Scope
from imagegen.domain.catalog import Model
from imagegen.domain.endpoints import EventType
from imagegen.domain.generation import Fingerprint, Key, Mode, Order, Reuse, Status
from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import EntryType
from imagegen.domain.weeks import Week
from imagegen.services.generations.queries import Filter


class Request(BaseModel):
    """A request. Fields are camelCase in JSON. Values are not coerced, and unknown fields are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True, defer_build=True)


def _example(**data: JsonValue) -> ConfigDict:
    """Return the config of a request whose example in the documentation is ``data``. It must work with the seed."""
    return ConfigDict(json_schema_extra={"examples": [data]})


class OfUser(Request):
    """A request about one user. The default is the caller."""

    user_id: UserId = Field(
        default=None, validate_default=True, description="The id of the user. The default is the caller's id."
    )


class Nothing(Request):
    """A request without fields."""

    model_config = _example()


# Generations


class PhotoInput(Request):
    """A photo that the model starts from."""

    type: Literal["photo"]
    photo_url: PhotoUrl


class AddressInput(Request):
    """An address that the model starts from."""

    type: Literal["address"]
    address: Address


class ReuseWithin(Request):
    """The permission to reuse an image up to this age."""

    max_age_seconds: MaxAgeSeconds


ReuseOption = Flag | ReuseWithin


def _reuse(option: bool | ReuseWithin | None) -> Reuse | None:
    """Return the permission to reuse an image, or None without one."""
    if isinstance(option, ReuseWithin):
        return Reuse(timedelta(seconds=option.max_age_seconds))
    return Reuse() if option else None


class CreateGeneration(OfUser):
    """An order of an image, without a mode: the REST API always queues the request."""

    model_config = _example(
        userId="user-100",
        model="Model A",
        style="oil painting",
        color="neon",
        size="1024x1024",
        prompt="a lighthouse at dusk",
    )

    model: ChosenModel
    style: ChosenStyle
    color: ChosenColor
    size: ChosenSize
    prompt: Prompt
    input: Annotated[PhotoInput | AddressInput, Field(discriminator="type")] | None = None
    max_credits: MaxCredits | None = None
    webhook_url: WebhookUrl | None = None
    idempotency_key: IdempotencyKey | None = None
    seed: Seed | None = None
    reuse: ReuseOption | None = Field(
        default=False,
        description="Answer with your newest completed request for the same image, if there is one: the same model, "
        "options, prompt, input and seed. It costs nothing.",
    )

    @field_validator("seed")
    @classmethod
    def _taken_by_the_model(cls, seed: int | None, info: ValidationInfo) -> int | None:
        model = info.data.get("model")
        if seed is not None and isinstance(model, Model) and not model.takes_seed:
            raise refuse(f"is not supported by {model.name}")
        return seed

    def order(self, fingerprint: Fingerprint, earlier_keys: tuple[Key, ...] = (), mode: Mode = Mode.ASYNC) -> Order:
        return Order(
            user_id=self.user_id,
            model=self.model,
            style=self.style,
            color=self.color,
            size=self.size,
            prompt=self.prompt,
            input=self.input.model_dump(by_alias=True) if self.input else None,
            fingerprint=fingerprint,
            idempotency_key=self.idempotency_key,
            earlier_keys=earlier_keys,
            mode=mode,
            webhook_url=self.webhook_url,
            seed=self.seed,
            reuse=_reuse(self.reuse),
            max_credits=self.max_credits,
        )


class CreateGenerationRequest(CreateGeneration):
    mode: ModeName = Mode.SYNC


class Repeat(OfUser):
    """The fields that identify an earlier createGenerationRequest. The other fields may be invalid by now."""

    model_config = ConfigDict(extra="ignore")

    idempotency_key: IdempotencyKey


class OfGenerationRequest(Request):
    """A request about one generation request."""

    model_config = _example(generationRequestId="1aa7461d823928a4c28ea9321b47fa56")

    generation_request_id: DocumentId


class GetGenerationRequest(OfGenerationRequest):
    pass


class CancelGenerationRequest(OfGenerationRequest):
    pass


class ReplaceImageUrls(OfGenerationRequest):
    pass


class RunTask(Request):
    """The task of a queued request. ``ticket`` is derived from the request under a key that only the server has."""

    generation_request_id: DocumentId
    ticket: Annotated[str, Field(min_length=1, max_length=100)]


# Lists, page by page


def _without_repetition(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) < len(scopes):
        raise refuse("must not contain a scope twice")
    return scopes


def _only_for_grants(credits: int | None, info: ValidationInfo) -> int | None:
    """Return the limit of a key, which has one if it can grant, and none otherwise."""
    scopes = info.data.get("scopes")
    if scopes is not None and (Scope.GRANT in scopes) != (credits is not None):
        raise refuse("is required with the scope grant, and must be left out without it")
    return credits


def _page_token(place_of: Callable[[list[Any]], Any], *query_fields: str) -> BeforeValidator:
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
            return place_of(page_tokens.decode(token, _query(info.data, query_fields)))
        except ValueError:
            raise refuse("is not a token from an earlier answer to this query") from None

    return BeforeValidator(place)


def _query(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in names}


def _without_token(offset: int, info: ValidationInfo) -> int:
    """Return the offset, if the page does not start after a token too."""
    if offset and info.data.get("after") is not None:
        raise refuse("must be left out if there is a page token")
    return offset


_TOKEN_SCHEMA = WithJsonSchema({"type": "string", "description": "The token of the next page, from the previous page."})
_CREDITS_QUERY = ("user_id",)
_LIST_QUERY = ("user_id", "status", "model", "style", "color", "size", "created_from", "created_before")


class GetUserCredits(OfUser):
    model_config = _example(userId="user-100", pageSize=20)

    page_size: PageSize = PAGE_SIZE_DEFAULT
    before_seq: Annotated[int | None, _page_token(page_tokens.entry_number, *_CREDITS_QUERY), _TOKEN_SCHEMA] = Field(
        default=None, alias="pageToken"
    )

    def token(self, seq: int) -> str:
        """Return the token of the page that starts after the entry with the number ``seq``."""
        return page_tokens.encode(_query(vars(self), _CREDITS_QUERY), seq)


_TRANSACTIONS_QUERY = ("user_id", "type")


class FilteredTransactions(OfUser):
    """A filter of a user's transactions."""

    type: Annotated[EntryType, Field(strict=False)] | None = None
    before_seq: Annotated[int | None, _page_token(page_tokens.entry_number, *_TRANSACTIONS_QUERY), _TOKEN_SCHEMA] = (
        Field(default=None, alias="pageToken")
    )

    def token(self, seq: int) -> str:
        """Return the token of the page that starts after the entry with the number ``seq``."""
        return page_tokens.encode(_query(vars(self), _TRANSACTIONS_QUERY), seq)


class ListCreditTransactions(FilteredTransactions):
    model_config = _example(userId="user-100", type="grant", pageSize=20)

    page_size: PageSize = PAGE_SIZE_DEFAULT


class ListTransactions(FilteredTransactions):
    model_config = _example(userId="user-100", type="grant", limit=20)

    limit: Limit = LIMIT_DEFAULT


class FilteredRequests(OfUser):
    """A filter of a user's requests. createdFrom is inclusive and createdBefore is exclusive."""

    status: Annotated[Status, Field(strict=False)] | None = None
    model: ModelName | None = None
    style: StyleName | None = None
    color: ColorName | None = None
    size: SizeName | None = None
    created_from: Moment | None = None
    created_before: Moment | None = None
    after: Annotated[
        tuple[datetime, str] | None, _page_token(page_tokens.moment_and_id, *_LIST_QUERY), _TOKEN_SCHEMA
    ] = Field(default=None, alias="pageToken")

    @property
    def filter(self) -> Filter:
        fields = {
            "status": self.status and self.status.value,
            "model": self.model,
            "style": self.style,
            "color": self.color,
            "size": self.size,
        }
        return Filter(
            user_id=self.user_id,
            fields={name: value for name, value in fields.items() if value is not None},
            created_from=self.created_from,
            created_before=self.created_before,
        )

    def token(self, created_at: datetime, request_id: str) -> str:
        """Return the token of the page that starts after the request."""
        return page_tokens.encode(_query(vars(self), _LIST_QUERY), page_tokens.moment(created_at), request_id)


class ListGenerationRequests(FilteredRequests):
    """Filters and pagination. createdFrom is inclusive and createdBefore is exclusive."""

    model_config = _example(userId="user-ada", status="failed", model="Model A", includeTotalCount=True, pageSize=20)

    include_total_count: Flag = False
    page_size: PageSize = PAGE_SIZE_DEFAULT


class ListGenerations(FilteredRequests):
    """Filters and pagination in the REST API. createdFrom is inclusive and createdBefore is exclusive."""

    model_config = _example(userId="user-ada", status="failed", model="Model A", limit=20, offset=0)

    limit: Limit = LIMIT_DEFAULT
    offset: Annotated[Offset, AfterValidator(_without_token)] = 0


# Webhooks


class GetWebhookSecret(OfUser):
    model_config = _example(userId="user-100", webhookUrl="https://hooks.example.com/images")

    webhook_url: WebhookUrl | None = Field(
        default=None, description="A URL of the receiver. Without it, you get a secret for all webhook URLs."
    )
    rotate: Flag = False
    expire_previous: Flag = False


Events = Annotated[
    list[Annotated[EventType, Field(strict=False)]],
    Field(max_length=len(EventType)),
    BeforeValidator(lambda value: [] if value is None else value),
]


class CreateWebhookEndpoint(OfUser):
    model_config = _example(userId="user-100", url="https://hooks.example.com/images", events=["generation.completed"])

    url: WebhookUrl
    events: Events = Field(
        default=[], description="The types of events that the endpoint gets. Without it, it gets all."
    )


class ListWebhookEndpoints(OfUser):
    model_config = _example(userId="user-100")


class DeleteWebhookEndpoint(Request):
    model_config = _example(endpointId="5f0f6e0dbd3b4a36a6b7a5b9a2e3c1d0")

    endpoint_id: DocumentId


class RotateWebhookEndpointSecret(Request):
    model_config = _example(endpointId="5f0f6e0dbd3b4a36a6b7a5b9a2e3c1d0")

    endpoint_id: DocumentId
    expire_previous: Flag = False


_DELIVERIES_QUERY = ("user_id", "generation_request_id")


class ListWebhookDeliveries(OfUser):
    model_config = _example(userId="user-100", pageSize=20)

    generation_request_id: DocumentId | None = None
    page_size: PageSize = PAGE_SIZE_DEFAULT
    after: Annotated[
        tuple[datetime, str] | None, _page_token(page_tokens.moment_and_id, *_DELIVERIES_QUERY), _TOKEN_SCHEMA
    ] = Field(default=None, alias="pageToken")

    def token(self, created_at: datetime, delivery_id: str) -> str:
        """Return the token of the page that starts after the delivery."""
        return page_tokens.encode(_query(vars(self), _DELIVERIES_QUERY), page_tokens.moment(created_at), delivery_id)


class ResendWebhook(Request):
    model_config = _example(deliveryId="1aa7461d823928a4c28ea9321b47fa56-completed")

    delivery_id: DocumentId


class DeliverWebhook(Request):
    """The task of a webhook's attempt. ``attempt`` counts from 0."""

    delivery_id: DocumentId
    attempt: Annotated[int, Field(ge=0, strict=False)]


# Accounts


class RegisterUser(OfUser):
    model_config = _example(userId="user-100")


class GetCreditBalance(OfUser):
    model_config = _example(userId="user-10")


class GrantCredits(Request):
    model_config = _example(
        userId="user-100", credits=10, bucket="paid", reason="goodwill", idempotencyKey="goodwill-2026-11"
    )

    user_id: DocumentId
    credits: CreditAmount
    bucket: Annotated[Bucket, Field(strict=False)]
    reason: Reason
    idempotency_key: IdempotencyKey


# API keys


class CreateApiKey(OfUser):
    """The scope grant needs the most credits that the key may grant in a day, and is for admins."""

    model_config = _example(userId="user-100", name="shop server", scopes=["generate", "read"])

    name: KeyName
    scopes: Annotated[
        list[Annotated[Scope, Field(strict=False)]],
        Field(min_length=1, max_length=len(Scope), json_schema_extra={"uniqueItems": True}),
        AfterValidator(_without_repetition),
    ]
    grant_credits_per_day: Annotated[CreditAmount | None, AfterValidator(_only_for_grants)] = Field(
        default=None,
        validate_default=True,
        description="The most credits that the key may grant in a day (UTC). Required with the scope grant.",
    )


class ListApiKeys(OfUser):
    model_config = _example(userId="user-100")


class RevokeApiKey(Request):
    model_config = _example(keyId="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")

    key_id: DocumentId


# Reports


class GetWeeklyReport(Request):
    model_config = _example(week="2026-W45")

    week: WeekName


class RunWeeklyReport(Request):
    model_config = _example(week="2026-W46")

    week: WeekName


class ListWeeklyReports(Request):
    model_config = _example(pageSize=4)

    page_size: ReportsPageSize = REPORTS_PAGE_SIZE_DEFAULT
    before: Annotated[Week | None, _page_token(page_tokens.week), _TOKEN_SCHEMA] = Field(
        default=None, alias="pageToken"
    )

    def token(self, week: Week) -> str:
        """Return the token of the page that starts with the week before ``week``."""
        return page_tokens.encode({}, str(week))

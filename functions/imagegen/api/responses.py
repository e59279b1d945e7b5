"""The response models of the API."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from imagegen.api.fields import TOTAL_MAX
from imagegen.api.requests import (
    GetUserCredits,
    ListCreditTransactions,
    ListGenerationRequests,
    ListGenerations,
    ListTransactions,
    ListWebhookDeliveries,
    ListWeeklyReports,
)
from imagegen.domain import api_keys, catalog, webhooks
from imagegen.domain.api_keys import Scope
from imagegen.domain.endpoints import EventType
from imagegen.domain.generation import FailureReason, GenerationRequest, Mode, Status
from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import EntryType, LedgerEntry, Wallet
from imagegen.domain.times import rfc3339
from imagegen.services.credits.accounts import Granted
from imagegen.services.credits.history import History
from imagegen.services.generations.cancellation import Canceled
from imagegen.services.generations.create import Created
from imagegen.services.pagination import Page

if TYPE_CHECKING:  # imported on first use, because only a few functions need it
    from imagegen.reports.model import Report

Number = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
"""A number of 0 or more. The minimum is documented but not checked, so that a wrong number in the database does not
hide the rest of the answer. The audit finds such numbers."""

NEXT_PAGE = "The pageToken of the next page. The last page has none."

Replayed = Literal[True] | None
REPLAYED: Any = Field(description="True if an earlier call had this effect, and this answer repeats its answer.")

TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
Time = Annotated[
    str,
    BeforeValidator(rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME_PATTERN}),
]
"""A datetime as a text. The spelling is always the same, so texts can be compared and sorted."""

Milliseconds = Annotated[int, BeforeValidator(lambda time: round(time / timedelta(milliseconds=1)))]
"""A timedelta, rounded to whole milliseconds."""


class Response(BaseModel):
    """A response. Fields are camelCase in JSON, and fields that are None are left out."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        from_attributes=True,
        frozen=True,
        defer_build=True,
        extra="forbid",
    )

    def wire(self) -> dict[str, Any]:
        """Return the response as JSON data."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Described(Response):
    """A response made from the attributes of one domain object. ``validation_alias`` maps attributes of other names."""

    @classmethod
    def of(cls, described: object) -> Self:
        """Return the response that describes a domain object."""
        return cls.model_validate(described)


class ChargedRequest(Response):
    """A generation request, and the credits that it cost. Each answer about a request has these fields."""

    generation_request_id: str = Field(validation_alias="id")
    cost: Number = Field(
        validation_alias=AliasPath("charge", "cost"), description="The credits that were deducted for the request."
    )
    refunded_credits: Number = Field(
        validation_alias=AliasPath("charge", "refunded_credits"),
        description="The credits that were refunded until now: 0 or all of the cost.",
    )
    net_credits: Number = Field(
        validation_alias=AliasPath("charge", "net_credits"), description="cost - refundedCredits."
    )


class Failure(Described):
    reason: FailureReason
    message: str


class ImageDetails(Response):
    """A file of an image: its URL, its size in pixels, its type and its length."""

    url: str
    width: Number
    height: Number
    content_type: str
    bytes: Number


class ImageVariant(ImageDetails):
    """A smaller version of the image."""

    name: str


class ImagedRequest(ChargedRequest):
    """A generation request, and its image. A model that serves its images elsewhere has only their URLs."""

    image_url: str | None = Field(
        description="The URL of the image, if it is made.", examples=["http://127.0.0.1:5000/models/model-a.webp"]
    )
    image: ImageDetails | None = Field(
        validation_alias="main_file", description="The image, if it is made and stored here."
    )
    variants: list[ImageVariant] | None = Field(description="Smaller versions of the image.")
    seed: int | None = Field(description="The seed of the image, if the model uses one.")


class CreatedGenerationRequest(ImagedRequest):
    """The created request, with its image in mode sync or its status in mode async."""

    deducted_credits: Number = Field(description="The same as cost, or 0 if the request is reused.")
    status: Status | None = Field(description="The current status, in mode async.")
    error: Failure | None = Field(description="The reason of a failure or cancellation, in mode async.")
    current_credits: Number | None = Field(
        description="Your balance after the deduction. In a replayed answer, it is your balance now."
    )
    replayed: Replayed = REPLAYED
    reused: Literal[True] | None = Field(description="True if this is an earlier request for the same image.")

    @classmethod
    def of(cls, created: Created) -> Self:
        request = created.request
        is_sync = request.mode is Mode.SYNC
        assert request.image_url is not None or not is_sync, "a completed request has its image"
        return cls(
            **dict(ImagedRequest.model_validate(request)),
            deducted_credits=0 if created.is_reused else request.cost,
            status=None if is_sync else request.status,
            error=request.failure and Failure.of(request.failure),
            current_credits=created.current_credits,
            replayed=created.is_replay or None,
            reused=created.is_reused or None,
        )


class CanceledGenerationRequest(ChargedRequest):
    status: Status
    current_credits: Number | None = Field(
        description="Your balance after the refund. In a replayed answer, it is your balance now."
    )
    replayed: Replayed = REPLAYED

    @classmethod
    def of(cls, canceled: Canceled) -> Self:
        return cls(
            **dict(ChargedRequest.model_validate(canceled.request)),
            status=canceled.request.status,
            current_credits=canceled.current_credits,
            replayed=canceled.is_replay or None,
        )


class GenerationRequestDetails(ImagedRequest, Described):
    user_id: str
    status: Status
    model: str
    style: str
    color: str
    size: str
    prompt: str
    input: dict[str, str] | None = Field(description="The input, as the caller sent it.")
    refunded: bool = Field(validation_alias="is_refunded", description="True if the credits were refunded.")
    mode: Mode
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    processing_time_ms: Milliseconds | None = Field(
        validation_alias="processing_time", description="The time from startedAt to finishedAt."
    )
    error: Failure | None = Field(validation_alias="failure")


class CreatedGeneration(GenerationRequestDetails):
    """The created request in the REST API, as it is now."""

    replayed: Literal[True] | None = Field(
        default=None, description="True if an earlier call with the same idempotency key created the request."
    )
    reused: Literal[True] | None = Field(
        default=None, description="True if this is an earlier request for the same image. This call costs nothing."
    )

    @classmethod
    def of_call(cls, request: GenerationRequest, created: Created) -> Self:
        """Return the answer to a call that created, repeated or reused a request, which is ``request`` by now."""
        flags = {"replayed": created.is_replay or None, "reused": created.is_reused or None}
        return cls.of(request).model_copy(update=flags)


class GenerationList(Response):
    """A page of requests in the REST API."""

    items: list[GenerationRequestDetails]
    total: Number = Field(description=f"The number of requests on all pages. It is not counted beyond {TOTAL_MAX:,}.")
    limit: Number
    offset: Number
    next: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListGenerations, page: Page[GenerationRequest], total: int) -> Self:
        last = page.items[-1] if page.has_more else None
        return cls(
            items=[GenerationRequestDetails.of(request) for request in page.items],
            total=total,
            limit=params.limit,
            offset=params.offset,
            next=last and params.token(last.created_at, last.id),
        )


class GenerationRequestList(Response):
    requests: list[GenerationRequestDetails]
    next_page_token: str | None = Field(description=NEXT_PAGE)
    total_count: Number | None = Field(description="The number of requests on all pages, with includeTotalCount.")

    @classmethod
    def of(cls, params: ListGenerationRequests, page: Page[GenerationRequest], total_count: int | None) -> Self:
        last = page.items[-1] if page.has_more else None
        return cls(
            requests=[GenerationRequestDetails.of(request) for request in page.items],
            next_page_token=last and params.token(last.created_at, last.id),
            total_count=total_count,
        )


class WebhookSecret(Response):
    webhook_secret: str


class WebhookEndpoint(Described):
    """An endpoint, and whether it fails."""

    endpoint_id: str = Field(validation_alias=AliasPath("endpoint", "id"))
    url: str = Field(validation_alias=AliasPath("endpoint", "url"))
    events: list[EventType] = Field(validation_alias=AliasPath("endpoint", "events"))
    enabled: bool = Field(validation_alias=AliasPath("endpoint", "enabled"))
    failing_since: Time | None = Field(
        validation_alias=AliasPath("receiver", "failing_since"),
        description="The time of the first webhook that it did not accept, if it has accepted none since.",
    )
    paused_until: Time | None = Field(validation_alias=AliasPath("receiver", "paused_until"))
    given_up_at: Time | None = Field(validation_alias=AliasPath("receiver", "given_up_at"))


class CreatedWebhookEndpoint(Response):
    endpoint: WebhookEndpoint
    webhook_secret: str


class WebhookEndpointList(Response):
    endpoints: list[WebhookEndpoint]


class DeletedWebhookEndpoint(Response):
    endpoint_id: str


class DeliveryAttempt(Described):
    """An attempt to send a webhook."""

    at: Time
    duration_ms: Milliseconds = Field(validation_alias="duration")
    status_code: int | None = Field(description="The HTTP status of the receiver's answer.")
    error: str | None = Field(description="The reason why there was no answer.")


class WebhookDelivery(Described):
    """A webhook and its attempts."""

    delivery_id: str = Field(validation_alias="id")
    generation_request_id: str
    type: str
    webhook_url: str = Field(validation_alias="url")
    endpoint_id: str | None = Field(description="The endpoint, unless the request named the URL.")
    receiver_given_up: bool = Field(description="True if its receiver was given up when this webhook failed.")
    status: webhooks.DeliveryStatus
    created_at: Time
    next_attempt_at: Time | None = Field(
        validation_alias="due_at", description="The time of the next attempt, while the webhook is pending."
    )
    attempt_count: int
    attempts: list[DeliveryAttempt] = Field(description="The last 50 attempts, oldest first.")


class WebhookDeliveryList(Response):
    deliveries: list[WebhookDelivery]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListWebhookDeliveries, page: Page[webhooks.Delivery]) -> Self:
        last = page.items[-1] if page.has_more else None
        return cls(
            deliveries=[WebhookDelivery.of(delivery) for delivery in page.items],
            next_page_token=last and params.token(last.created_at, last.id),
        )


class Transaction(Described):
    id: str
    type: Literal["deduction", "refund"]
    credits: Number = Field(validation_alias=AliasPath("amount", "total"))
    generation_request_id: str
    timestamp: Time


class UserCredits(Response):
    current_credits: Number
    transactions: list[Transaction]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: GetUserCredits, history: History) -> Self:
        page = history.entries
        return cls(
            current_credits=history.wallet.credits.total,
            transactions=[Transaction.of(entry) for entry in page.items],
            next_page_token=params.token(page.items[-1].seq) if page.has_more else None,
        )


class Balance(Response):
    """The credits of a user in the REST API."""

    trial_credits: Number
    token_balance: Number
    total_available: Number

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        credits = wallet.credits
        return cls(trial_credits=credits.trial, token_balance=credits.paid, total_available=credits.total)


class LedgerTransaction(Described):
    """An entry of a user's ledger."""

    id: str
    type: EntryType
    credits: int = Field(
        validation_alias=AliasPath("amount", "total"),
        description="The amount. A deduction takes it from the balance, and each other type adds it. Only a "
        "correction can be negative.",
    )
    balance_after: Number = Field(description="The balance after this transaction.")
    generation_request_id: str | None
    timestamp: Time


class TransactionList(Response):
    """A page of transactions in the REST API."""

    items: list[LedgerTransaction]
    next: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListTransactions, page: Page[LedgerEntry]) -> Self:
        return cls(
            items=[LedgerTransaction.of(entry) for entry in page.items],
            next=params.token(page.items[-1].seq) if page.has_more else None,
        )


class CreditTransactionList(Response):
    current_credits: Number
    transactions: list[LedgerTransaction]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListCreditTransactions, history: History) -> Self:
        page = history.entries
        return cls(
            current_credits=history.wallet.credits.total,
            transactions=[LedgerTransaction.of(entry) for entry in page.items],
            next_page_token=params.token(page.items[-1].seq) if page.has_more else None,
        )


class Lifetime(Response):
    """The sums of all ledger entries by type. granted - spent + refunded + corrected is the balance."""

    granted: Number
    spent: Number
    refunded: Number
    corrected: int


class CreditBalance(Balance):
    lifetime: Lifetime

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        lifetime = wallet.lifetime
        return cls(
            **dict(Balance.of(wallet)),
            lifetime=Lifetime(
                granted=lifetime.get(EntryType.GRANT, 0),
                spent=lifetime.get(EntryType.DEDUCTION, 0),
                refunded=lifetime.get(EntryType.REFUND, 0),
                corrected=lifetime.get(EntryType.CORRECTION, 0),
            ),
        )


class RegisteredUser(CreditBalance):
    user_id: str

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        return cls(user_id=wallet.user_id, **dict(CreditBalance.of(wallet)))


class GrantedCredits(Response):
    transaction_id: str
    user_id: str
    bucket: Bucket
    granted_credits: Number
    balance_after: Number = Field(description="The user's balance after the grant.")
    replayed: Replayed = REPLAYED

    @classmethod
    def of(cls, granted: Granted) -> Self:
        grant = granted.grant
        return cls(
            transaction_id=grant.entry_id,
            user_id=grant.user_id,
            bucket=grant.bucket,
            granted_credits=grant.credits,
            balance_after=grant.balance_after,
            replayed=granted.is_replay or None,
        )


class Option(Described):
    id: str
    name: str


class ModelOption(Option):
    takes_seed: bool = Field(description="True if requests of this model can have a seed.")


class SizeOption(Option):
    width: Number
    height: Number
    credit_cost: Number


class Catalog(Response):
    """The options on offer, each kind in its display order."""

    models: list[ModelOption]
    styles: list[Option]
    colors: list[Option]
    sizes: list[SizeOption]

    @classmethod
    def of(cls, offered: catalog.Catalog) -> Self:
        return cls(
            models=[ModelOption.of(model) for model in offered.models if model.enabled],
            styles=[Option.of(style) for style in offered.styles if style.enabled],
            colors=[Option.of(color) for color in offered.colors if color.enabled],
            sizes=[SizeOption.of(size) for size in offered.sizes if size.enabled],
        )


def _with_times(value: Any) -> Any:
    """Return a value of a document with its times as texts."""
    match value:
        case datetime():
            return rfc3339(value)
        case dict():
            return {name: _with_times(inner) for name, inner in value.items()}
        case list():
            return [_with_times(inner) for inner in value]
    return value


ReportData = Annotated[dict[str, Any], BeforeValidator(_with_times)]


class ApiKey(Described):
    """An API key, without the key itself."""

    key_id: str = Field(validation_alias="id", description="The SHA-256 of the key, in hex.")
    name: str
    scopes: Annotated[list[Scope], BeforeValidator(sorted)]
    grant_credits_per_day: Number = Field(description="The most credits that the key may grant in a day (UTC).")
    created_at: Time
    last_used_on: date | None = Field(description="The last day (UTC) on which the key was used.")


class CreatedApiKey(ApiKey):
    api_key: str = Field(description="The key. It is not shown again.")

    @classmethod
    def of_secret(cls, secret: str, key: api_keys.ApiKey) -> "CreatedApiKey":
        """Return the answer that shows a new key."""
        return cls.model_construct(**dict(ApiKey.of(key)), api_key=secret)


class ApiKeyList(Response):
    api_keys: list[ApiKey]


class RevokedApiKey(Described):
    key_id: str = Field(validation_alias="id")
    revoked_at: Time


class WeeklyReport(Response):
    """A weekly report, with the fields of the document ``weeklyReports/{week}``."""

    report: ReportData

    @classmethod
    def of(cls, report: "Report") -> Self:
        from imagegen.reports.documents import report_data

        return cls(report=report_data(report))


class WeeklyReportList(Response):
    reports: list[ReportData]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListWeeklyReports, page: "Page[Report]") -> Self:
        return cls(
            reports=[WeeklyReport.of(report).report for report in page.items],
            next_page_token=params.token(page.items[-1].week) if page.has_more else None,
        )

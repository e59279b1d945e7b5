"""The operations of the console for operators: users, the catalog, what runs and failed, and the latest audit."""

from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AliasPath, BeforeValidator, ConfigDict, Field, model_validator

from imagegen.api import page_tokens
from imagegen.api.auth import Access
from imagegen.api.fields import (
    PAGE_SIZE_DEFAULT,
    CreditAmount,
    DocumentId,
    PageSize,
    PrintableText,
    SearchText,
    integer,
    is_document_id,
    refuse,
)
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Nothing, Request, example
from imagegen.api.responses import NEXT_PAGE, REPLAYED, Described, Number, Replayed, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain import webhooks
from imagegen.domain.api_keys import Scope
from imagegen.domain.catalog import Kind, Model
from imagegen.errors import Contention, OptionChanged, OptionNotFound

if TYPE_CHECKING:  # imported on first use, because only the console needs it
    from imagegen.domain import audit, catalog_changes
    from imagegen.domain.users import FoundUser
    from imagegen.services import overview
    from imagegen.services.users import Place

ORDER_MAX = 1_000_000
LATENCY_SECONDS_MAX = 60
HOURS = 24
HOURS_MAX = 168

# Users


def _place(position: list[Any]) -> "Place":
    """Return the place in a search from a decoded position. Raises ValueError."""
    from imagegen.services.users import Place

    match position:
        case [int(search)]:
            return Place(search)
        case [int(search), str(value), str(id)] if is_document_id(id):
            return Place(search, (value, id))
        case [0, int(), str()]:
            return Place(0, page_tokens.moment_and_id(position[1:]))
    raise ValueError("not a position in a list of users")


_USERS_QUERY = ("query",)


class FindUsers(Request):
    model_config = example(query="ada", pageSize=20)

    query: SearchText = Field(
        default="",
        description="A user's id, or the beginning of an e-mail address or display name. Capitals make no difference. "
        "Without it, you get all users, newest first.",
    )
    page_size: PageSize = PAGE_SIZE_DEFAULT
    place: Annotated[Any, page_tokens.position(_place, *_USERS_QUERY), page_tokens.TOKEN_SCHEMA] = Field(
        default=None, alias="pageToken"
    )

    def token(self, place: "Place") -> str:
        """Return the token of the page that starts at ``place``."""
        position: list[int | str] = [place.search]
        if place.after is not None:
            value, user_id = place.after
            position += [value if isinstance(value, str) else page_tokens.moment(value), user_id]
        return page_tokens.encode({"query": self.query}, *position)


class UserFound(Response):
    """A user. One whose document cannot be read has no credits, but ``unreadableField``."""

    user_id: str
    email: str | None
    display_name: str | None
    created_at: Time | None
    current_credits: Number | None
    trial_credits: Number | None
    paid_credits: Number | None
    unreadable_field: str | None = Field(description="The field that is missing or not valid, if there is one.")

    @classmethod
    def of(cls, user: "FoundUser") -> Self:
        credits = user.credits
        return cls(
            user_id=user.id,
            email=user.email,
            display_name=user.display_name,
            created_at=user.created_at,
            current_credits=credits and credits.total,
            trial_credits=credits and credits.trial,
            paid_credits=credits and credits.paid,
            unreadable_field=user.unreadable_field,
        )


class UserList(Response):
    users: list[UserFound]
    next_page_token: str | None = Field(description=NEXT_PAGE)


@operation(access=Access.ADMIN, scope=Scope.READ)
def find_users(backend: Backend, call: Call[FindUsers]) -> UserList:
    """Returns a page of the users that match, with their balances: by id, e-mail address or display name.

    A page may have fewer users than its size although another one follows.
    """
    params, search = call.params, backend.user_search
    if params.query:
        user_id = params.query if is_document_id(params.query) else None
        found = search.matching(params.query, user_id, params.page_size, params.place)
    else:
        found = search.newest(params.page_size, params.place)
    return UserList(
        users=[UserFound.of(user) for user in found.users],
        next_page_token=found.next and params.token(found.next),
    )


# The catalog


class OptionValues(Request):
    """The new values of fields. A size has creditCost, and a model the fields from provider on."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    enabled: bool | None = None
    order: Annotated[int, Field(ge=-ORDER_MAX, le=ORDER_MAX), BeforeValidator(integer)] | None = None
    credit_cost: CreditAmount | None = None
    provider: PrintableText | None = None
    provider_model: PrintableText | None = None
    failure_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    latency_seconds: Annotated[float, Field(ge=0, le=LATENCY_SECONDS_MAX)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] | None = None
    max_attempts: Annotated[int, Field(ge=1, le=10), BeforeValidator(integer)] | None = None
    max_queue_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None

    @model_validator(mode="after")
    def _has_some(self) -> Self:
        if not self.values:
            raise refuse("must have a field")
        return self

    @property
    def values(self) -> dict[str, Any]:
        """The values by the names of the fields in the option's document."""
        return self.model_dump(by_alias=True, exclude_none=True)


class UpdateCatalogOption(Request):
    model_config = example(kind="model", id="model-b", version="2026-11-09T00:00:00.000000Z", changes={"enabled": True})

    kind: Annotated[Kind, Field(strict=False)]
    id: DocumentId
    version: PrintableText = Field(description="The version of the option that the change is based on.")
    changes: OptionValues


class CatalogOption(Response):
    """An option of the catalog, also if it is disabled. A size has creditCost, and a model the fields from provider on.

    `version` changes with each write of the option's document.
    """

    kind: Kind
    id: str
    name: str
    enabled: bool
    order: int
    version: str
    credit_cost: Number | None
    width: Number | None
    height: Number | None
    provider: str | None
    provider_model: str | None
    timeout_seconds: float | None
    max_attempts: Number | None
    max_queue_seconds: float | None
    queue: str | None
    takes_seed: bool | None
    failure_rate: float | None
    latency_seconds: float | None

    @classmethod
    def of(cls, stored: "catalog_changes.StoredOption") -> Self:
        option = stored.option
        of_provider = option.provider_options if isinstance(option, Model) else {}
        return cls(
            kind=stored.kind,
            order=option.position,
            version=stored.version,
            failure_rate=_number(of_provider.get("failureRate")),
            latency_seconds=_number(of_provider.get("latencySeconds")),
            **{
                name: getattr(option, name, None)
                for name in cls.model_fields.keys() - {"kind", "order", "version", "failure_rate", "latency_seconds"}
            },
        )


def _number(value: object) -> float | None:
    """Return a provider's field if it is a number. Each provider checks only the fields that it needs."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return float(value) if is_number else None  # type: ignore[arg-type]


class OptionProblem(Response):
    field: str
    message: str


class UnreadableOption(Response):
    """An option that is not offered, because its document is invalid."""

    kind: Kind
    id: str
    path: str
    version: str
    problems: list[OptionProblem]

    @classmethod
    def of(cls, option: "catalog_changes.UnreadableOption") -> Self:
        problems = [OptionProblem(field=field, message=message) for field, message in option.problems]
        return cls(kind=option.kind, id=option.id, path=option.path, version=option.version, problems=problems)


class ChangedField(Described):
    field: str
    before: bool | int | float | str | None = Field(description="Missing if the document did not have the field.")
    after: bool | int | float | str


class CatalogChange(Described):
    """A change of an option, and the user who made it."""

    change_id: str = Field(validation_alias="id")
    kind: Kind
    id: str = Field(validation_alias="option_id")
    changed_by: str
    changed_at: Time
    fields: list[ChangedField]


class CatalogOptionList(Response):
    options: list[CatalogOption]
    unreadable: list[UnreadableOption]
    changes: list[CatalogChange] = Field(description="The latest 20 changes, newest first.")


class UpdatedCatalogOption(Response):
    option: CatalogOption
    change: CatalogChange | None = Field(description="Missing if every field had its value already.")
    replayed: Replayed = REPLAYED


@operation(access=Access.ADMIN, scope=Scope.READ)
def list_catalog_options(backend: Backend, call: Call[Nothing]) -> CatalogOptionList:
    """Returns all options of the catalog, also disabled and unreadable ones, and the latest changes."""
    from imagegen.domain.catalog_changes import StoredOption

    options: list[CatalogOption] = []
    unreadable: list[UnreadableOption] = []
    for option in backend.catalog_options.list():
        if isinstance(option, StoredOption):
            options.append(CatalogOption.of(option))
        else:
            unreadable.append(UnreadableOption.of(option))
    changes = [CatalogChange.of(change) for change in backend.catalog_options.changes()]
    return CatalogOptionList(options=options, unreadable=unreadable, changes=changes)


@operation(OptionNotFound, OptionChanged, Contention, access=Access.ADMIN)
def update_catalog_option(backend: Backend, call: Call[UpdateCatalogOption]) -> UpdatedCatalogOption:
    """Changes fields of an option, such as its price, and records who did it. Callers see the change in five seconds.

    Refused if the option was changed since its `version`, or if the catalog could not read it any more.
    """
    admin, params = call.caller.uid, call.params
    assert admin is not None, "every admin is signed in"
    updated = backend.catalog_options.update(params.kind, params.id, params.version, params.changes.values, admin)
    return UpdatedCatalogOption(
        option=CatalogOption.of(updated.option),
        change=updated.change and CatalogChange.of(updated.change),
        replayed=updated.is_replay or None,
    )


# What runs and what failed


class GetOperations(Request):
    model_config = example(hours=24)

    hours: Annotated[
        int,
        Field(ge=1, le=HOURS_MAX, description=f"The hours to count the ended requests of. The default is {HOURS}."),
        BeforeValidator(lambda hours: HOURS if hours is None else integer(hours)),
    ] = HOURS


class EndedRequests(Described):
    """The numbers of requests that ended."""

    completed: Number
    failed: Number
    canceled: Number


class ModelOperations(Response):
    model: str
    enabled: bool
    pending: Number
    processing: Number
    completed: Number
    failed: Number
    canceled: Number

    @classmethod
    def of(cls, model: "overview.ModelNow") -> Self:
        ended = dict(EndedRequests.of(model.ended))
        return cls(model=model.name, enabled=model.enabled, pending=model.pending, processing=model.processing, **ended)


class FailedRequest(Described):
    generation_request_id: str = Field(validation_alias="id")
    user_id: str
    model: str
    reason: str = Field(validation_alias=AliasPath("failure", "reason"))
    message: str = Field(validation_alias=AliasPath("failure", "message"))
    created_at: Time
    finished_at: Time | None


class FailingDelivery(Response):
    """A webhook that fails, without its URL, and its last attempt."""

    delivery_id: str
    user_id: str
    generation_request_id: str
    status: webhooks.DeliveryStatus
    created_at: Time
    attempt_count: Number
    next_attempt_at: Time | None
    last_attempt_at: Time | None
    last_status_code: int | None
    last_error: str | None

    @classmethod
    def of(cls, delivery: webhooks.Delivery) -> Self:
        last = delivery.attempts[-1] if delivery.attempts else None
        return cls(
            delivery_id=delivery.id,
            user_id=delivery.user_id,
            generation_request_id=delivery.generation_request_id,
            status=delivery.status,
            created_at=delivery.created_at,
            attempt_count=delivery.attempt_count,
            next_attempt_at=delivery.due_at,
            last_attempt_at=last and last.at,
            last_status_code=last and last.status_code,
            last_error=last and last.error,
        )


class FailingWebhooks(Response):
    failing: Number = Field(description="The number of webhooks that wait for another attempt after a failed one.")
    given_up: Number = Field(description="The number of webhooks that were given up in the last seven days.")
    deliveries: list[FailingDelivery] = Field(
        description="Up to 20 webhooks that were given up, newest first, and up to 20 that fail, most attempts first."
    )


class OperationsNow(Response):
    at: Time
    hours: Number
    since: Time = Field(description="The time from which ended requests are counted.")
    pending: Number
    processing: Number
    oldest_pending_at: Time | None
    oldest_pending_seconds: Number | None
    total: EndedRequests
    models: list[ModelOperations] = Field(description="Up to 30 models of the catalog, also disabled ones.")
    other_models: EndedRequests | None = Field(description="Requests of other models, which may be deleted ones.")
    failures: list[FailedRequest] = Field(description="The latest 20 failed requests, newest first.")
    webhooks: FailingWebhooks

    @classmethod
    def of(cls, now: "overview.Overview", hours: int) -> Self:
        oldest = now.oldest_pending_at
        return cls(
            at=now.at,
            hours=hours,
            since=now.since,
            pending=now.pending,
            processing=now.processing,
            oldest_pending_at=oldest,
            oldest_pending_seconds=None if oldest is None else max(0, int((now.at - oldest).total_seconds())),
            total=EndedRequests.of(now.total),
            models=[ModelOperations.of(model) for model in now.models],
            other_models=EndedRequests.of(now.other) if now.other.total else None,
            failures=[FailedRequest.of(request) for request in now.failures if request.failure is not None],
            webhooks=FailingWebhooks(
                failing=now.failing,
                given_up=now.given_up,
                deliveries=[FailingDelivery.of(delivery) for delivery in now.deliveries],
            ),
        )


@operation(access=Access.ADMIN, scope=Scope.READ)
def get_operations(backend: Backend, call: Call[GetOperations]) -> OperationsNow:
    """Returns what runs now and what failed: requests by model, the latest failures, and webhooks that fail."""
    hours = call.params.hours
    return OperationsNow.of(backend.overview.read(hours), hours)


# The audit


class AuditCoverage(Described):
    """The numbers of documents that were checked one by one."""

    users: Number
    entries: Number
    requests: Number


class AuditFinding(Response):
    """A violation of an invariant, and the documents that show it."""

    rule: str
    rule_description: str
    user_id: str | None
    message: str
    documents: list[str] = Field(description="The paths of up to five documents.")

    @classmethod
    def of(cls, finding: "audit.Finding") -> Self:
        return cls(
            rule=finding.invariant.name,
            rule_description=finding.invariant.value,
            user_id=finding.user_id,
            message=finding.message,
            documents=list(finding.documents),
        )


class AuditBalances(Described):
    """The sum of all balances, and of all ledger entries, at one moment."""

    balances: int
    ledgers: int


class Audit(Response):
    """The latest audit. A daily one has checked the users with entries in a period, and the next thirtieth of all."""

    kind: str = Field(json_schema_extra={"enum": ["daily", "full"]})
    started_at: Time
    ended_at: Time | None = Field(description="Missing while the audit goes on, or until the next run continues it.")
    updated_at: Time
    seconds_since: Number = Field(description="The seconds since endedAt, or else since startedAt.")
    is_over: bool
    covered: AuditCoverage
    entries_since: Time | None
    entries_until: Time | None
    balances: AuditBalances | None
    findings: list[AuditFinding] = Field(description="The first 100.")
    finding_count: Number
    left_out: list[str] = Field(description="The first 100 users that could not be checked, such as too large ones.")
    left_out_count: Number

    @classmethod
    def of(cls, run: "audit.AuditRun", now: datetime) -> Self:
        return cls(
            kind=run.kind,
            started_at=run.started_at,
            ended_at=run.ended_at,
            updated_at=run.updated_at,
            seconds_since=max(0, int((now - (run.ended_at or run.started_at)).total_seconds())),
            is_over=run.ended_at is not None,
            covered=AuditCoverage.of(run),
            entries_since=run.entries_since,
            entries_until=run.entries_until,
            balances=run.balances and AuditBalances.of(run.balances),
            findings=[AuditFinding.of(finding) for finding in run.findings],
            finding_count=run.finding_count,
            left_out=list(run.left_out),
            left_out_count=run.left_out_count,
        )


class LatestAudit(Response):
    audit: Audit | None = Field(description="Missing before the first audit.")


@operation(access=Access.ADMIN, scope=Scope.READ)
def get_audit(backend: Backend, call: Call[Nothing]) -> LatestAudit:
    """Returns the latest audit: when it was, what it covered, and what it found."""
    run = backend.daily_audit.latest()
    return LatestAudit(audit=run and Audit.of(run, backend.clock.now()))

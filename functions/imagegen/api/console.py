"""The operations of the console for operators: find users, and list and change the options of the catalog."""

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

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
from imagegen.domain.api_keys import Scope
from imagegen.domain.catalog import Kind, Model
from imagegen.errors import Contention, OptionChanged, OptionNotFound

if TYPE_CHECKING:  # imported on first use, because only the console needs it
    from imagegen.domain import catalog_changes
    from imagegen.domain.users import FoundUser
    from imagegen.services.users import Place

ORDER_MAX = 1_000_000
LATENCY_SECONDS_MAX = 60

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

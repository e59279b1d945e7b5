"""The options of the catalog, for operators: all of them, and their changes."""

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from imagegen.api.auth import Access
from imagegen.api.fields import CreditAmount, DocumentId, PrintableText, integer, refuse
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Nothing, Request, example
from imagegen.api.responses import REPLAYED, Described, Number, Replayed, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.catalog import Kind, Model
from imagegen.errors import Contention, OptionChanged, OptionNotFound

if TYPE_CHECKING:  # imported on first use
    from imagegen.domain import catalog_changes

ORDER_MAX = 1_000_000
LATENCY_SECONDS_MAX = 60


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

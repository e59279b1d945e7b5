"""The options a request chooses from, as operators keep them in Firestore."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Kind(StrEnum):
    """A kind of option. The value is its field in a request; its collection is the plural."""

    MODEL = "model"
    STYLE = "style"
    COLOR = "color"
    SIZE = "size"

    @property
    def collection(self) -> str:
        return f"{self.value}s"


class Option(BaseModel):
    """One option. ``name`` is what callers write; fields that we do not know are left alone."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="ignore")

    id: str
    name: Annotated[str, Field(min_length=1)]
    enabled: bool = True
    position: Annotated[int, Field(alias="order")] = 0


class Style(Option):
    pass


class Color(Option):
    pass


class Size(Option):
    """``credit_cost``: the price of a request, which depends on nothing else."""

    credit_cost: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class Model(Option):
    """A model and how to run it.

    ``provider`` names the generator that makes its images, ``provider_model`` what the provider calls the model (its
    ``name`` if left out). ``timeout_seconds`` is the deadline of a generation with all its attempts, of which a
    transient error of the provider costs one. ``queue`` is the task queue function that its queued requests go
    through, at that queue's pace, and ``max_queue_seconds`` how long one may wait there before it is given up.
    """

    model_config = ConfigDict(extra="allow")

    provider: str = "mock"
    provider_model: Annotated[str | None, Field(min_length=1)] = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 30.0
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 1
    queue: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9]{0,62}$")] = "generateImage"
    max_queue_seconds: Annotated[float, Field(gt=0, le=86_400)] = 3_600.0

    @property
    def provider_options(self) -> Mapping[str, Any]:
        """The document's other fields, under their names there: what only the provider knows."""
        return self.model_extra or {}


@dataclass(frozen=True)
class Catalog:
    """All options, the disabled ones included, each kind by position."""

    models: Sequence[Model]
    styles: Sequence[Style]
    colors: Sequence[Color]
    sizes: Sequence[Size]

    def options(self, kind: Kind) -> Sequence[Option]:
        by_kind: dict[Kind, Sequence[Option]] = {
            Kind.MODEL: self.models,
            Kind.STYLE: self.styles,
            Kind.COLOR: self.colors,
            Kind.SIZE: self.sizes,
        }
        return by_kind[kind]

    def names(self, kind: Kind) -> list[str]:
        """The names a request may use: those of the enabled options."""
        return [option.name for option in self.options(kind) if option.enabled]

    def name(self, kind: Kind, name_or_id: str) -> str:
        """The name of the option of that id, if it is not a name already; what is unknown stays as it is."""
        options = self.options(kind)
        if name_or_id in (option.name for option in options):
            return name_or_id
        return next((option.name for option in options if option.id == name_or_id), name_or_id)

    def model(self, name: str) -> Model | None:
        """The model of that name, a disabled one too: what was ordered before is still made."""
        return next((model for model in self.models if model.name == name), None)

    def size(self, name: str) -> Size | None:
        """The size of that name, a disabled one too."""
        return next((size for size in self.sizes if size.name == name), None)

    def choose(self, kind: Kind, name_or_id: str) -> Option | None:
        """The enabled option of that exact name, or else of that document id; None where there is none."""
        enabled = [option for option in self.options(kind) if option.enabled]
        by_name = (option for option in enabled if option.name == name_or_id)
        by_id = (option for option in enabled if option.id == name_or_id)
        return next(by_name, None) or next(by_id, None)

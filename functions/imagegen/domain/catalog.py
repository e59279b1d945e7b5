"""The catalog: the options of a request, which operators define in Firestore."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from imagegen.dataclass import dataclass


class Kind(StrEnum):
    """A kind of option. The value is the name of the field in a request. The collection's name is the plural."""

    MODEL = "model"
    STYLE = "style"
    COLOR = "color"
    SIZE = "size"

    @property
    def collection(self) -> str:
        return f"{self.value}s"


class Option(BaseModel):
    """One option. Callers send its ``name`` or ``id``. Unknown fields of the document are ignored."""

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
    """A size. Its ``credit_cost`` is the price of a request and depends on nothing else."""

    credit_cost: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


def _checked_template(template: str) -> str:
    """Return the template if it contains the prompt, and nothing to replace but the prompt, the style and the color."""
    parts = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template) if name is not None]
    if any(spec or conversion or name not in ("prompt", "style", "color") for name, spec, conversion in parts):
        raise ValueError("must contain no other fields than {prompt}, {style} and {color}")
    if "prompt" not in {name for name, _, _ in parts}:
        raise ValueError("must contain {prompt}")
    return template


class Model(Option):
    """A model, with its provider, deadline and queue.

    ``provider`` is the name of the generator. ``provider_model`` is the provider's name for the model, by default
    ``name``. ``timeout_seconds`` is the deadline of all ``max_attempts`` together. After a transient error of the
    provider, the next attempt starts. ``queue`` is the task queue function that runs the model's queued requests. A
    request that waits there longer than ``max_queue_seconds`` fails and is refunded. ``prompt_template`` makes the
    provider's prompt. ``takes_seed`` is whether callers can send a seed.
    """

    model_config = ConfigDict(extra="allow")

    provider: str = "mock"
    provider_model: Annotated[str | None, Field(min_length=1)] = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 30.0
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 1
    queue: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9]{0,62}$")] = "generateImage"
    max_queue_seconds: Annotated[float, Field(gt=0, le=86_400)] = 3_600.0
    prompt_template: Annotated[str, AfterValidator(_checked_template)] = "{prompt}. Style: {style}. Colors: {color}."
    takes_seed: bool = False
    options: Annotated[dict[str, Any], Field(alias="providerOptions")] = {}

    @property
    def provider_options(self) -> Mapping[str, Any]:
        """The fields of ``providerOptions`` and the unknown fields of the document. Only the provider uses them."""
        return {**(self.model_extra or {}), **self.options}

    def provider_prompt(self, prompt: str, style: str, color: str) -> str:
        """Return the prompt with the style and the color woven in."""
        return self.prompt_template.format(prompt=prompt, style=style, color=color)


@dataclass(frozen=True)
class Catalog:
    """All options by kind, ordered by position, including disabled options."""

    models: Sequence[Model]
    styles: Sequence[Style]
    colors: Sequence[Color]
    sizes: Sequence[Size]

    def options(self, kind: Kind) -> Sequence[Option]:
        """Return all options of a kind."""
        by_kind: dict[Kind, Sequence[Option]] = {
            Kind.MODEL: self.models,
            Kind.STYLE: self.styles,
            Kind.COLOR: self.colors,
            Kind.SIZE: self.sizes,
        }
        return by_kind[kind]

    def names(self, kind: Kind) -> list[str]:
        """Return the names of the enabled options of a kind."""
        return [option.name for option in self.options(kind) if option.enabled]

    def name(self, kind: Kind, name_or_id: str) -> str | None:
        """Return the name of the option with this name, or else with this id, or None. It may be disabled."""
        options = self.options(kind)
        if name_or_id in (option.name for option in options):
            return name_or_id
        return next((option.name for option in options if option.id == name_or_id), None)

    def model(self, name: str) -> Model | None:
        """Return the model with this name, or None. It may be disabled, because earlier requests still run."""
        return next((model for model in self.models if model.name == name), None)

    def size(self, name: str) -> Size | None:
        """Return the size with this name, or None. It may be disabled."""
        return next((size for size in self.sizes if size.name == name), None)

    def choose(self, kind: Kind, name_or_id: str) -> Option | None:
        """Return the enabled option with this name, or else with this document id, or None."""
        enabled = [option for option in self.options(kind) if option.enabled]
        by_name = (option for option in enabled if option.name == name_or_id)
        by_id = (option for option in enabled if option.id == name_or_id)
        return next(by_name, None) or next(by_id, None)

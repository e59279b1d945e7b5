"""The operation that returns the options on offer."""

from typing import Self

from pydantic import Field

from imagegen.api.auth import Access
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Nothing
from imagegen.api.responses import Described, Number, Response
from imagegen.bootstrap import Backend
from imagegen.domain import catalog
from imagegen.domain.api_keys import Scope


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


@operation(access=Access.SIGNED_IN, scope=Scope.READ)
def get_catalog(backend: Backend, call: Call[Nothing]) -> Catalog:
    """Returns the models, styles, colors and sizes on offer, and the price of each size in credits."""
    return Catalog.of(backend.catalogs.current())

"""The operation that returns the options on offer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field

from imagegen.api.auth import Access
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Request, example
from imagegen.api.responses import Described, Number, Response
from imagegen.bootstrap import Backend
from imagegen.domain import catalog
from imagegen.domain.api_keys import Scope

if TYPE_CHECKING:  # imported where payments are on
    from imagegen.services.purchases.packages import Offer


class Nothing(Request):
    """A request without fields."""

    model_config = example()


class Option(Described):
    id: str
    name: str


class ModelOption(Option):
    takes_seed: bool = Field(description="True if requests of this model can have a seed.")


class SizeOption(Option):
    width: Number
    height: Number
    credit_cost: Number


class Package(Option):
    """Credits on sale. The amount is in minor units of the currency, such as cents."""

    credits: Number
    amount: Number
    currency: str


class Catalog(Response):
    """The options on offer, each kind in its display order."""

    models: list[ModelOption]
    styles: list[Option]
    colors: list[Option]
    sizes: list[SizeOption]
    packages: list[Package] | None = Field(
        description="The credits on sale. Missing where credits are not sold, and while the prices cannot be read."
    )

    @classmethod
    def of(cls, offered: catalog.Catalog, packages: "Sequence[Offer] | None" = None) -> Self:
        return cls(
            models=[ModelOption.of(model) for model in offered.models if model.enabled],
            styles=[Option.of(style) for style in offered.styles if style.enabled],
            colors=[Option.of(color) for color in offered.colors if color.enabled],
            sizes=[SizeOption.of(size) for size in offered.sizes if size.enabled],
            packages=None
            if packages is None
            else [
                Package(
                    id=offer.package.id,
                    name=offer.package.name,
                    credits=offer.package.credits,
                    amount=offer.price.amount,
                    currency=offer.price.currency,
                )
                for offer in packages
            ],
        )


@operation(access=Access.SIGNED_IN, scope=Scope.READ)
def get_catalog(backend: Backend, call: Call[Nothing]) -> Catalog:
    """Returns the models, styles, colors and sizes on offer, the price of each size in credits, and credits on sale."""
    packages = None if backend.payments is None else backend.packages.current()
    return Catalog.of(backend.catalogs.current(), packages)

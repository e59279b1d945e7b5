"""The catalog of the tests' databases. It is the seed's catalog, so that a new option breaks no test."""

from imagegen.domain.catalog import Kind
from tools.seed import history

CATALOG = history.catalog()

COSTS = {size.name: size.credit_cost for size in CATALOG.sizes}
"""The price of each size, in credits."""


def names(kind: Kind, without: str = "") -> list[str]:
    """Return the names of the enabled options, in the catalog's order, except ``without``."""
    return [name for name in CATALOG.names(kind) if name != without]

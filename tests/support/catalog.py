"""The catalog that the tests' databases start with: the seed's own, so that a new option breaks no test."""

from imagegen.domain.catalog import Kind
from tools.seed import history

CATALOG = history.catalog()

COSTS = {size.name: size.credit_cost for size in CATALOG.sizes}
"""The price of each size, in credits."""


def names(kind: Kind, without: str = "") -> list[str]:
    """Return the names on offer, in the catalog's order, but for ``without``."""
    return [name for name in CATALOG.names(kind) if name != without]

"""The context in which a request is validated."""

from collections.abc import Callable

from imagegen.api.auth import Caller
from imagegen.dataclass import dataclass
from imagegen.domain.catalog import Catalog


@dataclass(frozen=True)
class Context:
    """The caller and the catalog. The catalog is loaded only for requests that name options."""

    caller: Caller
    catalog: Callable[[], Catalog]

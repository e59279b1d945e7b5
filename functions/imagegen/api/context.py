"""What a request is judged by, besides itself."""

from collections.abc import Callable
from dataclasses import dataclass

from imagegen.api.auth import Caller
from imagegen.domain.catalog import Catalog


@dataclass(frozen=True)
class Context:
    """The caller, and the catalog, which is loaded only for requests that name options."""

    caller: Caller
    catalog: Callable[[], Catalog]

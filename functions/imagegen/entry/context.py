"""What a request is judged by, besides itself."""

from collections.abc import Callable
from dataclasses import dataclass

from imagegen.domain.catalog import Catalog
from imagegen.entry.auth import Caller


@dataclass(frozen=True)
class Context:
    """The caller, and the catalog, which is loaded only for requests that name options."""

    caller: Caller
    catalog: Callable[[], Catalog]

"""The catalog as Firestore has it now, or had it a few seconds ago."""

import logging
import threading
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from imagegen.domain.catalog import Catalog, Color, Kind, Model, Option, Size, Style
from imagegen.errors import ServiceUnavailable
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, DatabaseUnavailable, Query

MAX_AGE_SECONDS = 5.0

log = logging.getLogger(__name__)

O = TypeVar("O", bound=Option)  # noqa: E741


class Catalogs:
    """Loads the catalog and keeps it for ``MAX_AGE_SECONDS``, so that an operator's change takes effect within seconds.

    A load that fails, or that leaves nothing to choose from, is reported and never kept.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._loaded: tuple[Catalog, float] | None = None

    def current(self) -> Catalog:
        """The catalog, at most ``MAX_AGE_SECONDS`` old. Raises ServiceUnavailable."""
        with self._lock:
            if self._loaded is not None and self._clock.monotonic() - self._loaded[1] < MAX_AGE_SECONDS:
                return self._loaded[0]
            catalog = self.load()
            self._loaded = catalog, self._clock.monotonic()
            return catalog

    def load(self) -> Catalog:
        """The catalog as it is in the database. Raises ServiceUnavailable."""
        try:
            catalog = Catalog(
                models=self._options(Kind.MODEL, Model),
                styles=self._options(Kind.STYLE, Style),
                colors=self._options(Kind.COLOR, Color),
                sizes=self._options(Kind.SIZE, Size),
            )
        except DatabaseUnavailable as error:
            raise ServiceUnavailable("The catalog cannot be read. Try again.") from error
        for kind in Kind:
            if not catalog.names(kind):
                raise ServiceUnavailable(f"The catalog offers no {kind.collection}. Try again later.")
        return catalog

    def _options(self, kind: Kind, shape: type[O]) -> list[O]:
        documents = self._database.find(Query(kind.collection))
        options = [
            option for document in documents if (option := _parsed(document.path, document.id, document.data, shape))
        ]
        return sorted(options, key=lambda option: (option.position, option.id))


def _parsed(path: str, id: str, data: Mapping[str, Any], shape: type[O]) -> O | None:
    """An option, or None for a document that is not one: a slip in one must not take the others down."""
    try:
        return shape.model_validate({**data, "id": id})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        log.error("%s is not offered until it is corrected: %s", path, problems)
        return None

"""Loads the catalog from Firestore and caches it for a few seconds."""

import threading
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from imagegen import events
from imagegen.domain.catalog import Catalog, Color, Kind, Model, Option, Size, Style
from imagegen.errors import ServiceUnavailable
from imagegen.events import Event, SafeText
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, DatabaseUnavailable, Query, Snapshot
from imagegen.ports.image_generator import ImageGenerator

MAX_AGE_SECONDS = 5.0

O = TypeVar("O", bound=Option)  # noqa: E741


class Catalogs:
    """Loads the catalog and caches it for ``MAX_AGE_SECONDS``, so an operator's change takes effect within seconds.

    A failed load, or a catalog without options of some kind, is never cached. ``generators`` maps provider names to
    providers, which validate the models' documents.
    """

    def __init__(self, database: Database, generators: Mapping[str, ImageGenerator], clock: Clock) -> None:
        self._database = database
        self._generators = generators
        self._clock = clock
        self._lock = threading.Lock()
        self._loaded: tuple[Catalog, float] | None = None

    def current(self) -> Catalog:
        """Return the catalog, at most ``MAX_AGE_SECONDS`` old. Raises ServiceUnavailable."""
        with self._lock:
            if self._loaded is not None and self._clock.monotonic() - self._loaded[1] < MAX_AGE_SECONDS:
                return self._loaded[0]
            catalog = self.load()
            self._loaded = catalog, self._clock.monotonic()
            return catalog

    def load(self) -> Catalog:
        """Load the catalog from the database. Raises ServiceUnavailable."""
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
        options = [option for document in documents if (option := self._parsed(document, shape))]
        return sorted(options, key=lambda option: (option.position, option.id))

    def _parsed(self, document: Snapshot, shape: type[O]) -> O | None:
        """Return the option, or None for an invalid document, which must not disable the other options."""
        try:
            option = shape.model_validate({**document.data, "id": document.id})
            if isinstance(option, Model):
                self._check(option)
        except ValueError as error:
            events.error(Event.OPTION_NOT_OFFERED, path=document.path, problems=SafeText(_problems(error)))
            return None
        return option

    def _check(self, model: Model) -> None:
        """Raise ValueError if the model's provider does not exist, or if a field that the provider needs is missing."""
        if model.provider not in self._generators:
            raise ValueError(f"provider: there is no provider {model.provider!r}")
        self._generators[model.provider].check(model.provider_options)


def _problems(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
    return str(error)

"""Loads the catalog from Firestore and caches it for a few seconds."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import field
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.deadlines import start
from imagegen.domain.catalog import Catalog, Color, Kind, Model, Option, Size, Style
from imagegen.errors import ServiceUnavailable
from imagegen.events import Event, SafeText, type_of
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, DatabaseUnavailable, Query, Snapshot
from imagegen.ports.image_generator import ImageGenerator

MAX_AGE_SECONDS = 5.0
"""The age at which the cached catalog is loaded again."""

LOAD_WAIT_SECONDS = 5.0
"""The time after which calls no longer wait for a load. It may go on for as long as its reads take to fail."""

RELOAD_DELAY_SECONDS = 1.0
"""The time after a failed load until the next load may start."""

STALE_MAX_SECONDS = 300.0
"""The maximum age of a catalog that is used while the database cannot be read."""

UNREADABLE = "The catalog cannot be read. Try again."

SHAPES: Mapping[Kind, type[Option]] = {Kind.MODEL: Model, Kind.STYLE: Style, Kind.COLOR: Color, Kind.SIZE: Size}

O = TypeVar("O", bound=Option)  # noqa: E741


@dataclass
class _Load:
    """A load that runs, or the last one that ran."""

    began: float
    ended: threading.Event = field(default_factory=threading.Event)


class Catalogs:
    """Loads the catalog and caches it for ``MAX_AGE_SECONDS``, so an operator's change takes effect within seconds.

    One thread loads at a time, and all calls wait for the same load, ``LOAD_WAIT_SECONDS`` at most. If it fails or
    takes longer, they get the last catalog, ``STALE_MAX_SECONDS`` old at most. A failed load, or a catalog without
    options of some kind, is never cached. ``generators`` maps provider names to providers, which validate the models'
    documents.
    """

    def __init__(self, database: Database, generators: Mapping[str, ImageGenerator], clock: Clock) -> None:
        self._database = database
        self._generators = generators
        self._clock = clock
        self._lock = threading.Lock()  # for the fields below; nothing waits while it holds the lock
        self._loaded: tuple[Catalog, float] | None = None  # with the time at which its load began
        self._load: _Load | None = None
        self._next_load_at = 0.0
        self._problem = UNREADABLE

    def current(self) -> Catalog:
        """Return the catalog. Raises ServiceUnavailable."""
        with self._lock:
            now = self._clock.monotonic()
            if (catalog := self._younger_than(MAX_AGE_SECONDS)) is not None:
                return catalog
            load = self._running_load(now)
        if load is not None:
            load.ended.wait(max(0.0, load.began + LOAD_WAIT_SECONDS - now))
        with self._lock:
            if (catalog := self._younger_than(STALE_MAX_SECONDS)) is not None:
                return catalog
            raise ServiceUnavailable(self._problem)

    def load(self) -> Catalog:
        """Load the catalog from the database. Raises ServiceUnavailable."""
        try:
            return self._read()
        except DatabaseUnavailable as error:
            raise ServiceUnavailable(UNREADABLE) from error

    def parse(self, document: Snapshot, shape: type[O]) -> O:
        """Return the option that a document describes. Raises ValueError if the document is invalid."""
        option = shape.model_validate({**document.data, "id": document.id})
        if isinstance(option, Model):
            self._check(option)
        return option

    def _younger_than(self, seconds: float) -> Catalog | None:
        """Return the cached catalog if it is younger than ``seconds``, or None."""
        if self._loaded is None or self._clock.monotonic() - self._loaded[1] >= seconds:
            return None
        return self._loaded[0]

    def _running_load(self, now: float) -> _Load | None:
        """Return the load that runs, and start one if none does. Return None right after a failed load."""
        if self._load is None or self._load.ended.is_set():
            if now < self._next_load_at:
                return None
            load = _Load(now)
            threading.Thread(target=self._refresh, args=(load,), name="load-catalog", daemon=True).start()
            self._load = load
        return self._load

    def _refresh(self, load: _Load) -> None:
        """Load the catalog into the cache. A failed load keeps the last catalog, and an empty catalog ends it."""
        loaded, problem, delay = None, UNREADABLE, 0.0
        try:
            loaded = self._read(), load.began
        except ServiceUnavailable as empty:
            problem = empty.message
        except Exception as error:  # noqa: BLE001 - logged, and the callers are told
            loaded, delay = self._loaded, RELOAD_DELAY_SECONDS
            age = None if loaded is None else self._clock.monotonic() - loaded[1]
            events.exception(Event.CATALOG_NOT_LOADED, error=type_of(error), ageSeconds=age)
        seconds = self._clock.monotonic() - load.began
        if seconds > LOAD_WAIT_SECONDS:
            events.warning(Event.CATALOG_LOAD_SLOW, seconds=seconds)
        with self._lock:
            self._loaded, self._problem = loaded, problem
            self._next_load_at = self._clock.monotonic() + delay
        load.ended.set()

    def _read(self) -> Catalog:
        """Read the catalog. Raises DatabaseUnavailable, and ServiceUnavailable if it has no options of some kind.

        The four collections are read at the same time, as calls wait for them.
        """
        models, styles, colors, sizes = (
            start(partial(self._options, Kind.MODEL, Model)),
            start(partial(self._options, Kind.STYLE, Style)),
            start(partial(self._options, Kind.COLOR, Color)),
            start(partial(self._options, Kind.SIZE, Size)),
        )
        reads: Sequence[Future[Any]] = (models, styles, colors, sizes)
        wait(reads)  # also after an error, so that no read goes on when the next load starts
        catalog = Catalog(models.result(), styles.result(), colors.result(), sizes.result())
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
            return self.parse(document, shape)
        except ValueError as error:
            problems = "; ".join(f"{field}: {message}" if field else message for field, message in problems_of(error))
            events.error(Event.OPTION_NOT_OFFERED, path=document.path, problems=SafeText(problems))
            return None

    def _check(self, model: Model) -> None:
        """Raise ValueError if the model's provider does not exist, or if a field that the provider needs is missing."""
        if model.provider not in self._generators:
            raise ValueError(f"provider: there is no provider {model.provider!r}")
        self._generators[model.provider].check(model.provider_options)


def problems_of(error: ValueError) -> list[tuple[str, str]]:
    """Return the field and the message of each problem of an invalid option. The field may be empty."""
    if isinstance(error, ValidationError):
        return [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
    field, colon, message = str(error).partition(": ")
    return [(field, message)] if colon and field.isidentifier() else [("", str(error))]

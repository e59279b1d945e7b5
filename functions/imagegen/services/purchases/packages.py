"""The packages on sale, with their prices from the payment provider."""

import threading
from collections.abc import Sequence

from pydantic import ValidationError

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.purchases import PACKAGES
from imagegen.domain.purchases import Package
from imagegen.events import Event, SafeText, type_of
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, DatabaseUnavailable, Query, Snapshot, Where
from imagegen.ports.payments import Payments, PaymentsDown, PaymentsRefused, Price

OFFERED_MAX = 10
"""The number of packages on sale. Stripe looks up ten prices in a call."""

READ_MAX = 100
"""The number of enabled packages that are read."""

MAX_AGE_SECONDS = 60.0
STALE_MAX_SECONDS = 3_600.0
"""The maximum age of prices that are used while the provider is away. Prices never change under their ids."""

LOAD_WAIT_SECONDS = 6.0
"""The time after which calls no longer wait for a load. They do not wait at all while there are older prices."""

RELOAD_DELAY_SECONDS = 10.0
"""The time after a failed load until the next load may start."""


@dataclass(frozen=True)
class Offer:
    """A package on sale and its price."""

    package: Package
    price: Price


class Packages:
    """Loads the packages on sale and caches them for ``MAX_AGE_SECONDS``. One call loads at a time."""

    def __init__(self, database: Database, payments: Payments, clock: Clock) -> None:
        self._database = database
        self._payments = payments
        self._clock = clock
        self._lock = threading.Lock()
        self._loaded: tuple[Sequence[Offer], float] | None = None
        self._next_load_at = 0.0

    def current(self) -> Sequence[Offer] | None:
        """Return the packages on sale, in their order, or None if they cannot be loaded."""
        if (offers := self._younger_than(MAX_AGE_SECONDS)) is not None:
            return offers
        can_wait = self._younger_than(STALE_MAX_SECONDS) is None
        if self._lock.acquire(timeout=LOAD_WAIT_SECONDS if can_wait else 0):
            try:
                if self._younger_than(MAX_AGE_SECONDS) is None and self._clock.monotonic() >= self._next_load_at:
                    self._load()
            finally:
                self._lock.release()
        return self._younger_than(STALE_MAX_SECONDS)

    def _younger_than(self, seconds: float) -> Sequence[Offer] | None:
        loaded = self._loaded
        return loaded[0] if loaded is not None and self._clock.monotonic() - loaded[1] < seconds else None

    def _load(self) -> None:
        began = self._clock.monotonic()
        try:
            self._loaded = self._read(), began
        except (DatabaseUnavailable, PaymentsDown, PaymentsRefused) as error:
            events.warning(Event.PACKAGES_NOT_LOADED, error=type_of(error), problem=str(error))
            self._next_load_at = self._clock.monotonic() + RELOAD_DELAY_SECONDS

    def _read(self) -> Sequence[Offer]:
        documents = self._database.find(Query(PACKAGES, (Where("enabled", "==", True),), limit=READ_MAX))
        packages = sorted(
            (package for document in documents if (package := _parsed(document))),
            key=lambda package: (package.position, package.id),
        )[:OFFERED_MAX]
        if not packages:
            return []
        prices = {
            price.lookup_key: price for price in self._payments.prices([package.lookup_key for package in packages])
        }
        return [Offer(package, prices[package.lookup_key]) for package in packages if package.lookup_key in prices]


def _parsed(document: Snapshot) -> Package | None:
    """Return the package, or None for an invalid document, which must not stop the sale of the others."""
    try:
        return Package.model_validate({**document.data, "id": document.id})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        events.error(Event.OPTION_NOT_OFFERED, path=document.path, problems=SafeText(problems))
        return None

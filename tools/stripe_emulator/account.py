"""The objects of a Stripe account, and its events."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import stripe

from tools.stripe_emulator import objects
from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.errors import NotFound
from tools.stripe_emulator.objects import Object

KEPT_MAX = 10_000
"""The number of objects of each kind that are kept. The oldest ones are forgotten."""
SEARCH_DELAY_SECONDS = 60
API_VERSION = stripe.api_version or ""


@dataclass(frozen=True)
class Price:
    """A price of the account, with the name of its product."""

    id: str
    lookup_key: str
    name: str
    unit_amount: int
    currency: str = "usd"


class Account:
    """An account in memory. ``notify`` gets each event, while the state is locked.

    The methods are called by many threads. ``url`` is the address of the checkout page.
    """

    def __init__(
        self, prices: Iterable[Price], clock: MovableClock, notify: Callable[[Object], None], *, live: bool = False
    ) -> None:
        self.lock = threading.RLock()
        self.url = ""
        self.live = live
        self._clock = clock
        self._notify = notify
        self._kinds: dict[str, OrderedDict[str, Object]] = {}
        self.line_items: dict[str, list[Object]] = {}
        """The line items by session."""
        self.intent_metadata: dict[str, dict[str, str]] = {}
        """The metadata for the payment intent, by session."""
        for price in prices:
            product = self.keep(objects.product(price.name, self.now(), live=live))
            self.keep(objects.price(product, price.id, price.lookup_key, price.unit_amount, price.currency))

    def find(self, kind: str, id: str, param: str = "id") -> Object:
        """Return the object with this id, such as a ``payment_intent``. Raises NotFound."""
        try:
            return self._kinds.get(kind, OrderedDict())[id]
        except KeyError:
            raise NotFound(kind, id, param) from None

    def all(self, kind: str) -> list[Object]:
        """Return the objects of a kind, newest first."""
        return list(reversed(self._kinds.get(kind, OrderedDict()).values()))

    def disputes_of(self, charge_id: str) -> list[Object]:
        return [dispute for dispute in self.all("dispute") if dispute["charge"] == charge_id]

    def search_intents(self, key: str, value: str) -> list[Object]:
        """Return the payment intents with this metadata, newest first. Those of the last minute are not found yet."""
        return [
            intent
            for intent in self.all("payment_intent")
            if intent["metadata"].get(key) == value and intent["created"] <= self.now() - SEARCH_DELAY_SECONDS
        ]

    def now(self) -> int:
        return int(self._clock.now())

    def keep(self, object: Object) -> Object:
        """Add an object, and return it."""
        kept = self._kinds.setdefault(object["object"], OrderedDict())
        kept[object["id"]] = object
        if len(kept) > KEPT_MAX:
            oldest, _ = kept.popitem(last=False)
            self.line_items.pop(oldest, None)
            self.intent_metadata.pop(oldest, None)
        return object

    def emit(self, type: str, object: Object) -> None:
        """Send an event with a copy of the object."""
        self._notify(self.keep(objects.event(type, copy.deepcopy(object), API_VERSION, self.now())))

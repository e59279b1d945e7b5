"""Buying credits in a running suite, through the emulator of Stripe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.live import Live
from tests.support.stripe import control, press


def create(live: Live, user_id: str, key: str, package: str = "starter") -> Any:
    """Create a purchase, or return the one that the key already created."""
    return live.result("createPurchase", {"userId": user_id, "package": package, "idempotencyKey": key})


def session_of(purchase: Any) -> str:
    """Return the id of the checkout session that an open purchase leads to."""
    return str(purchase["checkoutUrl"]).rpartition("/")[2]


def press_button(live: Live, session_id: str, button: str, **fields: str) -> str:
    """Press a button of the checkout page. Return the address to which the page leads."""
    answer = press(live.suite.stripe_url, session_id, button, **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def control_stripe(live: Live, path: str, /, **body: object) -> Any:
    """Use a control of the emulator of Stripe, and return its answer."""
    return control(live.suite.stripe_url, path, **body)


@contextmanager
def lost_webhooks(live: Live) -> Iterator[None]:
    """Lose the webhooks of the block."""
    control_stripe(live, "deliveries/hold", held=True)
    yield
    control_stripe(live, "deliveries/hold", held=False)


def purchase_of(live: Live, purchase_id: str) -> Any:
    """Return a purchase according to the API."""
    return live.result("getPurchase", {"purchaseId": purchase_id})


@contextmanager
def delivered_webhooks(live: Live) -> Iterator[None]:
    """Wait at the end of the block until its webhooks are delivered."""
    yield
    control_stripe(live, "deliveries/wait", seconds=30)

"""The Stripe emulator, with the official client, and a receiver of its webhooks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import requests
from stripe import Event, StripeClient, Webhook
from stripe.checkout import Session
from stripe.params.checkout import SessionCreateParams

from tests.support.receivers import Receiver, receiving
from tools.stripe_emulator.emulator import StripeEmulator

SECRETS = ("whsec_new", "whsec_old")
RETURN_URL = "http://127.0.0.1:5000/"


@dataclass
class Shop:
    """An emulator, a client of its API, and the receiver of its webhooks."""

    stripe: StripeEmulator
    client: StripeClient
    receiver: Receiver

    def open(self, key: str | None = None, **changes: Any) -> Session:
        """Create a session that sells the starter package. ``changes`` replace single parameters."""
        params: SessionCreateParams = {
            "mode": "payment",
            "line_items": [{"price": "price_starter", "quantity": 1}],
            "client_reference_id": "purchase-1",
            "metadata": {"purchaseId": "purchase-1"},
            "payment_intent_data": {"metadata": {"purchaseId": "purchase-1"}},
            "success_url": f"{RETURN_URL}?session={{CHECKOUT_SESSION_ID}}",
            "cancel_url": f"{RETURN_URL}?checkout=canceled",
        }
        options = {"idempotency_key": key} if key else {}
        return self.client.v1.checkout.sessions.create({**params, **changes}, options)  # type: ignore[arg-type]

    def press(self, session: Session, button: str, **fields: str) -> requests.Response:
        """Press a button of the checkout page, as a browser does."""
        return press(self.stripe.url, session.id, button, **fields)

    def paid(self) -> Session:
        """Return a session that was paid."""
        session = self.open()
        self.press(session, "pay")
        return self.client.v1.checkout.sessions.retrieve(session.id)

    def control(self, path: str, /, **body: object) -> Any:
        """Use a control of the emulator, and return its answer."""
        return control(self.stripe.url, path, self.stripe.secret_key, **body)

    def events(self) -> list[Event]:
        """Return the received events, with their signatures checked against each secret."""
        for each, secret in product(self.receiver.received, SECRETS):
            Webhook.construct_event(each.body, each.headers["stripe-signature"], secret)
        return [Event.construct_from(json.loads(each.body), None) for each in self.receiver.received]


@contextmanager
def open_shop(**options: Any) -> Iterator[Shop]:
    with (
        receiving(Receiver([200])) as receiver,
        StripeEmulator(receiver.url(), webhook_secrets=SECRETS, **options) as stripe,
    ):
        client = StripeClient(stripe.secret_key, base_addresses={"api": stripe.url}, max_network_retries=0)
        yield Shop(stripe, client, receiver)


def press(url: str, session_id: str, button: str, **fields: str) -> requests.Response:
    """Press a button of an emulator's checkout page. The answer is not followed to another page."""
    return requests.post(f"{url}/checkout/{session_id}/{button}", data=fields, timeout=30, allow_redirects=False)


def control(url: str, path: str, secret_key: str = "sk_test_demo", /, **body: object) -> Any:
    """Use a control of an emulator, and return its answer. Without a body, read a list."""
    method = "POST" if body else "GET"
    headers = {"Authorization": f"Bearer {secret_key}"}
    response = requests.request(method, f"{url}/_control/{path}", json=body or None, headers=headers, timeout=90)
    assert response.status_code == 200, response.text
    return response.json()

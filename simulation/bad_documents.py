"""Documents of one user in which a field has a value of a wrong type, as an operator's mistake or other code leaves."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

from imagegen.documents.generations import create_request
from imagegen.documents.webhooks import create_delivery
from imagegen.domain.generation import Fingerprint, GenerationRequest, Order
from imagegen.domain.ledger import Credits
from imagegen.domain.webhooks import Delivery
from imagegen.ports.database import Create
from imagegen.services.credits.accounts import new_account
from simulation.calls import COLOR, MODELS, SIZES, STYLE, WEBHOOK_URL
from simulation.store import Store

NAME = "broken"
"""The id of the user, and the start of the ids of the user's documents. All other ids are hexadecimal."""


def add(store: Store, rng: random.Random, now: datetime) -> None:
    """Add an account, two requests and a webhook, which are all due for a sweep. All but one request are bad."""
    before = now - timedelta(days=2)
    order = Order(
        NAME, MODELS[0], STYLE, COLOR, SIZES[0], prompt="a fox", fingerprint=Fingerprint(""), webhook_url=WEBHOOK_URL
    )
    request = GenerationRequest.of(order, f"{NAME}-account", NAME, Credits(paid=1), before)
    webhook = Delivery(f"{NAME}-webhook", NAME, request.id, WEBHOOK_URL, "generation.failed", before, before, before)
    _, [account, *entries] = new_account(NAME, {}, Credits(paid=5), before)
    assert isinstance(account, Create), "a new account is created"
    broken = (account, create_request(replace(request, id=f"{NAME}-request")), create_delivery(webhook))
    store.commit(create_request(request), *entries, *(_broken(document, rng) for document in broken))


def remove(store: Store) -> None:
    """Remove all documents of the user, because the checks read every document."""
    for path, documents in store.collections.items():
        for id in [id for id in documents if f"{path}/{id}".split("/")[1].startswith(NAME)]:
            del documents[id]


def _broken(document: Create, rng: random.Random) -> Create:
    """Return the document with a number in a field, none of which may hold a fraction."""
    return replace(document, data={**document.data, rng.choice(list(document.data)): 2.5})

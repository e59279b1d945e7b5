"""Writes a database of any size for benchmarks, with the documents that the services write, but in bulk."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from threading import local
from typing import Any

from google.cloud import firestore

from imagegen.documents.accounts import SCHEMA_VERSION, create_entry, usage_data, user_path, wallet_fields
from imagegen.documents.generations import create_request
from imagegen.domain.account import Account
from imagegen.domain.catalog import Kind
from imagegen.domain.generation import Failure, FailureReason, Fingerprint, GenerationRequest
from imagegen.domain.ledger import Credits, EntryType, Wallet
from imagegen.domain.weeks import Week
from tools.seed import history

BATCH = 500  # https://firebase.google.com/docs/firestore/manage-data/transactions#batched-writes
WRITERS = 4
FAILURE_RATE = 0.05
CATALOG = history.catalog()

Document = tuple[str, dict[str, Any]]


def fill(project: str, week: Week, requests: int, users: int) -> None:
    """Write the catalog, ``users``, their ``requests`` of ``week`` and all ledger entries into an empty project."""
    clients = local()

    def write(documents: Sequence[Document]) -> None:
        if not hasattr(clients, "own"):
            clients.own = firestore.Client(project=project)
        batch = clients.own.batch()
        for path, data in documents:
            batch.set(clients.own.document(path), data)
        batch.commit()

    with ThreadPoolExecutor(WRITERS) as pool:
        documents = (document for source in (history.documents(), _users(week, requests, users)) for document in source)
        for _ in pool.map(write, _batches(documents)):
            pass


def _users(week: Week, requests: int, users: int) -> Iterator[Document]:
    rng = random.Random(46)
    share: dict[str, int] = defaultdict(int)
    for user_id in rng.choices([f"user-{number}" for number in range(users)], _weights(users), k=requests):
        share[user_id] += 1
    for number in range(users):
        yield from _user(rng, f"user-{number}", week, share[f"user-{number}"])


def _user(rng: random.Random, user_id: str, week: Week, requests: int) -> Iterator[Document]:
    registered = week.start + timedelta(days=rng.randrange(-60, 7))
    wallet, grant = Wallet(user_id).post(
        EntryType.GRANT,
        Credits(trial=10, paid=4 * requests),
        entry_id="welcome-grant",
        generation_request_id=None,
        timestamp=registered,
    )
    account = Account(wallet)
    entries = [grant]
    moments = sorted(week.start + timedelta(seconds=rng.uniform(0, 7 * 86_400)) for _ in range(requests))
    for number, at in enumerate(moments):
        request = _request(rng, f"{user_id}-{number}", account, at)
        account, entry = account.reserve(request)
        entries.append(entry)
        ended = at + timedelta(seconds=rng.lognormvariate(1.4, 0.5))
        if rng.random() < FAILURE_RATE:
            account, refund = account.refund(request, FailureReason.GENERATION_FAILED, ended)
            entries += refund
            reason = FailureReason.GENERATION_FAILED
            request = request.failed(Failure(reason, "", request.cost, account.wallet.credits.total), ended)
        else:
            request = request.completed("https://images.example.com/model.png", ended)
        created = create_request(request)
        yield created.path, dict(created.data)
    for entry in entries:
        created = create_entry(entry)
        yield created.path, dict(created.data)
    usage = {str(used_in): usage_data(used) for used_in, used in account.usage.items()}
    profile = {"schemaVersion": SCHEMA_VERSION, "displayName": user_id, "email": "", "createdAt": registered}
    yield user_path(user_id), {**profile, **wallet_fields(account.wallet), "usage": usage}


def _request(rng: random.Random, request_id: str, account: Account, at: Any) -> GenerationRequest:
    model, style, color = (rng.choice(CATALOG.options(kind)).name for kind in (Kind.MODEL, Kind.STYLE, Kind.COLOR))
    size = rng.choice(CATALOG.sizes)
    return GenerationRequest(
        id=request_id,
        user_id=account.wallet.user_id,
        model=model,
        style=style,
        color=color,
        size=size.name,
        prompt="a lighthouse at dusk",
        cost=size.credit_cost,
        paid_from=account.wallet.credits.part(size.credit_cost),
        fingerprint=Fingerprint("0" * 64),
        reservation_id=request_id,
        created_at=at,
        started_at=at,
        lease_expires_at=at + timedelta(minutes=4),
    )


def _weights(users: int) -> list[float]:
    """Return a weight for each user, such that a few users make most of the requests."""
    return [1 / (rank + 10) for rank in range(users)]


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    iterator = iter(documents)
    while batch := list(islice(iterator, BATCH)):
        yield batch

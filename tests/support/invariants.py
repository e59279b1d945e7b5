"""The invariants of the money, checked over a whole database."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from google.cloud import firestore

from imagegen.database import Snapshot
from imagegen.domain.generation import GenerationRequest, Status, Usage
from imagegen.domain.ledger import GENESIS, EntryType, LedgerEntry
from imagegen.domain.weeks import Week
from imagegen.records import REQUESTS, USERS, account_of, entry_of, ledger_path, request_of


def violations(client: firestore.Client, *, in_flight: int = 0) -> list[str]:
    """Every broken invariant, in words. ``in_flight``: how many requests may still be processing."""
    requests = {document.id: request_of(document) for document in _documents(client, REQUESTS)}
    ledgers: dict[str, list[LedgerEntry]] = {}
    found: list[str] = []
    for user in _documents(client, USERS):
        entries = [entry_of(user.id, entry) for entry in _documents(client, ledger_path(user.id))]
        ledgers[user.id] = sorted(entries, key=lambda entry: entry.seq)
        found += _wallet_violations(user, ledgers[user.id])
        found += _usage_violations(user, [request for request in requests.values() if request.user_id == user.id])
    found += _request_violations(requests, ledgers)
    processing = sum(request.status is Status.PROCESSING for request in requests.values())
    if processing != in_flight:
        found.append(f"{processing} requests are still processing, not {in_flight}")
    return found


def _documents(client: firestore.Client, collection: str) -> list[Snapshot]:
    return [
        Snapshot(document.reference.path, document.to_dict() or {}, document.update_time)
        for document in client.collection(collection).stream()
    ]


def _wallet_violations(user: Snapshot, entries: list[LedgerEntry]) -> Iterator[str]:
    account = account_of(user)
    wallet = account.wallet
    if wallet.credits.trial < 0 or wallet.credits.paid < 0:
        yield f"{user.id}: negative balance {wallet.credits}"
    trial = sum(entry.type.sign * entry.amount.trial for entry in entries)
    paid = sum(entry.type.sign * entry.amount.paid for entry in entries)
    if (trial, paid) != (wallet.credits.trial, wallet.credits.paid):
        yield f"{user.id}: balance {wallet.credits} but the ledger sums up to {trial} trial, {paid} paid"
    if [entry.seq for entry in entries] != list(range(1, wallet.seq + 1)):
        yield f"{user.id}: entries {[entry.seq for entry in entries]} but the wallet counts {wallet.seq}"
    head, balance = GENESIS, 0
    for entry in entries:
        balance += entry.type.sign * entry.amount.total
        if entry.balance_after != balance:
            yield f"{entry.id}: balanceAfter {entry.balance_after}, should be {balance}"
        if entry.sealed(head).hash != entry.hash:
            yield f"{entry.id}: broken hash chain"
        head = entry.hash
    if head != wallet.head:
        yield f"{user.id}: the wallet's head is not the last entry's hash"


def _usage_violations(user: Snapshot, requests: list[GenerationRequest]) -> Iterator[str]:
    made: dict[Week, list[GenerationRequest]] = defaultdict(list)
    for request in requests:
        made[request.week].append(request)
    counted = account_of(user).usage
    for week in counted.keys() | made.keys():
        failed = [request for request in made[week] if request.status is Status.FAILED]
        expected = Usage(
            requests=len(made[week]),
            failed=len(failed),
            credits_deducted=sum(request.cost for request in made[week]),
            credits_refunded=sum(request.cost for request in failed),
        )
        if counted.get(week) != expected:
            yield f"{user.id}: usage of {week} is {counted.get(week)}, should be {expected}"


def _request_violations(requests: dict[str, GenerationRequest], ledgers: dict[str, list[LedgerEntry]]) -> Iterator[str]:
    taken: dict[str, Counter[EntryType]] = defaultdict(Counter)
    for entries in ledgers.values():
        for entry in entries:
            if entry.type is EntryType.GRANT:
                continue
            request = requests.get(entry.generation_request_id or "")
            if request is None or request.user_id != entry.user_id:
                yield f"{entry.id}: belongs to no request of its user"
                continue
            taken[request.id][entry.type] += 1
            if entry.amount != request.paid_from or entry.amount.total != request.cost:
                yield f"{entry.id}: {entry.amount}, but the request took {request.paid_from} of {request.cost}"
    for request in requests.values():
        deductions, refunds = taken[request.id][EntryType.DEDUCTION], taken[request.id][EntryType.REFUND]
        if deductions != 1:
            yield f"{request.id}: {deductions} deductions"
        if refunds != (1 if request.status is Status.FAILED else 0):
            yield f"{request.id}: {request.status}, and {refunds} refunds"
        if (request.image_url is not None) != (request.status is Status.COMPLETED):
            yield f"{request.id}: {request.status}, with image {request.image_url}"

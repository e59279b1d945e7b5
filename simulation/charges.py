"""Compares everything that says what a request cost with the ledger: answers, errors, lists and webhooks."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imagegen.api.generation_details import GenerationRequestDetails
from imagegen.api.generations import CreatedGenerationRequest
from imagegen.api.stored_generations import CanceledGenerationRequest
from imagegen.documents.accounts import USERS, account_of, entry_of, ledger_path
from imagegen.domain.endpoints import EventType
from imagegen.domain.generation import OPEN
from imagegen.domain.ledger import EntryType
from imagegen.errors import ApiError
from imagegen.ports.database import Database
from imagegen.services.generations.cancellation import Canceled
from imagegen.services.generations.create import Created
from simulation.calls import Call, Cancel
from simulation.checks import Requests, Violation, reserved_by
from simulation.receiver import SentEvent

Facts = Mapping[str, Any]

UNFINISHED = {"REQUEST_IN_PROGRESS", "SETTLEMENT_PENDING", "TOO_MANY_CANCELED"}
"""The reasons of errors about a request that has not ended."""

MISMATCH = "IDEMPOTENCY_MISMATCH"


def misstated_by_answers(database: Database, requests: Requests, calls: Iterable[Call]) -> Iterator[Violation]:
    """Yield the answers about a request whose cost, refund or net differs from the ledger's entries."""
    ledger = _ledger(database)
    for request in requests.values():
        yield from _contradictions("get and list", GenerationRequestDetails.of(request).wire(), ledger)
    for call in calls:
        if (facts := _answered(call)) is not None:
            yield from _contradictions(call.name, facts, ledger)
            is_answer = not isinstance(call, Cancel) and facts.get("reason") not in {*UNFINISHED, MISMATCH}
            if is_answer and facts.get("replayed", False) is bool(reserved_by(call, requests)):
                yield Violation("REPLAY", f"{call.name} got {facts}")


def misstated_by_webhooks(database: Database, sent: Iterable[SentEvent]) -> Iterator[Violation]:
    """Yield the webhooks whose cost, refund or net differs from the ledger's entries."""
    ledger = _ledger(database)
    for event in sent:
        message = json.loads(event.body)
        if message["type"] != EventType.GIVEN_UP:
            yield from _contradictions(f"webhook {event.id}", message["data"], ledger)


def stale_replays(database: Database, replays: Iterable[Call]) -> Iterator[Violation]:
    """Yield the repeated calls at rest whose answer does not say so, or does not have the balance of now."""
    balances = {user.id: account_of(user).wallet.credits.total for user in database.scan(USERS)}
    for call in replays:
        facts = _answered(call) or {}
        if facts.get("replayed") is not True or facts.get("currentCredits") != balances[call.order.user_id]:
            yield Violation("REPLAY", f"{call.name} got {facts}, and the balances are {balances}")


def _ledger(database: Database) -> Mapping[str, Mapping[EntryType, int]]:
    """Return the sum of the entries of each request, by type."""
    sums: dict[str, dict[EntryType, int]] = defaultdict(lambda: defaultdict(int))
    for user in database.scan(USERS):
        for document in database.scan(ledger_path(user.id)):
            entry = entry_of(user.id, document)
            sums[entry.generation_request_id or ""][entry.type] += entry.amount.total
    return sums


def _answered(call: Call) -> Facts | None:
    """Return the result or the error details of a call as its caller gets them, or None if no request is named.

    An answer that cannot be made, because a request without an image counts as completed, states nothing.
    """
    match call.outcome:
        case Created() as created:
            try:
                return CreatedGenerationRequest.of(created).wire()
            except AssertionError:
                return {"generationRequestId": created.request.id}
        case Canceled() as canceled:
            return CanceledGenerationRequest.of(canceled).wire()
        case ApiError(details={"cost": _} as facts):
            return facts
    return None


def _contradictions(where: str, facts: Facts, ledger: Mapping[str, Mapping[EntryType, int]]) -> Iterator[Violation]:
    stated = tuple(facts.get(name) for name in ("cost", "refundedCredits", "netCredits"))
    entries = ledger[facts["generationRequestId"]]
    cost, refunded = entries[EntryType.DEDUCTION], entries[EntryType.REFUND]
    if facts.get("status") in OPEN or facts.get("reason") in UNFINISHED:
        refunded = 0  # when the call was answered
    if facts.get("reason") == MISMATCH:  # of a request that may have ended since
        refunded = facts["refundedCredits"] and refunded
    if stated != (cost, refunded, cost - refunded) or facts.get("deductedCredits", cost) != cost:
        yield Violation("CHARGE", f"{where} states {facts}, and the ledger has {dict(entries)}")

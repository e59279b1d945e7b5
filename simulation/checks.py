"""Checks the database after a run: the invariants of the audit, and invariants that only a simulation can check."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from imagegen.documents.accounts import FORFEIT, USERS, account_of, entry_of, ledger_path
from imagegen.documents.generations import REQUESTS, request_of
from imagegen.domain.audit import Invariant
from imagegen.domain.generation import REFUNDED, FailureReason, GenerationRequest, Status
from imagegen.domain.ledger import EntryType
from imagegen.domain.limits import Limits, Rate
from imagegen.errors import TooManyCanceled
from imagegen.ports.database import Database
from imagegen.services.credits.audit import Audit
from simulation.calls import Call
from simulation.models import ModelRun
from tools.fakes import ManualClock

AFTER_ALL_LEASES = datetime(2100, 1, 1, tzinfo=UTC)

Requests = Mapping[str, GenerationRequest]
"""All requests by id."""


@dataclass(frozen=True)
class Violation:
    """A violated invariant: its name, and a message that shows the violation."""

    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


def requests_of(database: Database) -> dict[str, GenerationRequest]:
    return {document.id: request_of(document) for document in database.scan(REQUESTS)}


def reserved_by(call: Call, requests: Requests) -> list[GenerationRequest]:
    """Return the requests that this call reserved, not those of other calls with the same key."""
    return [
        request
        for request in requests.values()
        if call.process is not None and request.reservation_id in call.process.ids
    ]


def double_charges(calls: Iterable[Call], requests: Requests) -> Iterator[Violation]:
    """Yield the idempotency keys that were charged for more than one request."""
    by_key: dict[tuple[str, str], set[str]] = defaultdict(set)
    for call in calls:
        if call.order.idempotency_key is not None:
            by_key[call.order.user_id, call.order.idempotency_key] |= {
                request.id for request in reserved_by(call, requests)
            }
    for (user_id, key), ids in by_key.items():
        if len(ids) > 1:
            yield Violation("IDEMPOTENCY", f"{user_id} was charged {len(ids)} times under {key}")


def duplicate_generations(runs: Iterable[ModelRun]) -> Iterator[Violation]:
    """Yield the requests that were generated more than once. Each generation costs the provider's price."""
    for request_id, times in Counter(run.request_id for run in runs).items():
        if times > 1:
            yield Violation("ONCE", f"the image of {request_id} was generated {times} times")


def needless_abandonments(requests: Requests) -> Iterator[Violation]:
    """Yield the abandoned requests of a run in which every process can end its request in time."""
    for request in requests.values():
        if request.failure and request.failure.reason is FailureReason.ABANDONED:
            yield Violation("PROGRESS", f"{request.id} was abandoned for no reason")


def limit_violations(limits: Limits, requests: Requests, runs: Iterable[ModelRun]) -> Iterator[Violation]:
    """Yield the requests that exceeded a limit: the number of unfinished requests and runs, or the rate."""
    run_ends = {run.request_id: run.ended_at for run in runs}
    for user_id, made in _by_user(requests.values(), lambda request: request.created_at).items():
        for number, request in enumerate(made):
            unfinished = sum(_runs_at(request.created_at, other, run_ends) for other in made[:number])
            if unfinished >= limits.concurrent:
                yield Violation("LIMIT", f"{user_id} had {unfinished} unfinished requests when {request.id} was made")
        yield from _rate_violations(limits.requests, user_id, [request.created_at for request in made], "requests")


def cancellation_violations(limits: Limits, requests: Requests, calls: Iterable[Call]) -> Iterator[Violation]:
    """Yield the users who canceled more runs than they may, or whose cancellation was refused before they did."""
    canceled = _by_user(
        (request for request in requests.values() if _is_canceled_run(request)),
        lambda request: request.finished_at or request.created_at,
    )
    for user_id, runs in canceled.items():
        ends = [request.finished_at for request in runs if request.finished_at]
        yield from _rate_violations(limits.canceled_runs, user_id, ends, "canceled runs")
    for call in calls:
        user_id = call.order.user_id
        if isinstance(call.outcome, TooManyCanceled) and len(canceled[user_id]) < limits.canceled_runs_per_day:
            yield Violation("PROGRESS", f"{call.name} may not cancel after {len(canceled[user_id])} canceled runs")


def _by_user(
    requests: Iterable[GenerationRequest], time: Callable[[GenerationRequest], datetime]
) -> dict[str, list[GenerationRequest]]:
    """Return the requests by user, in the order of ``time``."""
    by_user: dict[str, list[GenerationRequest]] = defaultdict(list)
    for request in sorted(requests, key=time):
        by_user[request.user_id].append(request)
    return by_user


def _is_canceled_run(request: GenerationRequest) -> bool:
    return request.status is Status.CANCELED and request.started_at is not None


def _runs_at(time: datetime, request: GenerationRequest, run_ends: Mapping[str, datetime | None]) -> bool:
    """Return whether the request was unfinished, or canceled with its model still running within its lease."""
    ended_at = request.finished_at
    if ended_at is not None and _is_canceled_run(request) and request.id in run_ends:
        ended_at = max(ended_at, min(run_ends[request.id] or request.lease_expires_at, request.lease_expires_at))
    return ended_at is None or ended_at > time


def _rate_violations(rate: Rate, user_id: str, times: Sequence[datetime], what: str) -> Iterator[Violation]:
    """Yield the intervals in which more events happened than ``rate`` allows."""
    for last, end in enumerate(times):
        for first, start in enumerate(times[:last]):
            count = last - first + 1
            if count > rate.burst + (end - start) / rate.interval + 1e-6:
                yield Violation("LIMIT", f"{user_id} had {count} {what} from {start} to {end}")


def replayable(calls: Iterable[Call], requests: Requests) -> list[Call]:
    """Return the calls that reserved a request with a key. A repeated call must return the outcome of this request."""
    return [call for call in calls if call.order.idempotency_key is not None and reserved_by(call, requests)]


def broken_invariants(database: Database, granted: int) -> Iterator[Violation]:
    """Yield the violated invariants of a database in which no process is running.

    ``granted`` is the sum of all credits that users were granted.
    """
    yield from (violation for violation in audit_findings(database) if violation.name != Invariant.DELETION.name)
    requests = requests_of(database)
    yield from _inconsistent_outcomes(requests)
    yield from _early_ends(requests)
    yield from _misnamed_entries(database)
    yield from _misstated_refunds(database, requests)
    wallets = [account_of(user).wallet for user in database.scan(USERS)]
    balances = sum(wallet.credits.total + wallet.lifetime.get(EntryType.FORFEIT, 0) for wallet in wallets)
    spent = sum(request.cost for request in requests.values() if request.status not in REFUNDED)
    if balances + spent != granted:
        yield Violation("CONSERVATION", f"of {granted} credits, {balances} are left or forfeited and {spent} spent")


def audit_findings(database: Database) -> Iterator[Violation]:
    """Yield the findings of the audit of a database in which every request and deletion should have ended."""
    for finding in Audit(database, ManualClock(AFTER_ALL_LEASES)).findings():
        yield Violation(finding.invariant.name, f"{finding.message} {finding.documents}")


def _inconsistent_outcomes(requests: Requests) -> Iterator[Violation]:
    """Yield the requests whose status does not match their image, failure and end."""
    for request in requests.values():
        if not request.prompt:
            continue  # erased with its user's account
        has_image, has_failure = request.image_url is not None, request.failure is not None
        ended = request.finished_at is not None
        if (has_image, has_failure, ended) != {
            Status.PENDING: (False, False, False),
            Status.PROCESSING: (False, False, False),
            Status.COMPLETED: (True, False, True),
            Status.FAILED: (False, True, True),
            Status.CANCELED: (False, True, True),
        }[request.status]:
            yield Violation("OUTCOME", f"{request.id} is {request.status}, with {request.image_url}, {request.failure}")


def _misstated_refunds(database: Database, requests: Requests) -> Iterator[Violation]:
    """Yield the failed requests whose stated refund or balance differs from their refund's ledger entry."""
    for user in database.scan(USERS):
        entries = [entry_of(user.id, document) for document in database.scan(ledger_path(user.id))]
        for entry in entries:
            request = requests.get(entry.generation_request_id or "")
            if entry.type is EntryType.REFUND and request and request.failure:
                stated = (request.failure.refunded_credits, request.failure.current_credits)
                # Debts for purchases take their part of the refund in the same commit.
                taken = sum(other.amount.total for other in entries if other.id.startswith(f"{entry.id}-"))
                if stated != (entry.amount.total, entry.balance_after - taken):
                    yield Violation("TRUTH", f"{request.id} states {stated}, its refund {entry}")


def _early_ends(requests: Requests) -> Iterator[Violation]:
    """Yield the requests that were abandoned before their lease expired, or that expired too early."""
    for request in requests.values():
        if request.failure and request.failure.reason is FailureReason.ABANDONED:
            assert request.finished_at, "an abandoned request has ended"
            if request.finished_at <= request.lease_expires_at:
                yield Violation("LEASE", f"{request.id} was abandoned at {request.finished_at}, during its lease")
        if request.failure and request.failure.reason is FailureReason.EXPIRED:
            assert request.finished_at, "an expired request has ended"
            if request.give_up_at is None or request.finished_at < request.give_up_at:
                yield Violation("LEASE", f"{request.id} expired at {request.finished_at}, before {request.give_up_at}")


def _misnamed_entries(database: Database) -> Iterator[Violation]:
    """Yield the ledger entries whose id does not follow from their request, so that a duplicate could be written."""
    for user in database.scan(USERS):
        for document in database.scan(ledger_path(user.id)):
            entry = entry_of(user.id, document)
            if entry.type is EntryType.FORFEIT and (entry.id == FORFEIT or f"-{FORFEIT}-" in entry.id):
                continue
            if entry.purchase_id is not None:
                if entry.purchase_id not in entry.id:
                    yield Violation("ENTRY_ID", f"{entry.id} is the {entry.type} of {entry.purchase_id}")
            elif entry.type is not EntryType.GRANT and entry.id != f"{entry.generation_request_id}-{entry.type.value}":
                yield Violation("ENTRY_ID", f"{entry.id} is the {entry.type} of {entry.generation_request_id}")

"""Creates generation requests: reserve, generate, settle.

1. **reserve**: read account and request, check them, and write account, request and deduction in one commit.
2. **generate**: run the model without a lock (``execution``), in this call or in a worker (``worker``).
3. **settle**: complete the request, or fail and refund it, in one commit (``settlement``).

The answer always matches the request's document, on the first call and on every repeated call.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from imagegen.documents.accounts import account_of, create_entry, update_account, user_path
from imagegen.documents.generations import StoredRequest, create_request, request_of, request_path
from imagegen.domain.account import Account
from imagegen.domain.generation import (
    FailureReason,
    GenerationRequest,
    Mode,
    Order,
    Status,
    keyed_request_id,
)
from imagegen.domain.ledger import Credits, NotEnoughCredits
from imagegen.domain.limits import Activity, Limits, TooFast
from imagegen.errors import (
    Contention,
    GenerationAbandoned,
    GenerationCanceled,
    GenerationFailed,
    GenerationTimeout,
    IdempotencyMismatch,
    InsufficientCredits,
    RateLimited,
    RequestInProgress,
    ServiceUnavailable,
    TooManyRunning,
)
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, DatabaseUnavailable, OutcomeUnknown, Snapshot
from imagegen.services.credits.accounts import require_user
from imagegen.services.generations.execution import Execution
from imagegen.services.generations.queue import RequestQueue
from imagegen.services.retry import Retry
from imagegen.services.unreadable import read_or_log


@dataclass(frozen=True)
class Created:
    """The request of a call. ``is_repeat`` is true if an earlier call with the same idempotency key created it."""

    request: GenerationRequest
    is_repeat: bool


@dataclass(frozen=True)
class Generations:
    """Creates generation requests. In sync mode, runs and settles them too."""

    database: Database
    execution: Execution
    queue: RequestQueue
    clock: Clock
    limits: Limits
    retry: Retry
    new_id: Callable[[], str]

    def create(self, order: Order) -> GenerationRequest:
        """Reserve credits and create the request, or return the one that this idempotency key already created.

        In sync mode, the request is completed on return. In async mode, a worker completes it later.

        Raises:
        - UserNotFound, RateLimited, TooManyRunning, InsufficientCredits, IdempotencyMismatch, RequestInProgress and
          Contention: this call took no credits.
        - ServiceUnavailable: the call took no credits, or took them once under this key.
        - GenerationFailed, GenerationTimeout, GenerationAbandoned and GenerationCanceled: the credits were refunded.
        - SettlementPending: the credits were taken, and the outcome is not recorded yet.
        """
        return self.create_or_find(order).request

    def create_or_find(self, order: Order) -> Created:
        """Create the request or find it, and tell which. Raises like ``create``."""
        stored, is_repeat = self._reserve(order)
        request = stored.request
        if order.mode is Mode.ASYNC:
            if request.status is Status.PENDING:
                self.queue.enqueue(request, order.model)
        elif request.status is Status.PROCESSING:
            request = _answer(self.execution.run(stored, order.model, order.size))
        else:
            request = _answer(request)
        return Created(request, is_repeat)

    def repeat(self, user_id: str, idempotency_key: str, fingerprint: str) -> GenerationRequest | None:
        """Return the request that this key and payload created before, or None if there was no such call.

        This answers a repeated call whose payload is no longer valid, for example because an option was disabled.
        Raises what ``create`` raises for an existing request.
        """
        try:
            [document] = self.database.read(request_path(keyed_request_id(user_id, idempotency_key)))
        except DatabaseUnavailable as error:
            raise ServiceUnavailable(
                "The database cannot be reached. Try again with the same idempotencyKey."
            ) from error
        if not document.exists or request_of(document).fingerprint != fingerprint:
            return None
        stored = _ended_or_async(StoredRequest.of(document))
        return stored.request if stored.request.mode is Mode.ASYNC else _answer(stored.request)

    def _reserve(self, order: Order) -> tuple[StoredRequest, bool]:
        """Create the request, or find the one that this idempotency key already created. Return whether it is found."""
        reservation_id = self.new_id()
        key = order.idempotency_key
        request_id = self.new_id() if key is None else keyed_request_id(order.user_id, key)

        def attempt(tries: int) -> tuple[StoredRequest, bool]:
            user, document = self.database.read(user_path(order.user_id), request_path(request_id))
            if document.exists:
                stored = _existing(StoredRequest.of(document), order, reservation_id)
                return stored, stored.request.reservation_id != reservation_id
            if order.mode is Mode.SYNC and not tries:  # later, an earlier commit may still be applied
                self.execution.check_provider(order.model)
            account = self._within_running_limit(account_of(require_user(user)))
            now = self.clock.now()
            account = replace(account, activity=_within_rate_limit(account.activity, self.limits, now))
            paid_from = _payment(order, account.wallet.credits)
            request = GenerationRequest.of(order, request_id, reservation_id, paid_from, now)
            account, deduction = account.reserve(request)
            version, *_ = self.database.commit(
                create_request(request), update_account(user, account, request.week), create_entry(deduction)
            )
            return StoredRequest(request, version), False

        try:
            return self.retry(attempt)
        except CommitRefused as error:
            raise Contention("Too many simultaneous requests of this user. Nothing was charged. Try again.") from error
        except DatabaseUnavailable as error:
            raise ServiceUnavailable("The database cannot be reached. Nothing was charged. Try again.") from error
        except OutcomeUnknown as error:
            raise ServiceUnavailable(
                "The database did not confirm the request. You may have been charged. "
                + (
                    "Check your credit history before you try again, and send an idempotencyKey next time."
                    if key is None
                    else "Try again with the same idempotencyKey. A key is charged at most once."
                ),
                generationRequestId=request_id,
            ) from error

    def _within_running_limit(self, account: Account) -> Account:
        """Return the account if the user may start one more request. Raises TooManyRunning.

        The end of a run does not change the user's document, so ``activity.running`` may name requests that have
        ended. They are looked up only when there seem to be too many: one read for each, in one round trip.
        """
        activity = account.activity
        if len(activity.running) < self.limits.concurrent:
            return account
        documents = self.database.read(*(request_path(request_id) for request_id in activity.running))
        now = self.clock.now()
        ended = [document.id for document in documents if not _may_run(document, now)]
        activity = activity.ended(*ended)
        if len(activity.running) >= self.limits.concurrent:
            raise TooManyRunning(
                "Too many unfinished requests of this user. Nothing was charged. Wait until one of them ends. A "
                "canceled request counts until its model ends.",
                runningRequests=len(activity.running),
            )
        return replace(account, activity=activity)


def _may_run(document: Snapshot, now: datetime) -> bool:
    """Return whether a request may run. One that cannot be read counts as ended, so that it blocks no other."""
    request = read_or_log(request_of, document) if document.exists else None
    return request is not None and request.may_run(now)


def _within_rate_limit(activity: Activity, limits: Limits, now: datetime) -> Activity:
    """Return the activity after one more request. Raises RateLimited."""
    try:
        return activity.paced(limits, now)
    except TooFast as too_fast:
        seconds = too_fast.retry_after_seconds
        raise RateLimited(
            f"Too many requests in a short time. Nothing was charged. Try again in {seconds} s.",
            retryAfterSeconds=seconds,
        ) from None


def _existing(stored: StoredRequest, order: Order, reservation_id: str) -> StoredRequest:
    """Return the existing request if it answers ``order``.

    Raises IdempotencyMismatch if its payload differs, and RequestInProgress.
    """
    request = stored.request
    if request.reservation_id == reservation_id:
        return stored  # our own commit was applied, but its answer was lost
    if request.fingerprint != order.fingerprint:
        raise IdempotencyMismatch(
            "This idempotencyKey was used for a request with other options. Use a new key for a new request.",
            generationRequestId=request.id,
        )
    return _ended_or_async(stored)


def _ended_or_async(stored: StoredRequest) -> StoredRequest:
    """Return the existing request if it has ended or is in async mode. Raises RequestInProgress."""
    if stored.request.mode is Mode.SYNC and stored.request.is_open:
        raise RequestInProgress(
            "The first request with this idempotencyKey is still running. Try again with the same key in a moment.",
            generationRequestId=stored.request.id,
        )
    return stored


def _payment(order: Order, balance: Credits) -> Credits:
    """Return the credits, by bucket, that pay for ``order``. Raises InsufficientCredits."""
    try:
        return balance.part(order.cost)
    except NotEnoughCredits:
        raise InsufficientCredits(
            f"Not enough credits: this size costs {order.cost}, and the balance is {balance.total}. "
            "Add credits, or choose a size that costs less.",
            requiredCredits=order.cost,
            currentCredits=balance.total,
        ) from None


def _answer(request: GenerationRequest) -> GenerationRequest:
    """Return a settled request if it succeeded. Otherwise raise the error of its failure reason."""
    failure = request.failure
    if failure is None:
        return request
    error = {
        FailureReason.GENERATION_FAILED: GenerationFailed,
        FailureReason.GENERATION_TIMEOUT: GenerationTimeout,
        FailureReason.ABANDONED: GenerationAbandoned,
        FailureReason.CANCELED: GenerationCanceled,
    }[failure.reason]
    raise error(
        f"{failure.message} The credits were refunded. Try again.",
        generationRequestId=request.id,
        refundedCredits=failure.refunded_credits,
        currentCredits=failure.current_credits,
    )

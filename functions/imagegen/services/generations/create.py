"""Creates generation requests: reserve, generate, settle.

1. **reserve**: read account and request, check them, and write account, request and deduction in one commit.
2. **generate**: run the model without a lock (``execution``), in this call or in a worker (``worker``).
3. **settle**: complete the request, or fail and refund it, in one commit (``settlement``).

The answer always matches the request's document, on the first call and on every repeated call.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from imagegen import tracing
from imagegen.dataclass import dataclass
from imagegen.documents.accounts import account_of, create_entry, endpoints_of_user, update_account, user_path
from imagegen.documents.generations import REQUESTS, StoredRequest, create_request, request_of, request_path
from imagegen.domain.account import Account
from imagegen.domain.endpoints import Endpoint
from imagegen.domain.generation import (
    FailureReason,
    Fingerprint,
    GenerationRequest,
    Key,
    Mode,
    Order,
    Reuse,
    Status,
    keyed_request_id,
)
from imagegen.domain.ledger import Credits, NotEnoughCredits
from imagegen.domain.limits import Activity, Limits, TooFast
from imagegen.errors import (
    ApiError,
    Contention,
    ContentRefused,
    ContentRefusedBefore,
    GenerationAbandoned,
    GenerationAbandonedBefore,
    GenerationCanceled,
    GenerationCanceledBefore,
    GenerationFailed,
    GenerationFailedBefore,
    GenerationTimeout,
    GenerationTimeoutBefore,
    IdempotencyMismatch,
    ImageNotStored,
    ImageNotStoredBefore,
    InsufficientCredits,
    ModelUnavailable,
    ModelUnavailableBefore,
    PriceTooHigh,
    RateLimited,
    RequestInProgress,
    ServiceUnavailable,
    TooManyRunning,
    charge_of,
)
from imagegen.ports.clock import Clock
from imagegen.ports.database import (
    CommitRefused,
    Database,
    DatabaseUnavailable,
    OutcomeUnknown,
    Query,
    Snapshot,
    Where,
)
from imagegen.services.credits.accounts import balance_of, refuse_deleted, require_user
from imagegen.services.generations.execution import Execution
from imagegen.services.generations.queue import RequestQueue
from imagegen.services.retry import Retry
from imagegen.services.turns import Turns
from imagegen.services.unreadable import read_or_log

RUNNING_RETRY_SECONDS = 5
"""The time after which a user with too many unfinished requests should try again. A model takes about as long."""


@dataclass(frozen=True)
class Created:
    """The answer to a call: the request, and the user's balance.

    The balance is the one after the deduction, or in a replay the one of now. It is None if a replay cannot read it.
    ``is_replay`` is True if an earlier call with the same key created the request. ``is_reused`` is True if an earlier
    call for an equal image did, and this call asked for such a request.
    """

    stored: StoredRequest
    current_credits: int | None
    is_replay: bool = False
    is_reused: bool = False

    @property
    def request(self) -> GenerationRequest:
        return self.stored.request


@dataclass(frozen=True)
class Generations:
    """Creates generation requests. In sync mode, runs and settles them too."""

    database: Database
    execution: Execution
    queue: RequestQueue
    clock: Clock
    limits: Limits
    turns: Turns
    retry: Retry
    new_id: Callable[[], str]

    def create(self, order: Order) -> Created:
        """Reserve credits and create the request, or return the one that this idempotency key already created.

        In sync mode, the request is completed on return. In async mode, a worker completes it later. If the order
        permits it, return a completed request of the same user for an equal image instead, which costs nothing.

        Raises:
        - UserNotFound, AccountDeleted, RateLimited, TooManyRunning, PriceTooHigh, InsufficientCredits,
          IdempotencyMismatch, RequestInProgress and Contention: this call took no credits.
        - ServiceUnavailable: the call took no credits, or took them once under this key.
        - GenerationFailed, GenerationTimeout, ContentRefused, ModelUnavailable, ImageNotStored,
          GenerationAbandoned and GenerationCanceled: the credits were refunded.
        - SettlementPending: the credits were taken, and the outcome is not recorded yet.
        """
        if order.reuse is not None and (reusable := self._reusable(order, order.reuse)) is not None:
            return reusable
        created = self._reserve(order)
        tracing.continue_request(created.request)
        if created.request.status is Status.PENDING:
            self.queue.enqueue(created.request, order.model)
        elif created.request.status is Status.PROCESSING and order.mode is Mode.SYNC:
            created = replace(created, stored=self.execution.run(created.stored, order.model, order.size))
        return _answer(created)

    def repeat(self, user_id: str, *keys: Key) -> Created | None:
        """Return the request that one of the keys and its payload created before, or None if there was no such call.

        This answers a repeated call whose payload is no longer valid, for example because an option was disabled.
        Raises what ``create`` raises for an existing request.
        """
        try:
            user, *documents = self.database.read(user_path(user_id), *(_path(user_id, key) for key in keys))
        except DatabaseUnavailable as error:
            raise ServiceUnavailable(
                "The database cannot be reached. Try again with the same idempotency key."
            ) from error
        refuse_deleted(user)
        for key, document in zip(keys, documents, strict=True):
            if document.exists and key.fingerprint.matches(request_of(document).fingerprint):
                return _answer(_replay(StoredRequest.of(document), user))
        return None

    def _reusable(self, order: Order, reuse: Reuse) -> Created | None:
        """Return the user's newest completed request for an equal image, or None. A key that exists is replayed."""
        paths = [user_path(order.user_id)]
        if order.idempotency_key is not None:
            paths.append(request_path(keyed_request_id(order.user_id, order.idempotency_key)))
        where: tuple[Where, ...] = (
            Where("userId", "==", order.user_id),
            Where("status", "==", Status.COMPLETED.value),
            Where("imageKey", "==", order.image_key),
        )
        if reuse.max_age is not None:
            where += (Where("createdAt", ">=", self.clock.now() - reuse.max_age),)
        try:
            user, *keyed = self.database.read(*paths)
            refuse_deleted(user)
            if any(document.exists for document in keyed):
                return None
            found = self.database.find(Query(REQUESTS, where, order_by="createdAt", limit=1))
        except DatabaseUnavailable as error:
            raise ServiceUnavailable("The database cannot be reached. Nothing was charged. Try again.") from error
        stored = read_or_log(StoredRequest.of, found[0]) if found else None
        return None if stored is None else Created(stored, balance_of(user), is_reused=True)

    def _reserve(self, order: Order) -> Created:
        """Create the request, or return the request that this idempotency key already created."""
        reservation_id = self.new_id()
        key = order.idempotency_key
        request_id = self.new_id() if key is None else keyed_request_id(order.user_id, key)
        paths = [user_path(order.user_id), request_path(request_id)]
        paths += [_path(order.user_id, earlier_key) for earlier_key in order.earlier_keys]

        def attempt(tries: int) -> Created:
            with self.turns.of(order.user_id):
                return reserve(tries)

        def reserve(tries: int) -> Created:
            user, document, *earlier = self.database.read(*paths)
            refuse_deleted(user)
            for key, found in zip(order.earlier_keys, earlier, strict=True):
                if found.exists:
                    return _existing(StoredRequest.of(found), user, key.fingerprint, reservation_id)
            if document.exists:
                return _existing(StoredRequest.of(document), user, order.fingerprint, reservation_id)
            _check_price(order)
            if order.mode is Mode.SYNC and not tries:  # later, an earlier commit may still be applied
                self.execution.check_provider(order.model)
            account = self._within_running_limit(account_of(require_user(user)))
            now = self.clock.now()
            account = replace(account, activity=_within_rate_limit(account.activity, self.limits, now))
            paid_from = _payment(order, account.wallet.credits)
            request = GenerationRequest.of(
                order, request_id, reservation_id, paid_from, now, _enabled_endpoints(user), tracing.current().trace
            )
            account, deduction = account.reserve(request)
            version, *_ = self.database.commit(
                create_request(request), update_account(user, account, request.week), create_entry(deduction)
            )
            return Created(StoredRequest(request, version), account.wallet.credits.total)

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
                    "Check your credit history before you try again, and send an idempotency key next time."
                    if key is None
                    else "Try again with the same idempotency key. A key is charged at most once."
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
                retryAfterSeconds=RUNNING_RETRY_SECONDS,
            )
        return replace(account, activity=activity)


def _path(user_id: str, key: Key) -> str:
    return request_path(keyed_request_id(user_id, key.text))


def _enabled_endpoints(user: Snapshot) -> tuple[Endpoint, ...]:
    """Return the enabled endpoints of a user: none if they cannot be read, so that they block no request."""
    return tuple(endpoint for endpoint in read_or_log(endpoints_of_user, user) or () if endpoint.enabled)


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


def _existing(stored: StoredRequest, user: Snapshot, fingerprint: Fingerprint, reservation_id: str) -> Created:
    """Return the existing request if its payload is the one with this fingerprint.

    Raises IdempotencyMismatch if its payload differs, and RequestInProgress.
    """
    request = stored.request
    if request.reservation_id == reservation_id:
        return Created(stored, balance_of(user))  # our own commit was applied, but its answer was lost
    if not fingerprint.matches(request.fingerprint):
        raise IdempotencyMismatch(
            "This idempotency key was used for a request with other options. Use a new key for a new request.",
            **charge_of(request),
        )
    return _replay(stored, user)


def _replay(stored: StoredRequest, user: Snapshot) -> Created:
    """Return the existing request as a replay if it has ended or is in async mode. Raises RequestInProgress."""
    if stored.request.mode is Mode.SYNC and stored.request.is_open:
        raise RequestInProgress(
            "The first request with this idempotency key is still running. Try again with the same key in a moment.",
            **charge_of(stored.request),
        )
    return Created(stored, balance_of(user), is_replay=True)


def _check_price(order: Order) -> None:
    """Raise PriceTooHigh if the order costs more than its caller accepts."""
    if order.is_too_expensive:
        raise PriceTooHigh(
            f"This size costs {order.cost} now, and you accept at most {order.max_credits}. Nothing was charged.",
            requiredCredits=order.cost,
            maxCredits=order.max_credits,
        )


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


_ERRORS: Mapping[FailureReason, tuple[type[ApiError], type[ApiError]]] = {
    FailureReason.GENERATION_FAILED: (GenerationFailed, GenerationFailedBefore),
    FailureReason.GENERATION_TIMEOUT: (GenerationTimeout, GenerationTimeoutBefore),
    FailureReason.CONTENT_REFUSED: (ContentRefused, ContentRefusedBefore),
    FailureReason.MODEL_UNAVAILABLE: (ModelUnavailable, ModelUnavailableBefore),
    FailureReason.IMAGE_NOT_STORED: (ImageNotStored, ImageNotStoredBefore),
    FailureReason.ABANDONED: (GenerationAbandoned, GenerationAbandonedBefore),
    FailureReason.CANCELED: (GenerationCanceled, GenerationCanceledBefore),
}
"""The error of each failure of a sync call, at first and in a replay."""

_ADVICE = {
    FailureReason.CONTENT_REFUSED: "Change the prompt.",
    FailureReason.MODEL_UNAVAILABLE: "Choose another model.",
}


def _answer(created: Created) -> Created:
    """Return the answer to an async call, or to a sync call that succeeded. Raises the error of a failure."""
    request = created.request
    if request.mode is Mode.ASYNC or request.failure is None:
        return created
    failure = request.failure
    error, replayed_error = _ERRORS[failure.reason]
    message = f"{failure.message} " + ("The credits were refunded. " if request.is_refunded else "")
    if not created.is_replay:
        advice = _ADVICE.get(failure.reason, "Try again.")
        raise error(f"{message}{advice}", **charge_of(request), currentCredits=failure.current_credits)
    balance = {} if created.current_credits is None else {"currentCredits": created.current_credits}
    raise replayed_error(
        f"{message}Use a new idempotency key to try again.", **charge_of(request), **balance, replayed=True
    )

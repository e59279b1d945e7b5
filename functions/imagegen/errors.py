"""Everything that can go wrong, as classes that carry their place in the API's outcome table.

Services raise them; ``api.firebase`` turns them into the callable protocol once, at the edge; the outcome
table in the documentation is generated from them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, NotRequired

from typing_extensions import TypedDict  # pydantic does not take the one of Python 3.11


class Code(StrEnum):
    """The callable protocol's status codes that we answer with."""

    INVALID_ARGUMENT = "invalid-argument"
    FAILED_PRECONDITION = "failed-precondition"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission-denied"
    NOT_FOUND = "not-found"
    ALREADY_EXISTS = "already-exists"
    RESOURCE_EXHAUSTED = "resource-exhausted"
    ABORTED = "aborted"
    CANCELLED = "cancelled"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DEADLINE_EXCEEDED = "deadline-exceeded"

    @property
    def status(self) -> str:
        """As it is written in an answer: ``INVALID_ARGUMENT``."""
        return self.name

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with it, https://cloud.google.com/apis/design/errors#handling_errors"""
        return _HTTP_STATUS[self]


_HTTP_STATUS = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}


class Violation(TypedDict):
    """One thing that is wrong with a call."""

    field: str
    message: str
    allowed: NotRequired[list[str]]


class ApiError(Exception):
    """An outcome other than success, as the caller is told it.

    ``message`` names the remedy; ``details`` are the machine-readable facts beside the ``reason``, and ``facts`` says
    which there are, with their types; those that may be None may be missing.
    """

    code: ClassVar[Code]
    reason: ClassVar[str]
    situation: ClassVar[str]
    retryable: ClassVar[str]
    billed: ClassVar[str] = "no"
    facts: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self._details = details

    @property
    def details(self) -> Mapping[str, Any]:
        """What goes into the answer's ``details``: the stable reason and the facts."""
        return {"reason": self.reason, **self._details}


class InvalidInput(ApiError):
    """``violations``: one ``{field, message, allowed?}`` for everything that is wrong, not only for the first."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_INPUT"
    situation = "malformed or invalid input; `violations` lists all of it"
    retryable = "after correcting it"
    facts: ClassVar = {"violations": list[Violation]}

    def __init__(self, violations: list[Violation]) -> None:
        summary = "; ".join(f"{violation['field']} {violation['message']}" for violation in violations)
        super().__init__(f"Invalid input: {summary}.", violations=violations)


class Unauthenticated(ApiError):
    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"
    situation = "not signed in, or a token that is invalid or expired"
    retryable = "after signing in"


class AppCheckRequired(ApiError):
    code = Code.UNAUTHENTICATED
    reason = "APP_CHECK_REQUIRED"
    situation = "no valid App Check token, where they are required"
    retryable = "from the app itself"


class PermissionDenied(ApiError):
    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"
    situation = "someone else's `userId`, or a function for admins"
    retryable = "no"


class EmailNotVerified(ApiError):
    code = Code.PERMISSION_DENIED
    reason = "EMAIL_NOT_VERIFIED"
    situation = "spending credits from an account whose e-mail address is not verified"
    retryable = "after verifying it and signing in again"


class UserNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "USER_NOT_FOUND"
    situation = "no such user"
    retryable = "no"
    facts: ClassVar = {"userId": str}


class RequestNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "REQUEST_NOT_FOUND"
    situation = "no such generation request, or someone else's"
    retryable = "no"
    facts: ClassVar = {"generationRequestId": str}


class ReportNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "REPORT_NOT_FOUND"
    situation = "no report of that week yet"
    retryable = "after `runWeeklyReport`"
    facts: ClassVar = {"week": str}


class DeliveryNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "DELIVERY_NOT_FOUND"
    situation = "no such webhook delivery, or someone else's"
    retryable = "no"
    facts: ClassVar = {"deliveryId": str}


class RateLimited(ApiError):
    code = Code.RESOURCE_EXHAUSTED
    reason = "RATE_LIMITED"
    situation = "too many requests of this user in a short time: `retryAfterSeconds`"
    retryable = "after that time"
    facts: ClassVar = {"retryAfterSeconds": int}


class TooManyRunning(ApiError):
    code = Code.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_RUNNING"
    situation = "too many unfinished requests of this user: `runningRequests`"
    retryable = "when one of them has ended"
    facts: ClassVar = {"runningRequests": int}


class InsufficientCredits(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "INSUFFICIENT_CREDITS"
    situation = "balance too small: `requiredCredits`, `currentCredits`"
    retryable = "after adding credits"
    facts: ClassVar = {"requiredCredits": int, "currentCredits": int}


_REFUND = {"generationRequestId": str, "refundedCredits": int, "currentCredits": int}


class GenerationFailed(ApiError):
    code = Code.UNAVAILABLE
    reason = "GENERATION_FAILED"
    situation = "the model failed: `generationRequestId`, `refundedCredits`, `currentCredits`"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class GenerationTimeout(ApiError):
    code = Code.DEADLINE_EXCEEDED
    reason = "GENERATION_TIMEOUT"
    situation = "the model took too long: same details"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class GenerationAbandoned(ApiError):
    code = Code.UNAVAILABLE
    reason = "ABANDONED"
    situation = "the process that ran the request died: same details"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class GenerationCanceled(ApiError):
    code = Code.CANCELLED
    reason = "CANCELED"
    situation = "the request was canceled meanwhile: same details"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class RequestEnded(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "REQUEST_ENDED"
    situation = "canceling a request that has ended: its `status`"
    retryable = "no"
    facts: ClassVar = {"generationRequestId": str, "status": str}


class IdempotencyMismatch(ApiError):
    code = Code.ALREADY_EXISTS
    reason = "IDEMPOTENCY_MISMATCH"
    situation = "the same `idempotencyKey` came with another payload before"
    retryable = "no, use another key"
    facts: ClassVar = {"generationRequestId": str | None}


class RequestInProgress(ApiError):
    code = Code.ABORTED
    reason = "REQUEST_IN_PROGRESS"
    situation = "the request of this `idempotencyKey` is still running: `generationRequestId`"
    retryable = "yes, with the same key"
    billed = "once"
    facts: ClassVar = {"generationRequestId": str}


class Contention(ApiError):
    code = Code.ABORTED
    reason = "CONTENTION"
    situation = "too many simultaneous requests of this user"
    retryable = "yes"


class SettlementPending(ApiError):
    code = Code.UNAVAILABLE
    reason = "SETTLEMENT_PENDING"
    situation = "the outcome could not be recorded: `generationRequestId`, `deductedCredits`"
    retryable = "with the same key, to learn the outcome"
    billed = "until it is settled"
    facts: ClassVar = {"generationRequestId": str, "deductedCredits": int}


class ServiceUnavailable(ApiError):
    code = Code.UNAVAILABLE
    reason = "SERVICE_UNAVAILABLE"
    situation = "the database cannot be reached, or the catalog is empty"
    retryable = "yes, with the same key"
    billed = "no; perhaps once, if it has a `generationRequestId`"
    facts: ClassVar = {"generationRequestId": str | None}


class Internal(ApiError):
    """``correlation_id`` finds the traceback in the log; the caller learns nothing else."""

    code = Code.INTERNAL
    reason = "INTERNAL"
    situation = "a bug: `correlationId`, and nothing else"
    retryable = "report it with the correlation id"
    billed = "never silently"
    facts: ClassVar = {"correlationId": str}

    def __init__(self, correlation_id: str) -> None:
        super().__init__(
            f"An unexpected error occurred. Report it with correlation id {correlation_id}.",
            correlationId=correlation_id,
        )

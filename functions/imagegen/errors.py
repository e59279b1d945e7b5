"""The errors of the API.

Services raise them. ``api.firebase`` converts them to the callable protocol, and ``api.rest`` to problem documents. The
error table in ``docs/api.md`` is generated from their class attributes.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic refuses typing.TypedDict on Python 3.11

from imagegen.domain.generation import GenerationRequest


class Code(StrEnum):
    """The status codes of the callable protocol that the API uses."""

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
        """The code as an answer spells it, such as ``INVALID_ARGUMENT``."""
        return self.name

    @property
    def http_status(self) -> int:
        """The HTTP status of the code, https://cloud.google.com/apis/design/errors#handling_errors"""
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
    """A problem with one field of a call."""

    field: str
    message: str
    allowed: NotRequired[list[str]]


class ApiError(Exception):
    """An error that the caller receives.

    ``message`` is for people and says what to do. ``details`` are for programs: the ``reason`` and further fields.
    ``facts`` declares the types of those fields. A field that may be None may be missing.
    """

    code: ClassVar[Code]
    rest_status: ClassVar[int]
    """The HTTP status in the REST API. The default is that of the code. The callable protocol has fewer statuses."""
    reason: ClassVar[str]
    situation: ClassVar[str]
    retryable: ClassVar[str]
    billed: ClassVar[str] = "no"
    facts: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        if "rest_status" not in vars(cls):
            cls.rest_status = cls.code.http_status

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self._details = details

    @property
    def details(self) -> Mapping[str, Any]:
        """The ``details`` of the answer: the stable reason and the facts."""
        return {"reason": self.reason, **self._details}


def charge_of(request: GenerationRequest) -> dict[str, Any]:
    """Return the details that every error about a request has: its id, and the credits that it cost."""
    charge = request.charge
    return {
        "generationRequestId": request.id,
        "cost": charge.cost,
        "refundedCredits": charge.refunded_credits,
        "netCredits": charge.net_credits,
    }


_CHARGE: Mapping[str, Any] = {"generationRequestId": str, "cost": int, "refundedCredits": int, "netCredits": int}


class InvalidInput(ApiError):
    """Invalid input. ``violations`` has one ``{field, message, allowed?}`` for each problem, not only for the first."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_INPUT"
    situation = "malformed or invalid input: `violations` lists every problem"
    retryable = "after correcting the input"
    facts: ClassVar = {"violations": list[Violation]}

    def __init__(self, violations: list[Violation]) -> None:
        summary = "; ".join(f"{violation['field']} {violation['message']}" for violation in violations)
        super().__init__(f"Invalid input: {summary}.", violations=violations)


class Unauthenticated(ApiError):
    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"
    situation = "no token or API key, or one that is invalid, expired or revoked"
    retryable = "after signing in"


class AppCheckRequired(ApiError):
    code = Code.UNAUTHENTICATED
    reason = "APP_CHECK_REQUIRED"
    situation = "no valid App Check token, where the project requires one"
    retryable = "from your app"


class PermissionDenied(ApiError):
    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"
    situation = "another user's `userId`, or a function for admins"
    retryable = "no"


class ScopeMissing(ApiError):
    code = Code.PERMISSION_DENIED
    reason = "SCOPE_MISSING"
    situation = "an API key without the scope of this function, or a function that no key can call"
    retryable = "with another key, or signed in"


class EmailNotVerified(ApiError):
    code = Code.PERMISSION_DENIED
    reason = "EMAIL_NOT_VERIFIED"
    situation = "spending credits from an account without a verified e-mail address or phone number"
    retryable = "after verifying one"


class UserNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "USER_NOT_FOUND"
    situation = "no such user"
    retryable = "no"
    facts: ClassVar = {"userId": str}


class AccountLost(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "ACCOUNT_LOST"
    situation = "the user's document was deleted, and the credit history is still there"
    retryable = "after the operator has restored the account"
    facts: ClassVar = {"userId": str}


class AccountDeleted(ApiError):
    code = Code.FAILED_PRECONDITION
    rest_status = 410
    reason = "ACCOUNT_DELETED"
    situation = "the account is being deleted, or was deleted"
    retryable = "no"
    facts: ClassVar = {"userId": str}


class ExportNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "EXPORT_NOT_FOUND"
    situation = "no export of this account, or one whose files were deleted"
    retryable = "after `exportAccount`"
    facts: ClassVar = {"userId": str}


class RequestNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "REQUEST_NOT_FOUND"
    situation = "no such generation request, or another user's"
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
    situation = "no such webhook delivery, or another user's"
    retryable = "no"
    facts: ClassVar = {"deliveryId": str}


class EndpointNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "ENDPOINT_NOT_FOUND"
    situation = "no such webhook endpoint, or another user's"
    retryable = "no"
    facts: ClassVar = {"endpointId": str}


class TooManyEndpoints(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_ENDPOINTS"
    situation = "creating one more webhook endpoint than a user can have: `maxEndpoints`"
    retryable = "after deleting one"
    facts: ClassVar = {"maxEndpoints": int}


class ApiKeyNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "API_KEY_NOT_FOUND"
    situation = "no such API key, or another user's"
    retryable = "no"
    facts: ClassVar = {"keyId": str}


class TooManyApiKeys(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_API_KEYS"
    situation = "too many active API keys of this user: `limit`"
    retryable = "after revoking one"
    facts: ClassVar = {"limit": int}


class GrantLimitReached(ApiError):
    code = Code.RESOURCE_EXHAUSTED
    reason = "GRANT_LIMIT_REACHED"
    situation = "an API key may not grant so many credits today: `creditsLeft`, `retryAfterSeconds`"
    retryable = "after that time, or with fewer credits"
    facts: ClassVar = {"creditsLeft": int, "retryAfterSeconds": int}


class OptionNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "OPTION_NOT_FOUND"
    situation = "no such option in the catalog"
    retryable = "no"
    facts: ClassVar = {"kind": str, "id": str}


class OptionChanged(ApiError):
    code = Code.ABORTED
    reason = "OPTION_CHANGED"
    situation = "changing an option of the catalog that someone else has changed since"
    retryable = "with the new version, after looking at the option again"
    facts: ClassVar = {"kind": str, "id": str}


class PaymentsUnavailable(ApiError):
    code = Code.FAILED_PRECONDITION
    rest_status = 409
    reason = "PAYMENTS_UNAVAILABLE"
    situation = "credits are not for sale here, or the payment provider refuses the call"
    retryable = "after the operator has corrected it"


class PackageNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "PACKAGE_NOT_FOUND"
    situation = "no such package on sale"
    retryable = "with another package"
    facts: ClassVar = {"package": str}


class PurchaseNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "PURCHASE_NOT_FOUND"
    situation = "no such purchase, or another user's"
    retryable = "no"
    facts: ClassVar = {"purchaseId": str}


class TooManyPurchases(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_PURCHASES"
    situation = "too many open purchases of this user: `maxPurchases`"
    retryable = "after paying one, or a day later"
    facts: ClassVar = {"maxPurchases": int}


class TooManyUncollected(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "TOO_MANY_UNCOLLECTED"
    situation = (
        "a purchase was refunded or disputed, and its user owes credits for too many others to record it: "
        "`purchasesOwedFor`"
    )
    retryable = "after the user's next purchase, which settles what is owed"
    facts: ClassVar = {"purchasesOwedFor": int}


class RouteNotFound(ApiError):
    code = Code.NOT_FOUND
    reason = "ROUTE_NOT_FOUND"
    situation = "REST: no such path"
    retryable = "no"


class MethodNotAllowed(ApiError):
    code = Code.INVALID_ARGUMENT
    rest_status = 405
    reason = "METHOD_NOT_ALLOWED"
    situation = "REST: a path without this method: the `allowed` methods"
    retryable = "no"
    facts: ClassVar = {"allowed": list[str]}


class RateLimited(ApiError):
    code = Code.RESOURCE_EXHAUSTED
    reason = "RATE_LIMITED"
    situation = (
        "too many calls, new requests, purchases or resent webhooks of this user in a short time: `retryAfterSeconds`"
    )
    retryable = "after that time"
    facts: ClassVar = {"retryAfterSeconds": int}


class TooManyRunning(ApiError):
    code = Code.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_RUNNING"
    situation = (
        "too many unfinished requests of this user, canceled ones whose model still runs included: `runningRequests`, "
        "`retryAfterSeconds`"
    )
    retryable = "when one of them has ended; look after that time"
    facts: ClassVar = {"runningRequests": int, "retryAfterSeconds": int}


class PriceTooHigh(ApiError):
    code = Code.FAILED_PRECONDITION
    rest_status = 409
    reason = "PRICE_TOO_HIGH"
    situation = "the size costs more than the `maxCredits` of the call: `requiredCredits`, `maxCredits`"
    retryable = "after accepting the price"
    facts: ClassVar = {"requiredCredits": int, "maxCredits": int}


class InsufficientCredits(ApiError):
    code = Code.FAILED_PRECONDITION
    rest_status = 402
    reason = "INSUFFICIENT_CREDITS"
    situation = "balance too small: `requiredCredits`, `currentCredits`"
    retryable = "after adding credits"
    facts: ClassVar = {"requiredCredits": int, "currentCredits": int}


_REFUND: Mapping[str, Any] = {**_CHARGE, "currentCredits": int}


class _Replayed:
    """Overrides the attributes of an error for its replay, in the same call with the same key.

    A replay is a FAILED_PRECONDITION, because client libraries do not retry it.
    """

    code = Code.FAILED_PRECONDITION
    situation = "the same call again: same details, with `replayed` and the `currentCredits` of now"
    retryable = "no, use another key for a new request"
    facts: ClassVar[Mapping[str, Any]] = {**_CHARGE, "currentCredits": int | None, "replayed": Literal[True]}


class GenerationFailed(ApiError):
    code = Code.UNAVAILABLE
    reason = "GENERATION_FAILED"
    situation = (
        "the model failed: `generationRequestId`, `cost`, `refundedCredits`, `netCredits`, and `currentCredits` after "
        "the refund"
    )
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class GenerationFailedBefore(_Replayed, GenerationFailed):
    pass


class GenerationTimeout(ApiError):
    code = Code.DEADLINE_EXCEEDED
    reason = "GENERATION_TIMEOUT"
    situation = "the model took too long: same details"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class GenerationTimeoutBefore(_Replayed, GenerationTimeout):
    pass


class ContentRefused(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "CONTENT_REFUSED"
    situation = "the model's content policy forbids the image: same details"
    retryable = "with another prompt"
    billed = "refunded"
    facts = _REFUND


class ContentRefusedBefore(_Replayed, ContentRefused):
    pass


class ModelUnavailable(ApiError):
    code = Code.UNAVAILABLE
    reason = "MODEL_UNAVAILABLE"
    situation = "the model cannot run until the operator corrects its configuration: same details"
    retryable = "with another model"
    billed = "refunded"
    facts = _REFUND


class ModelUnavailableBefore(_Replayed, ModelUnavailable):
    pass


class ImageNotStored(ApiError):
    code = Code.UNAVAILABLE
    reason = "IMAGE_NOT_STORED"
    situation = "the image could not be stored: same details"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class ImageNotStoredBefore(_Replayed, ImageNotStored):
    pass


class GenerationAbandoned(ApiError):
    code = Code.UNAVAILABLE
    reason = "ABANDONED"
    situation = "the process that ran the request died: same details"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class GenerationAbandonedBefore(_Replayed, GenerationAbandoned):
    pass


class GenerationCanceled(ApiError):
    code = Code.CANCELLED
    reason = "CANCELED"
    situation = "the request was canceled during the call: same details"
    retryable = "yes, as a new request"
    billed = "refunded"
    facts = _REFUND


class GenerationCanceledBefore(_Replayed, GenerationCanceled):
    pass


class RequestEnded(ApiError):
    code = Code.FAILED_PRECONDITION
    rest_status = 409
    reason = "REQUEST_ENDED"
    situation = (
        "canceling a request that has completed or failed: its `status`, `cost`, `refundedCredits` and `netCredits`"
    )
    retryable = "no"
    facts: ClassVar = {**_CHARGE, "status": str}


class NoStoredImage(ApiError):
    code = Code.FAILED_PRECONDITION
    reason = "NO_STORED_IMAGE"
    situation = (
        "replacing the URLs of an image that is not stored here, or not made yet: its `cost`, `refundedCredits` and "
        "`netCredits`"
    )
    retryable = "no"
    facts: ClassVar = _CHARGE


class TooManyCanceled(ApiError):
    code = Code.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_CANCELED"
    situation = (
        "canceling a request whose model runs, after too many others: the request goes on; `generationRequestId`, "
        "`cost`, `refundedCredits`, `netCredits`, `retryAfterSeconds`"
    )
    retryable = "after that time"
    billed = "yes, or refunded if the model fails"
    facts: ClassVar = {**_CHARGE, "retryAfterSeconds": int}


class IdempotencyMismatch(ApiError):
    code = Code.ALREADY_EXISTS
    rest_status = 422
    reason = "IDEMPOTENCY_MISMATCH"
    situation = (
        "this `idempotencyKey` was used before with another payload: the `generationRequestId`, `cost`, "
        "`refundedCredits` and `netCredits` of the earlier request"
    )
    retryable = "no, use another key"
    facts: ClassVar = {name: type | None for name, type in _CHARGE.items()}  # a grant has none of them


class RequestInProgress(ApiError):
    code = Code.ABORTED
    reason = "REQUEST_IN_PROGRESS"
    situation = (
        "the request of this `idempotencyKey` is still running: its `generationRequestId`, `cost`, `refundedCredits` "
        "and `netCredits`"
    )
    retryable = "yes, with the same key"
    billed = "once"
    facts = _CHARGE


class Contention(ApiError):
    code = Code.ABORTED
    reason = "CONTENTION"
    situation = "too many simultaneous requests of this user"
    retryable = "yes"


class SettlementPending(ApiError):
    code = Code.UNAVAILABLE
    reason = "SETTLEMENT_PENDING"
    situation = (
        "the outcome could not be recorded: `generationRequestId`, `deductedCredits`, `cost`, `refundedCredits`, "
        "`netCredits`"
    )
    retryable = "yes, with the same key, to learn the outcome"
    billed = "yes, or refunded later"
    facts: ClassVar = {**_CHARGE, "deductedCredits": int}


class ServiceUnavailable(ApiError):
    code = Code.UNAVAILABLE
    reason = "SERVICE_UNAVAILABLE"
    situation = "the database or another service cannot be reached, a provider hangs, or the catalog is empty"
    retryable = "yes, with the same key"
    billed = "no, unless it has a `generationRequestId`: then perhaps, once"
    facts: ClassVar = {"generationRequestId": str | None}


class Internal(ApiError):
    """An unexpected exception. The caller learns only the correlation id, which finds the traceback in the log."""

    code = Code.INTERNAL
    reason = "INTERNAL"
    situation = "a bug: `correlationId`"
    retryable = "no, report the correlation id"
    billed = "perhaps, see the user's transactions"
    facts: ClassVar = {"correlationId": str}

    def __init__(self, correlation_id: str) -> None:
        super().__init__(
            f"An unexpected error occurred. Report it with correlation id {correlation_id}.",
            correlationId=correlation_id,
        )

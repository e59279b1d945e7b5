"""Compares the answer to each call with the final state of the database."""

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, replace

from imagegen.domain.generation import GenerationRequest, Mode, Order, Status
from imagegen.domain.webhooks import Delivery
from imagegen.errors import ApiError
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.services.generations.cancellation import Canceled
from imagegen.services.generations.create import Created
from simulation.calls import Call, Cancel, Resend
from simulation.checks import Requests, Violation, reserved_by


def outcome_of(call: Call) -> str:
    """Return the outcome of a call: the kind of its result, the reason of its error, or GAVE UP."""
    outcome = call.outcome
    if isinstance(call, (Cancel, Resend)) and isinstance(outcome, (CommitRefused, DatabaseUnavailable, OutcomeUnknown)):
        return "GAVE UP"
    if isinstance(outcome, Canceled):
        return "CANCELED"
    if isinstance(outcome, Created):
        return "QUEUED" if outcome.request.mode is Mode.ASYNC else "IMAGE"
    if isinstance(outcome, Delivery):
        return "RESENT"
    return outcome.reason if isinstance(outcome, ApiError) else repr(outcome)


def is_final(call: Call) -> bool:
    """Return whether the answer to the call states the outcome of its request, or that the request is queued."""
    return outcome_of(call) in {
        "IMAGE",
        "QUEUED",
        *(reason for reason, check in _ERROR_CHECKS.items() if check is _check_refund),
    }


def wrong_answers(call: Call, requests: Requests) -> Iterator[Violation]:
    """Yield a violation for each contradiction between the answer to a call and the database."""
    for contradiction in _contradictions(call, requests):
        yield Violation("TRUTH", f"{call.name} got {outcome_of(call)}, but {contradiction}")


def needless_refusals(calls: Iterable[Call], requests: Requests, late_callers: Set[str]) -> Iterator[Violation]:
    """Yield the calls that were refused or abandoned, in a run without faults.

    ``late_callers`` are the calls whose model answered after the lease had expired. They may be abandoned.
    """
    for call in calls:
        refused = outcome_of(call) in ("CONTENTION", "SERVICE_UNAVAILABLE", "SETTLEMENT_PENDING")
        abandoned = outcome_of(call) == "ABANDONED" and reserved_by(call, requests) and call.name not in late_callers
        if refused or abandoned:
            yield Violation("PROGRESS", f"{call.name} got {outcome_of(call)} for no reason")


def _contradictions(call: Call, requests: Requests) -> Iterator[str]:
    outcome = call.outcome
    reserved = reserved_by(call, requests)
    if len(reserved) > 1:
        yield f"the call reserved {len(reserved)} requests"
    if reserved and call.order.is_too_expensive:
        yield f"the call accepted a cost of {call.order.max_credits}, and reserved {reserved[0]}"
    if outcome_of(call) == "GAVE UP":
        return
    if isinstance(outcome, Canceled):
        yield from _check_canceled(outcome.request, requests)
    elif isinstance(outcome, Created):
        check = _check_queued if outcome.request.mode is Mode.ASYNC else _check_image
        yield from check(call, outcome.request, requests)
    elif isinstance(outcome, Delivery):
        yield from _check_resent(call, outcome, requests)
    elif isinstance(outcome, ApiError) and outcome.reason in _ERROR_CHECKS:
        request = requests.get(outcome.details.get("generationRequestId", ""))
        yield from _ERROR_CHECKS[outcome.reason](ErrorAnswer(call, outcome, request, reserved))
    elif outcome is not None or call.process is None or not call.process.crashed:
        yield "it is not an expected outcome"


def _check_image(call: Call, image: GenerationRequest, requests: Requests) -> Iterator[str]:
    if image.status is not Status.COMPLETED or not image.image_url:
        yield f"the request has no image: {image}"
    if requests.get(image.id) != image:
        yield f"the database has {requests.get(image.id)}"
    yield from _check_payload(call, image)


def _check_queued(call: Call, request: GenerationRequest, requests: Requests) -> Iterator[str]:
    if request.id not in requests:
        yield f"the database has no request {request.id}"
    yield from _check_payload(call, request)


def _check_canceled(canceled: GenerationRequest, requests: Requests) -> Iterator[str]:
    found = requests.get(canceled.id)
    # Its lease ends with its run, and what the run left is deleted a day later.
    same = {"lease_expires_at": canceled.lease_expires_at, "delete_images_at": canceled.delete_images_at}
    ended = found and replace(found, **same)  # type: ignore[arg-type]
    if canceled.status is not Status.CANCELED or ended != canceled:
        yield f"the database has {found}"
    if canceled.failure is None or canceled.failure.refunded_credits != canceled.cost:
        yield f"its failure is {canceled.failure}"


def _check_resent(call: Call, delivery: Delivery, requests: Requests) -> Iterator[str]:
    request = requests.get(delivery.generation_request_id)
    urls = [] if request is None else [request.webhook_url, *(endpoint.url for endpoint in request.webhook_endpoints)]
    if request is None or request.id != call.request_id or delivery.url not in urls:
        yield f"the database has {request}"
    assert call.began_at is not None, "an answered call has begun"
    if not delivery.is_pending and delivery.attempts and delivery.attempts[-1].at < call.began_at:
        yield f"no attempt follows for {delivery}"


@dataclass(frozen=True)
class ErrorAnswer:
    """An error returned to a call, the request that the error names, and the requests that the call reserved."""

    call: Call
    error: ApiError
    request: GenerationRequest | None
    reserved: list[GenerationRequest]


def _check_request_ended(answer: ErrorAnswer) -> Iterator[str]:
    status = answer.error.details["status"]
    if answer.request is None or answer.request.status.value != status or status == Status.CANCELED:
        yield f"the database has {answer.request}"


def _check_too_many_canceled(answer: ErrorAnswer) -> Iterator[str]:
    if answer.request is None or answer.request.status is Status.CANCELED:
        yield f"the database has {answer.request}"


def _check_nothing_reserved(answer: ErrorAnswer) -> Iterator[str]:
    if answer.reserved:
        yield f"the call reserved {answer.reserved[0]}"


def _check_insufficient_credits(answer: ErrorAnswer) -> Iterator[str]:
    yield from _check_nothing_reserved(answer)
    details = answer.error.details
    if not 0 <= details["currentCredits"] < details["requiredCredits"] == answer.call.order.cost:
        yield f"its details are {details}"


def _check_price_too_high(answer: ErrorAnswer) -> Iterator[str]:
    yield from _check_nothing_reserved(answer)
    order, details = answer.call.order, answer.error.details
    if not order.is_too_expensive or (details["requiredCredits"], details["maxCredits"]) != (
        order.cost,
        order.max_credits,
    ):
        yield f"its details are {details}"


def _check_mismatch(answer: ErrorAnswer) -> Iterator[str]:
    yield from _check_nothing_reserved(answer)
    if answer.request is None or _payload(answer.request) == _payload(answer.call.order):
        yield "no other payload was sent with this key"


def _check_in_progress(answer: ErrorAnswer) -> Iterator[str]:
    yield from _check_nothing_reserved(answer)
    if answer.request is None:
        yield "the request that it names does not exist"
    else:
        yield from _check_payload(answer.call, answer.request)


def _check_unavailable(answer: ErrorAnswer) -> Iterator[str]:
    for request in answer.reserved:
        if request.id != answer.error.details.get("generationRequestId"):
            yield f"the call reserved {request}"


def _check_settlement_pending(answer: ErrorAnswer) -> Iterator[str]:
    if answer.request not in answer.reserved:
        yield "the call did not reserve the request that it names"
    elif answer.request and answer.request.cost != answer.error.details["deductedCredits"]:
        yield f"the request cost {answer.request.cost}"


def _check_refund(answer: ErrorAnswer) -> Iterator[str]:
    if answer.request is None or answer.request.failure is None:
        yield f"the database has {answer.request}"
        return
    failure, details = answer.request.failure, answer.error.details
    is_stale = not details.get("replayed") and details.get("currentCredits") != failure.current_credits
    if details["reason"] != failure.reason.value or is_stale:
        yield f"the database has {failure}"
    if failure.refunded_credits != answer.request.cost:
        yield f"the request cost {answer.request.cost}"
    yield from _check_payload(answer.call, answer.request)


def _payload(of: GenerationRequest | Order) -> str | None:
    """Return the payload of a request or of an order, however the call wrote it."""
    return of.fingerprint.canonical


def _check_payload(call: Call, request: GenerationRequest) -> Iterator[str]:
    order = call.order
    if (request.user_id, _payload(request), request.cost) != (order.user_id, _payload(order), order.cost):
        yield f"the call ordered {order.fingerprint} for {order.user_id}"


_ERROR_CHECKS: dict[str, Callable[[ErrorAnswer], Iterator[str]]] = {
    "USER_NOT_FOUND": _check_nothing_reserved,
    "RATE_LIMITED": _check_nothing_reserved,
    "TOO_MANY_RUNNING": _check_nothing_reserved,
    "PRICE_TOO_HIGH": _check_price_too_high,
    "INSUFFICIENT_CREDITS": _check_insufficient_credits,
    "IDEMPOTENCY_MISMATCH": _check_mismatch,
    "REQUEST_IN_PROGRESS": _check_in_progress,
    "CONTENTION": _check_nothing_reserved,
    "SERVICE_UNAVAILABLE": _check_unavailable,
    "SETTLEMENT_PENDING": _check_settlement_pending,
    "GENERATION_FAILED": _check_refund,
    "GENERATION_TIMEOUT": _check_refund,
    "CONTENT_REFUSED": _check_refund,
    "MODEL_UNAVAILABLE": _check_refund,
    "IMAGE_NOT_STORED": _check_refund,
    "ABANDONED": _check_refund,
    "CANCELED": _check_refund,
    "REQUEST_ENDED": _check_request_ended,
    "TOO_MANY_CANCELED": _check_too_many_canceled,
    "REQUEST_NOT_FOUND": _check_nothing_reserved,
    "DELIVERY_NOT_FOUND": _check_nothing_reserved,
}

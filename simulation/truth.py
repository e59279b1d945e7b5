"""What each client was told, held against what the database says in the end."""

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

from imagegen.domain.generation import GenerationRequest, Mode, Status
from imagegen.domain.webhooks import Delivery
from imagegen.errors import ApiError
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from simulation.calls import Call, Cancel, Resend
from simulation.checks import Requests, Violation, own


def told(call: Call) -> str:
    """What a call ended in, in one word."""
    outcome = call.outcome
    if isinstance(call, (Cancel, Resend)) and isinstance(outcome, (CommitRefused, DatabaseUnavailable, OutcomeUnknown)):
        return "GAVE UP"
    if isinstance(outcome, GenerationRequest):
        return "CANCELED" if isinstance(call, Cancel) else "QUEUED" if outcome.mode is Mode.ASYNC else "IMAGE"
    if isinstance(outcome, Delivery):
        return "RESENT"
    return outcome.reason if isinstance(outcome, ApiError) else repr(outcome)


def is_final(call: Call) -> bool:
    """Whether it was told how its request has ended."""
    return told(call) in {
        "IMAGE",
        "QUEUED",
        *(reason for reason, objections in _TO_ERRORS.items() if objections is _to_refund),
    }


def untruths(call: Call, requests: Requests) -> Iterator[Violation]:
    """Every respect in which what a call was told differs from what the database says."""
    for objection in _objections(call, requests):
        yield Violation("TRUTH", f"{call.name} was told {told(call)}, but {objection}")


def needless_refusals(calls: Iterable[Call], requests: Requests, overstayed: Set[str]) -> Iterator[Violation]:
    """Everyone who was turned away in a world where the database was always there, and whose model kept its time."""
    for call in calls:
        turned_away = told(call) in ("CONTENTION", "SERVICE_UNAVAILABLE", "SETTLEMENT_PENDING")
        robbed = told(call) == "ABANDONED" and own(call, requests) and call.name not in overstayed
        if turned_away or robbed:
            yield Violation("PROGRESS", f"{call.name} was told {told(call)} for no reason")


def _objections(call: Call, requests: Requests) -> Iterator[str]:
    outcome = call.outcome
    reserved = own(call, requests)
    if len(reserved) > 1:
        yield f"it reserved {len(reserved)} requests"
    if told(call) == "GAVE UP":
        return
    if isinstance(outcome, GenerationRequest):
        yield from {"CANCELED": _to_canceled, "QUEUED": _to_queued, "IMAGE": _to_image}[told(call)](
            call, outcome, requests
        )
    elif isinstance(outcome, Delivery):
        yield from _to_resent(call, outcome, requests)
    elif isinstance(outcome, ApiError) and outcome.reason in _TO_ERRORS:
        request = requests.get(outcome.details.get("generationRequestId", ""))
        yield from _TO_ERRORS[outcome.reason](Told(call, outcome, request, reserved))
    elif outcome is not None or call.process is None or not call.process.crashed:
        yield "there is no such answer"


def _to_image(call: Call, image: GenerationRequest, requests: Requests) -> Iterator[str]:
    if image.status is not Status.COMPLETED or not image.image_url:
        yield f"there is none: {image}"
    if requests.get(image.id) != image:
        yield f"the database has {requests.get(image.id)}"
    yield from _to_other_payload(call, image)


def _to_queued(call: Call, request: GenerationRequest, requests: Requests) -> Iterator[str]:
    if request.id not in requests:
        yield "there is no such request"
    yield from _to_other_payload(call, request)


def _to_canceled(call: Call, canceled: GenerationRequest, requests: Requests) -> Iterator[str]:
    if canceled.status is not Status.CANCELED or requests.get(canceled.id) != canceled:
        yield f"the database has {requests.get(canceled.id)}"
    if canceled.failure is None or canceled.failure.refunded_credits != canceled.cost:
        yield f"it says {canceled.failure}"


def _to_resent(call: Call, delivery: Delivery, requests: Requests) -> Iterator[str]:
    request = requests.get(delivery.generation_request_id)
    if request is None or (request.id, request.webhook_url) != (call.request_id, delivery.url):
        yield f"the database has {request}"
    assert call.began_at is not None, "it has been answered"
    if not delivery.is_pending and delivery.attempts[-1].at < call.began_at:
        yield f"nobody is to send {delivery}"


@dataclass(frozen=True)
class Told:
    """An error that a call ended in, the request that it names, and what the call really reserved."""

    call: Call
    error: ApiError
    request: GenerationRequest | None
    reserved: list[GenerationRequest]


def _to_ended(told: Told) -> Iterator[str]:
    if told.request is None or told.request.status.value != told.error.details["status"]:
        yield f"the database has {told.request}"


def _to_nothing_taken(told: Told) -> Iterator[str]:
    if told.reserved:
        yield f"it reserved {told.reserved[0]}"


def _to_insufficient_credits(told: Told) -> Iterator[str]:
    yield from _to_nothing_taken(told)
    details = told.error.details
    if not 0 <= details["currentCredits"] < details["requiredCredits"] == told.call.order.cost:
        yield f"that does not follow from {details}"


def _to_mismatch(told: Told) -> Iterator[str]:
    yield from _to_nothing_taken(told)
    if told.request is None or told.request.fingerprint == told.call.order.fingerprint:
        yield "there was no other payload under this key"


def _to_in_progress(told: Told) -> Iterator[str]:
    yield from _to_nothing_taken(told)
    if told.request is None:
        yield "there is no such request"
    else:
        yield from _to_other_payload(told.call, told.request)


def _to_unavailable(told: Told) -> Iterator[str]:
    for request in told.reserved:
        if request.id != told.error.details.get("generationRequestId"):
            yield f"it reserved {request}"


def _to_pending(told: Told) -> Iterator[str]:
    if told.request not in told.reserved:
        yield "it reserved no such request"
    elif told.request and told.request.cost != told.error.details["deductedCredits"]:
        yield f"it cost {told.request.cost}"


def _to_refund(told: Told) -> Iterator[str]:
    if told.request is None or told.request.failure is None:
        yield f"the database has {told.request}"
        return
    failure, details = told.request.failure, told.error.details
    recorded = (failure.reason.value, failure.refunded_credits, failure.current_credits)
    if recorded != (details["reason"], details.get("refundedCredits"), details.get("currentCredits")):
        yield f"the database has {failure}"
    if failure.refunded_credits != told.request.cost:
        yield f"it had cost {told.request.cost}"
    yield from _to_other_payload(told.call, told.request)


def _to_other_payload(call: Call, request: GenerationRequest) -> Iterator[str]:
    order = call.order
    if (request.user_id, request.fingerprint, request.cost) != (order.user_id, order.fingerprint, order.cost):
        yield f"it asked for {order.fingerprint} of {order.user_id}"


_TO_ERRORS: dict[str, Callable[[Told], Iterator[str]]] = {
    "USER_NOT_FOUND": _to_nothing_taken,
    "RATE_LIMITED": _to_nothing_taken,
    "TOO_MANY_RUNNING": _to_nothing_taken,
    "INSUFFICIENT_CREDITS": _to_insufficient_credits,
    "IDEMPOTENCY_MISMATCH": _to_mismatch,
    "REQUEST_IN_PROGRESS": _to_in_progress,
    "CONTENTION": _to_nothing_taken,
    "SERVICE_UNAVAILABLE": _to_unavailable,
    "SETTLEMENT_PENDING": _to_pending,
    "GENERATION_FAILED": _to_refund,
    "GENERATION_TIMEOUT": _to_refund,
    "ABANDONED": _to_refund,
    "CANCELED": _to_refund,
    "REQUEST_ENDED": _to_ended,
    "REQUEST_NOT_FOUND": _to_nothing_taken,
    "DELIVERY_NOT_FOUND": _to_nothing_taken,
}

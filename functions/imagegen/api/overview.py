"""Tells operators what runs now and what failed recently."""

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AliasPath, BeforeValidator, Field

from imagegen.api.auth import Access
from imagegen.api.fields import integer
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Request, example
from imagegen.api.responses import Described, Number, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain import webhooks
from imagegen.domain.api_keys import Scope

if TYPE_CHECKING:  # imported on first use
    from imagegen.services import overview

HOURS = 24
HOURS_MAX = 168


class GetOperations(Request):
    model_config = example(hours=24)

    hours: Annotated[
        int,
        Field(ge=1, le=HOURS_MAX, description=f"The hours to count the ended requests of. The default is {HOURS}."),
        BeforeValidator(lambda hours: HOURS if hours is None else integer(hours)),
    ] = HOURS


class EndedRequests(Described):
    """The numbers of requests that ended."""

    completed: Number
    failed: Number
    canceled: Number


class ModelOperations(Response):
    model: str
    enabled: bool
    pending: Number
    processing: Number
    completed: Number
    failed: Number
    canceled: Number

    @classmethod
    def of(cls, model: "overview.ModelNow") -> Self:
        ended = dict(EndedRequests.of(model.ended))
        return cls(model=model.name, enabled=model.enabled, pending=model.pending, processing=model.processing, **ended)


class FailedRequest(Described):
    generation_request_id: str = Field(validation_alias="id")
    user_id: str
    model: str
    reason: str = Field(validation_alias=AliasPath("failure", "reason"))
    message: str = Field(validation_alias=AliasPath("failure", "message"))
    created_at: Time
    finished_at: Time | None


class FailingDelivery(Response):
    """A webhook that fails, without its URL, and its last attempt."""

    delivery_id: str
    user_id: str
    generation_request_id: str
    status: webhooks.DeliveryStatus
    created_at: Time
    attempt_count: Number
    next_attempt_at: Time | None
    last_attempt_at: Time | None
    last_status_code: int | None
    last_error: str | None

    @classmethod
    def of(cls, delivery: webhooks.Delivery) -> Self:
        last = delivery.attempts[-1] if delivery.attempts else None
        return cls(
            delivery_id=delivery.id,
            user_id=delivery.user_id,
            generation_request_id=delivery.generation_request_id,
            status=delivery.status,
            created_at=delivery.created_at,
            attempt_count=delivery.attempt_count,
            next_attempt_at=delivery.due_at,
            last_attempt_at=last and last.at,
            last_status_code=last and last.status_code,
            last_error=last and last.error,
        )


class FailingWebhooks(Response):
    failing: Number = Field(description="The number of webhooks that wait for another attempt after a failed one.")
    given_up: Number = Field(description="The number of webhooks that were given up in the last seven days.")
    deliveries: list[FailingDelivery] = Field(
        description="Up to 20 webhooks that were given up, newest first, and up to 20 that fail, most attempts first."
    )


class OperationsNow(Response):
    at: Time
    hours: Number
    since: Time = Field(description="The time from which ended requests are counted.")
    pending: Number
    processing: Number
    oldest_pending_at: Time | None
    oldest_pending_seconds: Number | None
    total: EndedRequests
    models: list[ModelOperations] = Field(description="Up to 30 models of the catalog, also disabled ones.")
    other_models: EndedRequests | None = Field(description="Requests of other models, which may be deleted ones.")
    failures: list[FailedRequest] = Field(description="The latest 20 failed requests, newest first.")
    webhooks: FailingWebhooks

    @classmethod
    def of(cls, now: "overview.Overview", hours: int) -> Self:
        oldest = now.oldest_pending_at
        return cls(
            at=now.at,
            hours=hours,
            since=now.since,
            pending=now.pending,
            processing=now.processing,
            oldest_pending_at=oldest,
            oldest_pending_seconds=None if oldest is None else max(0, int((now.at - oldest).total_seconds())),
            total=EndedRequests.of(now.total),
            models=[ModelOperations.of(model) for model in now.models],
            other_models=EndedRequests.of(now.other) if now.other.total else None,
            failures=[FailedRequest.of(request) for request in now.failures if request.failure is not None],
            webhooks=FailingWebhooks(
                failing=now.failing,
                given_up=now.given_up,
                deliveries=[FailingDelivery.of(delivery) for delivery in now.deliveries],
            ),
        )


@operation(access=Access.ADMIN, scope=Scope.READ)
def get_operations(backend: Backend, call: Call[GetOperations]) -> OperationsNow:
    """Returns what runs now and what failed: requests by model, the latest failures, and webhooks that fail."""
    hours = call.params.hours
    return OperationsNow.of(backend.overview.read(hours), hours)

"""The operations that list and resend webhooks."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from imagegen.api import page_tokens
from imagegen.api.auth import Access
from imagegen.api.fields import PAGE_SIZE_DEFAULT, DocumentId, PageSize
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, Request, example
from imagegen.api.responses import NEXT_PAGE, Described, Milliseconds, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain import webhooks
from imagegen.domain.api_keys import Scope
from imagegen.errors import Contention, DeliveryNotFound
from imagegen.services.pagination import Page

_DELIVERIES_QUERY = ("user_id", "generation_request_id")


class ListWebhookDeliveries(OfUser):
    model_config = example(userId="user-100", pageSize=20)

    generation_request_id: DocumentId | None = None
    page_size: PageSize = PAGE_SIZE_DEFAULT
    after: Annotated[
        tuple[datetime, str] | None,
        page_tokens.position(page_tokens.moment_and_id, *_DELIVERIES_QUERY),
        page_tokens.TOKEN_SCHEMA,
    ] = Field(default=None, alias="pageToken")

    def next_token(self, page: Page[webhooks.Delivery]) -> str | None:
        """Return the token of the page that follows, or None."""
        return page_tokens.after_moment(page_tokens.query_of(vars(self), _DELIVERIES_QUERY), page.next)


class ResendWebhook(Request):
    model_config = example(deliveryId="1aa7461d823928a4c28ea9321b47fa56-completed")

    delivery_id: DocumentId


class DeliveryAttempt(Described):
    """An attempt to send a webhook."""

    at: Time
    duration_ms: Milliseconds = Field(validation_alias="duration")
    status_code: int | None = Field(description="The HTTP status of the receiver's answer.")
    error: str | None = Field(description="The reason why there was no answer.")


class WebhookDelivery(Described):
    """A webhook and its attempts."""

    delivery_id: str = Field(validation_alias="id")
    generation_request_id: str
    type: str
    webhook_url: str = Field(validation_alias="url")
    endpoint_id: str | None = Field(description="The endpoint, unless the request named the URL.")
    receiver_given_up: bool = Field(description="True if its receiver was given up when this webhook failed.")
    status: webhooks.DeliveryStatus
    created_at: Time
    next_attempt_at: Time | None = Field(
        validation_alias="due_at", description="The time of the next attempt, while the webhook is pending."
    )
    attempt_count: int
    attempts: list[DeliveryAttempt] = Field(description="The last 50 attempts, oldest first.")


class WebhookDeliveryList(Response):
    deliveries: list[WebhookDelivery]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListWebhookDeliveries, page: Page[webhooks.Delivery]) -> Self:
        return cls(
            deliveries=[WebhookDelivery.of(delivery) for delivery in page.items],
            next_page_token=params.next_token(page),
        )


@operation(access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_webhook_deliveries(backend: Backend, call: Call[ListWebhookDeliveries]) -> WebhookDeliveryList:
    """Returns a page of the webhooks of a user or of one request, newest first, with their last 50 attempts."""
    params = call.params
    page = backend.deliveries.list(params.user_id, params.generation_request_id, params.page_size, params.after)
    return WebhookDeliveryList.of(params, page)


@operation(DeliveryNotFound, Contention, access=Access.OWNER)
def resend_webhook(backend: Backend, call: Call[ResendWebhook]) -> WebhookDelivery:
    """Resends one of the caller's webhooks immediately, under the same id, and retries it for another three days."""
    return WebhookDelivery.of(backend.deliveries.resend(call.params.delivery_id, call.allows))

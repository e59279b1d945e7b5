"""The operations on webhook endpoints and on the secrets that sign webhooks."""

from typing import Annotated

from pydantic import AliasPath, BeforeValidator, Field

from imagegen.api.auth import Access
from imagegen.api.fields import DocumentId, Flag, WebhookUrl
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, Request, example
from imagegen.api.responses import Described, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.endpoints import EventType
from imagegen.errors import Contention, EndpointNotFound, TooManyEndpoints, UserNotFound
from imagegen.services.webhooks.secrets import Rotation


class GetWebhookSecret(OfUser):
    model_config = example(userId="user-100", webhookUrl="https://hooks.example.com/images")

    webhook_url: WebhookUrl | None = Field(
        default=None, description="A URL of the receiver. Without it, you get a secret for all webhook URLs."
    )
    rotate: Flag = False
    expire_previous: Flag = False


Events = Annotated[
    list[Annotated[EventType, Field(strict=False)]],
    Field(max_length=len(EventType)),
    BeforeValidator(lambda value: [] if value is None else value),
]


class CreateWebhookEndpoint(OfUser):
    model_config = example(userId="user-100", url="https://hooks.example.com/images", events=["generation.completed"])

    url: WebhookUrl
    events: Events = Field(
        default=[],
        description="The types of events that the endpoint gets. Without it, or if it is empty, it gets all.",
    )


class ListWebhookEndpoints(OfUser):
    model_config = example(userId="user-100")


class DeleteWebhookEndpoint(Request):
    model_config = example(endpointId="5f0f6e0dbd3b4a36a6b7a5b9a2e3c1d0")

    endpoint_id: DocumentId


class RotateWebhookEndpointSecret(Request):
    model_config = example(endpointId="5f0f6e0dbd3b4a36a6b7a5b9a2e3c1d0")

    endpoint_id: DocumentId
    expire_previous: Flag = False


class WebhookSecret(Response):
    webhook_secret: str


class WebhookEndpoint(Described):
    """An endpoint, and whether it fails."""

    endpoint_id: str = Field(validation_alias=AliasPath("endpoint", "id"))
    url: str = Field(validation_alias=AliasPath("endpoint", "url"))
    events: list[EventType] = Field(
        validation_alias=AliasPath("endpoint", "events"),
        description="The types of events that the endpoint gets. If it is empty, the endpoint gets all.",
    )
    enabled: bool = Field(validation_alias=AliasPath("endpoint", "enabled"))
    failing_since: Time | None = Field(
        validation_alias=AliasPath("receiver", "failing_since"),
        description="The time of the first webhook that it did not accept, if it has accepted none since.",
    )
    paused_until: Time | None = Field(validation_alias=AliasPath("receiver", "paused_until"))
    given_up_at: Time | None = Field(validation_alias=AliasPath("receiver", "given_up_at"))


class CreatedWebhookEndpoint(Response):
    endpoint: WebhookEndpoint
    webhook_secret: str


class WebhookEndpointList(Response):
    endpoints: list[WebhookEndpoint]


class DeletedWebhookEndpoint(Response):
    endpoint_id: str


@operation(UserNotFound, Contention, access=Access.OWNER)
def get_webhook_secret(backend: Backend, call: Call[GetWebhookSecret]) -> WebhookSecret:
    """Returns the secret that signs the webhooks to a URL. With `rotate`, replaces the secret first.

    The secret before a rotation signs for another day. With `expirePrevious`, it ends at once.
    """
    params, secrets = call.params, backend.webhook_secrets
    rotation = Rotation(params.rotate, params.expire_previous)
    if params.webhook_url is None:
        return WebhookSecret(webhook_secret=secrets.shared(params.user_id, rotation))
    return WebhookSecret(webhook_secret=secrets.of_url(params.user_id, params.webhook_url, rotation))


@operation(UserNotFound, TooManyEndpoints, Contention, access=Access.OWNER)
def create_webhook_endpoint(backend: Backend, call: Call[CreateWebhookEndpoint]) -> CreatedWebhookEndpoint:
    """Creates an endpoint that gets a webhook for each event, or changes and enables the one with the same URL."""
    params = call.params
    made, secret = backend.endpoints.create(params.user_id, params.url, params.events)
    return CreatedWebhookEndpoint(endpoint=WebhookEndpoint.of(made), webhook_secret=secret)


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_webhook_endpoints(backend: Backend, call: Call[ListWebhookEndpoints]) -> WebhookEndpointList:
    """Returns a user's endpoints, and whether they fail."""
    listed = backend.endpoints.list(call.params.user_id)
    return WebhookEndpointList(endpoints=[WebhookEndpoint.of(one) for one in listed])


@operation(EndpointNotFound, UserNotFound, Contention, access=Access.OWNER)
def delete_webhook_endpoint(backend: Backend, call: Call[DeleteWebhookEndpoint]) -> DeletedWebhookEndpoint:
    """Deletes one of the caller's endpoints. Its webhooks that wait are not sent."""
    backend.endpoints.delete(call.params.endpoint_id, call.allows)
    return DeletedWebhookEndpoint(endpoint_id=call.params.endpoint_id)


@operation(EndpointNotFound, UserNotFound, Contention, access=Access.OWNER)
def rotate_webhook_endpoint_secret(backend: Backend, call: Call[RotateWebhookEndpointSecret]) -> WebhookSecret:
    """Replaces the secret of one of the caller's endpoints. The secret before signs for another day.

    With `expirePrevious`, the secret before ends at once.
    """
    rotation = Rotation(rotate=True, expire_previous=call.params.expire_previous)
    secret = backend.endpoints.rotate(call.params.endpoint_id, rotation, call.allows)
    return WebhookSecret(webhook_secret=secret)

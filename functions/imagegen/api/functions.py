"""The operations of the API. Each docstring is published as the description of its function."""

from typing import Any

from imagegen import settings
from imagegen.api import idempotency, requests, responses
from imagegen.api.auth import Access, Caller
from imagegen.api.context import Context
from imagegen.api.operation import Call, operation
from imagegen.api.validation import parse
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.generation import Fingerprint, GenerationRequest, Key
from imagegen.errors import (
    AccountLost,
    ApiKeyNotFound,
    Contention,
    ContentRefused,
    ContentRefusedBefore,
    DeliveryNotFound,
    EndpointNotFound,
    GenerationAbandoned,
    GenerationAbandonedBefore,
    GenerationCanceled,
    GenerationCanceledBefore,
    GenerationFailed,
    GenerationFailedBefore,
    GenerationTimeout,
    GenerationTimeoutBefore,
    GrantLimitReached,
    IdempotencyMismatch,
    ImageNotStored,
    ImageNotStoredBefore,
    InsufficientCredits,
    InvalidInput,
    ModelUnavailable,
    ModelUnavailableBefore,
    NoStoredImage,
    PermissionDenied,
    PriceTooHigh,
    ReportNotFound,
    RequestEnded,
    RequestInProgress,
    RequestNotFound,
    SettlementPending,
    TooManyApiKeys,
    TooManyCanceled,
    TooManyEndpoints,
    TooManyRunning,
    UserNotFound,
)
from imagegen.services.credits.history import OF_REQUESTS
from imagegen.services.generations.queries import not_found
from imagegen.services.webhooks.secrets import Rotation


def _answered_earlier(backend: Backend, call: Call[requests.Repeat]) -> responses.CreatedGenerationRequest | None:
    """Return the stored answer to a repeated call that is no longer valid (for example, its style was withdrawn)."""
    fingerprint = idempotency.fingerprint(call.data, backend.catalogs.current())
    keys = (*_earlier_keys(call), Key(call.params.idempotency_key, fingerprint))
    earlier = backend.generations.repeat(call.params.user_id, *keys)
    return None if earlier is None else responses.CreatedGenerationRequest.of(earlier)


def _earlier_keys(call: Call[Any]) -> tuple[Key, ...]:
    """Return the keys that earlier versions read from this call, with the fingerprints that they gave to it."""
    return tuple(
        Key(key, Fingerprint(idempotency.sent({**call.data, "idempotencyKey": key}))) for key in call.earlier_keys
    )


@operation(
    UserNotFound,
    TooManyRunning,
    PriceTooHigh,
    InsufficientCredits,
    IdempotencyMismatch,
    RequestInProgress,
    Contention,
    GenerationFailed,
    GenerationFailedBefore,
    GenerationTimeout,
    ContentRefused,
    ContentRefusedBefore,
    ModelUnavailable,
    ModelUnavailableBefore,
    ImageNotStored,
    ImageNotStoredBefore,
    GenerationTimeoutBefore,
    GenerationAbandoned,
    GenerationAbandonedBefore,
    GenerationCanceled,
    GenerationCanceledBefore,
    SettlementPending,
    access=Access.OWNER,
    spends=True,
    repeated=_answered_earlier,
    scope=Scope.GENERATE,
)
def create_generation_request(
    backend: Backend, call: Call[requests.CreateGenerationRequest]
) -> responses.CreatedGenerationRequest:
    """Takes the credits, runs the model and returns the URL of the image. Refunds the credits if the model fails.

    In mode async, returns the status as soon as the credits are taken. A task queue runs the model later.
    """
    fingerprint = idempotency.fingerprint(call.data, backend.catalogs.current())
    created = backend.generations.create(call.params.order(fingerprint, _earlier_keys(call), call.params.mode))
    return responses.CreatedGenerationRequest.of(created)


@operation(RequestNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def get_generation_request(
    backend: Backend, call: Call[requests.GetGenerationRequest]
) -> responses.GenerationRequestDetails:
    """Returns all fields of one request."""
    request = backend.requests.get(call.params.generation_request_id)
    if not call.allows(request):
        raise not_found(request.id)
    return responses.GenerationRequestDetails.of(request)


@operation(RequestNotFound, RequestEnded, TooManyCanceled, Contention, access=Access.OWNER, scope=Scope.GENERATE)
def cancel_generation_request(
    backend: Backend, call: Call[requests.CancelGenerationRequest]
) -> responses.CanceledGenerationRequest:
    """Cancels one of the caller's pending or running requests and refunds its credits.

    The number of running requests that a user can cancel in a day is limited.
    """
    canceled = backend.cancellations.cancel(call.params.generation_request_id, call.allows)
    return responses.CanceledGenerationRequest.of(canceled)


@operation(RequestNotFound, NoStoredImage, Contention, access=Access.OWNER, scope=Scope.GENERATE)
def replace_image_urls(backend: Backend, call: Call[requests.ReplaceImageUrls]) -> responses.GenerationRequestDetails:
    """Replaces the URLs of one of the caller's stored images. The old URLs stop working.

    A browser that has opened an old URL may show the image from its cache for up to an hour.
    """
    return responses.GenerationRequestDetails.of(
        backend.image_urls.replace(call.params.generation_request_id, call.allows)
    )


@operation(access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_generation_requests(
    backend: Backend, call: Call[requests.ListGenerationRequests]
) -> responses.GenerationRequestList:
    """Returns a page of a user's requests, newest first. You can filter and count them."""
    params = call.params
    page = backend.requests.list(params.filter, params.page_size, params.after)
    count = backend.requests.count(params.filter) if params.include_total_count else None
    return responses.GenerationRequestList.of(params, page, count)


@operation(UserNotFound, Contention, access=Access.OWNER)
def get_webhook_secret(backend: Backend, call: Call[requests.GetWebhookSecret]) -> responses.WebhookSecret:
    """Returns the secret that signs the webhooks to a URL. With `rotate`, replaces the secret first.

    The secret before a rotation signs for another day. With `expirePrevious`, it ends at once.
    """
    params, secrets = call.params, backend.webhook_secrets
    rotation = Rotation(params.rotate, params.expire_previous)
    if params.webhook_url is None:
        return responses.WebhookSecret(webhook_secret=secrets.shared(params.user_id, rotation))
    return responses.WebhookSecret(webhook_secret=secrets.of_url(params.user_id, params.webhook_url, rotation))


@operation(UserNotFound, TooManyEndpoints, Contention, access=Access.OWNER)
def create_webhook_endpoint(
    backend: Backend, call: Call[requests.CreateWebhookEndpoint]
) -> responses.CreatedWebhookEndpoint:
    """Creates an endpoint that gets a webhook for each event, or changes and enables the one with the same URL."""
    params = call.params
    made, secret = backend.endpoints.create(params.user_id, params.url, params.events)
    return responses.CreatedWebhookEndpoint(endpoint=responses.WebhookEndpoint.of(made), webhook_secret=secret)


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_webhook_endpoints(
    backend: Backend, call: Call[requests.ListWebhookEndpoints]
) -> responses.WebhookEndpointList:
    """Returns a user's endpoints, and whether they fail."""
    listed = backend.endpoints.list(call.params.user_id)
    return responses.WebhookEndpointList(endpoints=[responses.WebhookEndpoint.of(one) for one in listed])


@operation(EndpointNotFound, UserNotFound, Contention, access=Access.OWNER)
def delete_webhook_endpoint(
    backend: Backend, call: Call[requests.DeleteWebhookEndpoint]
) -> responses.DeletedWebhookEndpoint:
    """Deletes one of the caller's endpoints. Its webhooks that wait are not sent."""
    backend.endpoints.delete(call.params.endpoint_id, call.allows)
    return responses.DeletedWebhookEndpoint(endpoint_id=call.params.endpoint_id)


@operation(EndpointNotFound, UserNotFound, Contention, access=Access.OWNER)
def rotate_webhook_endpoint_secret(
    backend: Backend, call: Call[requests.RotateWebhookEndpointSecret]
) -> responses.WebhookSecret:
    """Replaces the secret of one of the caller's endpoints. The secret before signs for another day.

    With `expirePrevious`, the secret before ends at once.
    """
    rotation = Rotation(rotate=True, expire_previous=call.params.expire_previous)
    secret = backend.endpoints.rotate(call.params.endpoint_id, rotation, call.allows)
    return responses.WebhookSecret(webhook_secret=secret)


@operation(access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_webhook_deliveries(
    backend: Backend, call: Call[requests.ListWebhookDeliveries]
) -> responses.WebhookDeliveryList:
    """Returns a page of the webhooks of a user or of one request, newest first, with their last 50 attempts."""
    params = call.params
    page = backend.deliveries.list(params.user_id, params.generation_request_id, params.page_size, params.after)
    return responses.WebhookDeliveryList.of(params, page)


@operation(DeliveryNotFound, Contention, access=Access.OWNER)
def resend_webhook(backend: Backend, call: Call[requests.ResendWebhook]) -> responses.WebhookDelivery:
    """Resends one of the caller's webhooks immediately, under the same id, and retries it for another three days."""
    return responses.WebhookDelivery.of(backend.deliveries.resend(call.params.delivery_id, call.allows))


@operation(access=Access.SIGNED_IN, scope=Scope.READ)
def get_catalog(backend: Backend, call: Call[requests.Nothing]) -> responses.Catalog:
    """Returns the models, styles, colors and sizes on offer, and the price of each size in credits."""
    return responses.Catalog.of(backend.catalogs.current())


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def get_user_credits(backend: Backend, call: Call[requests.GetUserCredits]) -> responses.UserCredits:
    """Returns a user's balance and a page of the user's deductions and refunds, newest first."""
    params = call.params
    history = backend.histories.page(params.user_id, params.page_size, params.before_seq, OF_REQUESTS)
    return responses.UserCredits.of(params, history)


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_credit_transactions(
    backend: Backend, call: Call[requests.ListCreditTransactions]
) -> responses.CreditTransactionList:
    """Returns a page of all changes of a user's balance, newest first, with the balance after each.

    You can filter them by type.
    """
    params = call.params
    types = None if params.type is None else (params.type,)
    history = backend.histories.page(params.user_id, params.page_size, params.before_seq, types)
    return responses.CreditTransactionList.of(params, history)


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def get_credit_balance(backend: Backend, call: Call[requests.GetCreditBalance]) -> responses.CreditBalance:
    """Returns a user's trial and paid credits, and the lifetime totals granted, spent, refunded and corrected."""
    return responses.CreditBalance.of(backend.accounts.wallet(call.params.user_id))


@operation(AccountLost, Contention, access=Access.OWNER)
def register_user(backend: Backend, call: Call[requests.RegisterUser]) -> responses.RegisteredUser:
    """Opens the caller's account, or returns the existing account. Grants the trial credits, once for each person.

    If the caller's e-mail address is not verified yet, a call after its verification grants them.
    """
    user_id, caller = call.params.user_id, call.caller
    wallet = backend.accounts.register(user_id, caller.profile, caller.person(user_id), settings.trial_credits())
    return responses.RegisteredUser.of(wallet)


@operation(UserNotFound, GrantLimitReached, IdempotencyMismatch, Contention, access=Access.ADMIN, scope=Scope.GRANT)
def grant_credits(backend: Backend, call: Call[requests.GrantCredits]) -> responses.GrantedCredits:
    """Adds credits to a user's account, once per idempotency key."""
    admin, params = call.caller.uid, call.params
    assert admin is not None, "every admin is signed in"
    grant = backend.accounts.grant(
        params.user_id,
        params.bucket,
        params.credits,
        reason=params.reason,
        key=params.idempotency_key,
        granted_by=admin,
        api_key_id=None if call.caller.api_key is None else call.caller.api_key.id,
        earlier_keys=call.earlier_keys,
    )
    return responses.GrantedCredits.of(grant)


@operation(UserNotFound, TooManyApiKeys, Contention, access=Access.OWNER)
def create_api_key(backend: Backend, call: Call[requests.CreateApiKey]) -> responses.CreatedApiKey:
    """Creates an API key for the caller's servers. The key is shown only in this answer."""
    params = call.params
    if Scope.GRANT in params.scopes and not call.caller.is_admin:
        raise PermissionDenied("Only admins can create API keys that grant credits.")
    secret, key = backend.api_keys.create(params.user_id, params.name, params.scopes, params.grant_credits_per_day or 0)
    return responses.CreatedApiKey.of_secret(secret, key)


@operation(access=Access.OWNER)
def list_api_keys(backend: Backend, call: Call[requests.ListApiKeys]) -> responses.ApiKeyList:
    """Returns a user's active API keys, newest first, without the keys themselves."""
    return responses.ApiKeyList(
        api_keys=[responses.ApiKey.of(key) for key in backend.api_keys.list(call.params.user_id)]
    )


@operation(ApiKeyNotFound, Contention, access=Access.OWNER)
def revoke_api_key(backend: Backend, call: Call[requests.RevokeApiKey]) -> responses.RevokedApiKey:
    """Revokes one of the caller's API keys. From then on, calls with this key are refused."""
    return responses.RevokedApiKey.of(backend.api_keys.revoke(call.params.key_id, call.allows))


@operation(ReportNotFound, access=Access.ADMIN, scope=Scope.READ)
def get_weekly_report(backend: Backend, call: Call[requests.GetWeeklyReport]) -> responses.WeeklyReport:
    """Returns the stored report of a week."""
    report = backend.reports.get(call.params.week)
    if report is None:
        message = f"There is no report of {call.params.week} yet. Call runWeeklyReport first."
        raise ReportNotFound(message, week=str(call.params.week))
    return responses.WeeklyReport.of(report)


@operation(access=Access.ADMIN, scope=Scope.READ)
def list_weekly_reports(backend: Backend, call: Call[requests.ListWeeklyReports]) -> responses.WeeklyReportList:
    """Returns a page of the stored reports, newest first."""
    params = call.params
    return responses.WeeklyReportList.of(params, backend.reports.list(params.page_size, params.before))


@operation(Contention, access=Access.ADMIN)
def run_weekly_report(backend: Backend, call: Call[requests.RunWeeklyReport]) -> responses.WeeklyReport:
    """Runs the report of a week that is over, for the first time or again. Its `revisions` list the changes."""
    from imagegen.reports.weekly import WeekNotOver

    try:
        return responses.WeeklyReport.of(backend.reports.run(call.params.week))
    except WeekNotOver:
        raise InvalidInput([{"field": "week", "message": "is not over yet"}]) from None


def run_task(backend: Backend, data: Any) -> None:
    """Run the request that a task names. Raises InvalidInput and the errors of ``Worker.run``."""
    task = parse(requests.RunTask, data, Context(Caller(), backend.catalogs.current))
    backend.worker.run(task.generation_request_id, task.ticket)


def deliver_webhook(backend: Backend, data: Any) -> None:
    """Send the webhook that a task names. Raises InvalidInput and the errors of ``DeliveryWorker.deliver``.

    The task carries no ticket. A forged task can only cause an attempt that is due now and that has a task of its own.
    """
    task = parse(requests.DeliverWebhook, data, Context(Caller(), backend.catalogs.current))
    backend.delivery_worker.deliver(task.delivery_id, task.attempt, _event_data)


def _event_data(request: GenerationRequest) -> dict[str, Any]:
    """Return the data of a webhook's event: the fields that getGenerationRequest returns."""
    return responses.GenerationRequestDetails.of(request).wire()

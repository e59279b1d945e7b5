"""Each function of the API: who may, which service answers, in which form. Their docstrings are its documentation."""

from typing import Any

from imagegen import settings
from imagegen.api import requests, responses
from imagegen.api.auth import Access, Caller
from imagegen.api.context import Context
from imagegen.api.operation import Call, operation
from imagegen.api.validation import parse
from imagegen.bootstrap import Backend
from imagegen.domain.generation import GenerationRequest
from imagegen.errors import (
    Contention,
    DeliveryNotFound,
    GenerationAbandoned,
    GenerationCanceled,
    GenerationFailed,
    GenerationTimeout,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidInput,
    RateLimited,
    ReportNotFound,
    RequestEnded,
    RequestInProgress,
    RequestNotFound,
    SettlementPending,
    TooManyRunning,
    UserNotFound,
)
from imagegen.reports.weekly import WeekNotOver
from imagegen.services.generations.queries import not_found


def _answered_earlier(backend: Backend, call: Call[requests.Repeat]) -> responses.CreatedGenerationRequest | None:
    """Return the stored answer to a repeated call that is no longer valid (for example, its style was withdrawn)."""
    repeat = call.params
    earlier = backend.generations.repeat(repeat.user_id, repeat.idempotency_key, requests.fingerprint(call.data))
    return None if earlier is None else responses.CreatedGenerationRequest.of(earlier)


@operation(
    UserNotFound,
    RateLimited,
    TooManyRunning,
    InsufficientCredits,
    IdempotencyMismatch,
    RequestInProgress,
    Contention,
    GenerationFailed,
    GenerationTimeout,
    GenerationAbandoned,
    GenerationCanceled,
    SettlementPending,
    access=Access.OWNER,
    spends=True,
    repeated=_answered_earlier,
)
def create_generation_request(
    backend: Backend, call: Call[requests.CreateGenerationRequest]
) -> responses.CreatedGenerationRequest:
    """Takes the credits that the size costs, runs the model, and delivers the image or gives the credits back.

    In mode async it answers as soon as the credits are taken, with the status; the rest is done by a queue.
    """
    created = backend.generations.create(call.params.order(requests.fingerprint(call.data)))
    return responses.CreatedGenerationRequest.of(created)


@operation(RequestNotFound, access=Access.OWNER_OR_ADMIN)
def get_generation_request(
    backend: Backend, call: Call[requests.GetGenerationRequest]
) -> responses.GenerationRequestDetails:
    """Returns everything about one request."""
    request = backend.requests.get(call.params.generation_request_id)
    if not call.allows(request):
        raise not_found(request.id)
    return responses.GenerationRequestDetails.of(request)


@operation(RequestNotFound, RequestEnded, Contention, access=Access.OWNER)
def cancel_generation_request(
    backend: Backend, call: Call[requests.CancelGenerationRequest]
) -> responses.CanceledGenerationRequest:
    """Cancels a request of the caller's that has not ended, and gives its credits back."""
    canceled = backend.cancellations.cancel(call.params.generation_request_id, call.allows)
    return responses.CanceledGenerationRequest.of(canceled)


@operation(access=Access.OWNER_OR_ADMIN)
def list_generation_requests(
    backend: Backend, call: Call[requests.ListGenerationRequests]
) -> responses.GenerationRequestList:
    """A user's requests, newest first, by page; filtered by status, options and time; counted if asked for."""
    params = call.params
    page = backend.requests.list(params.filter, params.page_size, params.after)
    count = backend.requests.count(params.filter) if params.include_total_count else None
    return responses.GenerationRequestList.of(params, page, count)


@operation(UserNotFound, Contention, access=Access.OWNER)
def get_webhook_secret(backend: Backend, call: Call[requests.GetWebhookSecret]) -> responses.WebhookSecret:
    """Returns the secret that signs a user's webhooks, or replaces it with another one."""
    secrets = backend.webhook_secrets
    make = secrets.rotate if call.params.rotate else secrets.current
    return responses.WebhookSecret(webhook_secret=make(call.params.user_id))


@operation(access=Access.OWNER_OR_ADMIN)
def list_webhook_deliveries(
    backend: Backend, call: Call[requests.ListWebhookDeliveries]
) -> responses.WebhookDeliveryList:
    """A user's webhooks, or a request's, newest first, by page, with what became of their last 50 attempts."""
    params = call.params
    page = backend.deliveries.list(params.user_id, params.generation_request_id, params.page_size, params.after)
    return responses.WebhookDeliveryList.of(params, page)


@operation(DeliveryNotFound, Contention, access=Access.OWNER)
def resend_webhook(backend: Backend, call: Call[requests.ResendWebhook]) -> responses.WebhookDelivery:
    """Sends a webhook of the caller's now, under the same id, whatever has become of it; and for another day."""
    return responses.WebhookDelivery.of(backend.deliveries.resend(call.params.delivery_id, call.allows))


@operation(access=Access.SIGNED_IN)
def get_catalog(backend: Backend, call: Call[requests.Nothing]) -> responses.Catalog:
    """The models, styles, colors and sizes on offer, and what each size costs."""
    return responses.Catalog.of(backend.catalogs.current())


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN)
def get_user_credits(backend: Backend, call: Call[requests.GetUserCredits]) -> responses.UserCredits:
    """A user's balance, and the deductions and refunds behind it, newest first, by page."""
    params = call.params
    return responses.UserCredits.of(params, backend.histories.page(params.user_id, params.page_size, params.before_seq))


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN)
def get_credit_balance(backend: Backend, call: Call[requests.GetCreditBalance]) -> responses.CreditBalance:
    """A user's credits by kind, and what they were granted, have spent and were refunded in all."""
    return responses.CreditBalance.of(backend.accounts.wallet(call.params.user_id))


@operation(Contention, access=Access.OWNER)
def register_user(backend: Backend, call: Call[requests.RegisterUser]) -> responses.RegisteredUser:
    """Opens the caller's account with trial credits, or answers with the one that there is."""
    wallet = backend.accounts.register(call.params.user_id, call.caller.profile, settings.welcome_credits())
    return responses.RegisteredUser.of(wallet)


@operation(UserNotFound, IdempotencyMismatch, Contention, access=Access.ADMIN)
def grant_credits(backend: Backend, call: Call[requests.GrantCredits]) -> responses.GrantedCredits:
    """Adds credits to a user's account, once under its idempotency key."""
    admin, params = call.caller.uid, call.params
    assert admin is not None, "every admin is signed in"
    grant = backend.accounts.grant(
        params.user_id,
        params.bucket,
        params.credits,
        reason=params.reason,
        key=params.idempotency_key,
        granted_by=admin,
    )
    return responses.GrantedCredits.of(grant)


@operation(ReportNotFound, access=Access.ADMIN)
def get_weekly_report(backend: Backend, call: Call[requests.GetWeeklyReport]) -> responses.WeeklyReport:
    """Returns the stored report of a week."""
    report = backend.reports.get(call.params.week)
    if report is None:
        raise ReportNotFound(f"There is no report of {call.params.week}. Run it first.", week=str(call.params.week))
    return responses.WeeklyReport.of(report)


@operation(access=Access.ADMIN)
def list_weekly_reports(backend: Backend, call: Call[requests.ListWeeklyReports]) -> responses.WeeklyReportList:
    """Returns the stored reports, newest first, by page."""
    params = call.params
    return responses.WeeklyReportList.of(params, backend.reports.list(params.page_size, params.before))


@operation(Contention, access=Access.ADMIN)
def run_weekly_report(backend: Backend, call: Call[requests.RunWeeklyReport]) -> responses.WeeklyReport:
    """Reports a week that is over, again or for the first time; its revisions say what changed."""
    try:
        return responses.WeeklyReport.of(backend.reports.run(call.params.week))
    except WeekNotOver:
        raise InvalidInput([{"field": "week", "message": "is not over yet"}]) from None


def run_task(backend: Backend, data: Any) -> None:
    """Runs the request that a queue has delivered. Raises what ``Worker.run`` raises, and InvalidInput."""
    task = parse(requests.RunTask, data, Context(Caller(), backend.catalogs.current))
    backend.worker.run(task.generation_request_id, task.ticket)


def deliver_webhook(backend: Backend, data: Any) -> None:
    """Makes the attempt that a queue has delivered. Raises what ``DeliveryWorker.deliver`` raises, and InvalidInput.

    It needs no ticket: whoever calls it can have sent what is due now, which a task is about to do anyway.
    """
    task = parse(requests.DeliverWebhook, data, Context(Caller(), backend.catalogs.current))
    backend.delivery_worker.deliver(task.delivery_id, task.attempt, _described)


def _described(request: GenerationRequest) -> dict[str, Any]:
    return responses.GenerationRequestDetails.of(request).wire()

"""The deployed functions. The package ``imagegen`` implements them."""

import gc

gc.disable()  # while the modules are imported, collections find no garbage, and take a tenth of the time

from typing import TYPE_CHECKING, Any

from imagegen import bootstrap, settings
from imagegen.api.firebase import (
    callable_function,
    http_function,
    rest_function,
    scheduled_function,
    set_options,
    task_function,
)

if TYPE_CHECKING:
    from firebase_functions.scheduler_fn import ScheduledEvent
    from flask import Request, Response

# concurrency equals THREADS in .env. With more calls than threads, calls would wait inside an instance.
# timeout_sec is longer than a model's 60 s plus reserving and settling, because a call that is cut off stays unsettled.
set_options(region="us-central1", memory=512, cpu=1, concurrency=16, max_instances=20, timeout_sec=300)

# A queue retries a failed task for as long as a request may wait, so no task is gone before its request has ended. A
# task whose request has ended succeeds.
TASK_RETRIES = {"min_backoff_seconds": 1, "max_backoff_seconds": 300, "max_retry_seconds": 86_400}

# The secrets of the functions that run a report. They are declared only where alerts are on.
REPORT_SECRETS = settings.REPORT_WEBHOOK_SECRET.declared

# The secrets of the functions that run models.
MODEL_SECRETS = settings.OPENAI_API_KEY.declared

# The secrets of the functions that call Stripe.
PAYMENT_SECRETS = settings.STRIPE_SECRET_KEY.declared


# The functions for which a user waits. The others begin without one: a worker's user waits for the model anyway.
createGenerationRequest = callable_function(
    "generations.create_generation_request", min_instances=settings.MIN_INSTANCES, secrets=MODEL_SECRETS
)
getUserCredits = callable_function("transactions.get_user_credits")
listCreditTransactions = callable_function("transactions.list_credit_transactions")
getGenerationRequest = callable_function("stored_generations.get_generation_request")
cancelGenerationRequest = callable_function("stored_generations.cancel_generation_request")
replaceImageUrls = callable_function("stored_generations.replace_image_urls")
listGenerationRequests = callable_function("stored_generations.list_generation_requests")
getWebhookSecret = callable_function("webhook_endpoints.get_webhook_secret")
createWebhookEndpoint = callable_function("webhook_endpoints.create_webhook_endpoint")
listWebhookEndpoints = callable_function("webhook_endpoints.list_webhook_endpoints")
rotateWebhookEndpointSecret = callable_function("webhook_endpoints.rotate_webhook_endpoint_secret")
deleteWebhookEndpoint = callable_function("webhook_endpoints.delete_webhook_endpoint")
listWebhookDeliveries = callable_function("webhook_deliveries.list_webhook_deliveries")
resendWebhook = callable_function("webhook_deliveries.resend_webhook")
getCatalog = callable_function("catalog.get_catalog", secrets=PAYMENT_SECRETS)
getCreditBalance = callable_function("accounts.get_credit_balance")
registerUser = callable_function("accounts.register_user")
grantCredits = callable_function("accounts.grant_credits")
createApiKey = callable_function("api_keys.create_api_key")
listApiKeys = callable_function("api_keys.list_api_keys")
revokeApiKey = callable_function("api_keys.revoke_api_key")
createPurchase = callable_function("purchases.create_purchase", secrets=PAYMENT_SECRETS)
getPurchase = callable_function("purchases.get_purchase")
reconcilePurchase = callable_function("purchases.reconcile_purchase", secrets=PAYMENT_SECRETS)
listPurchases = callable_function("purchases.list_purchases")
findPurchases = callable_function("purchases.find_purchases")
getWeeklyReport = callable_function("weekly_reports.get_weekly_report")
listWeeklyReports = callable_function("weekly_reports.list_weekly_reports")
runWeeklyReport = callable_function("weekly_reports.run_weekly_report", timeout_sec=540, secrets=REPORT_SECRETS)
exportAccount = callable_function("account_data.export_account")
getAccountExport = callable_function("account_data.get_account_export")
deleteAccount = callable_function("account_data.delete_account", secrets=PAYMENT_SECRETS)
findUsers = callable_function("users.find_users")
listCatalogOptions = callable_function("catalog_options.list_catalog_options")
updateCatalogOption = callable_function("catalog_options.update_catalog_option")
getOperations = callable_function("overview.get_operations")
getAudit = callable_function("audits.get_audit")

# The REST API. Firebase Hosting forwards the paths under /v1 to it.
api = rest_function(min_instances=settings.MIN_INSTANCES, secrets=PAYMENT_SECRETS)


def _run(task: Any) -> None:
    from imagegen.api.tasks import run_task  # the other functions do not need it

    run_task(bootstrap.backend(), task)


def _deliver(task: Any) -> None:
    from imagegen.api.tasks import deliver_webhook

    deliver_webhook(bootstrap.backend(), task)


# The event of a dispute holds its evidence, of which Stripe accepts 150,000 characters.
@http_function(bytes_max=512 * 1024, secrets=[*PAYMENT_SECRETS, *settings.STRIPE_WEBHOOK_SECRET.declared])
def stripeWebhook(request: "Request") -> "Response":
    from imagegen.api.payment_webhook import answer  # the other functions do not need it

    return answer(request)


# Task queues, each with its own rate limits. A model's document names the queue of its requests.


@task_function(
    rate_limits={"max_concurrent_dispatches": 20, "max_dispatches_per_second": 20},
    retry_config=TASK_RETRIES,
    secrets=MODEL_SECRETS,
)
def generateImage(task: Any) -> None:
    _run(task)


@task_function(
    rate_limits={"max_concurrent_dispatches": 50, "max_dispatches_per_second": 50},
    retry_config=TASK_RETRIES,
    secrets=MODEL_SECRETS,
)
def generateWithModelA(task: Any) -> None:
    _run(task)


@task_function(
    rate_limits={"max_concurrent_dispatches": 10, "max_dispatches_per_second": 5},
    retry_config=TASK_RETRIES,
    secrets=MODEL_SECRETS,
)
def generateWithModelB(task: Any) -> None:
    _run(task)


# Each attempt is a task that waits until the attempt is due. The queue retries a task if its attempt could not be
# recorded or came too early. In the emulator, tasks cannot wait, so every attempt but the first comes too early.
WEBHOOK_RETRIES = {"min_backoff_seconds": 10, "max_backoff_seconds": 600, "max_retry_seconds": 259_200}


@task_function(
    rate_limits={"max_concurrent_dispatches": 50, "max_dispatches_per_second": 50}, retry_config=WEBHOOK_RETRIES
)
def deliverWebhook(task: Any) -> None:
    _deliver(task)


# All attempts but the first ones, so that failing receivers never take the slots of first attempts.
@task_function(
    rate_limits={"max_concurrent_dispatches": 50, "max_dispatches_per_second": 20}, retry_config=WEBHOOK_RETRIES
)
def retryWebhook(task: Any) -> None:
    _deliver(task)


# Exports read whole accounts, so only two run at a time.
@task_function(rate_limits={"max_concurrent_dispatches": 2, "max_dispatches_per_second": 1}, retry_config=TASK_RETRIES)
def writeAccountExport(task: Any) -> None:
    from imagegen.api.account_data import write_account_export

    write_account_export(bootstrap.backend(), task)


@scheduled_function(
    schedule="0 6 * * 1",
    timezone="Etc/UTC",
    timeout_sec=540,
    retry_count=3,
    min_backoff_seconds=60,
    secrets=REPORT_SECRETS,
)
def scheduleWeeklyReport(event: "ScheduledEvent") -> dict[str, Any]:
    bootstrap.backend().reports.write(event.schedule_time)
    return {"reportStatus": "success"}


# An hour before the weekly report, which then has its last day counted.
@scheduled_function(schedule="0 5 * * *", timezone="Etc/UTC", timeout_sec=540, retry_count=3, min_backoff_seconds=60)
def countDailyUsage(event: "ScheduledEvent") -> dict[str, Any]:
    return {"daysCounted": bootstrap.backend().usage.count_days_before(event.schedule_time)}


# Before the other daily function, so that they do not compete.
@scheduled_function(schedule="0 4 * * *", timezone="Etc/UTC", timeout_sec=540, retry_count=3, min_backoff_seconds=60)
def auditLedgers(event: "ScheduledEvent") -> dict[str, Any]:
    run = bootstrap.backend().daily_audit.run(event.schedule_time)
    return {"ended": run.ended_at is not None, "usersChecked": run.users, "findings": run.finding_count}


@scheduled_function(schedule="*/5 * * * *", timezone="Etc/UTC", secrets=PAYMENT_SECRETS)
def sweepAbandonedRequests(_event: "ScheduledEvent") -> dict[str, Any]:
    return {"swept": bootstrap.backend().sweeper.sweep()}


# What has been imported stays. Later collections do not look at it again.
gc.freeze()
gc.enable()

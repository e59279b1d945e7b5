"""The surface: every function that is deployed, a line or two each. What they do is in ``imagegen``."""

from typing import Any

import firebase_admin
from firebase_functions.https_fn import CallableRequest
from firebase_functions.options import MemoryOption, RateLimits, RetryConfig, set_global_options
from firebase_functions.scheduler_fn import ScheduledEvent

from imagegen.api import functions
from imagegen.api.firebase import callable_function, scheduled_function, task_function
from imagegen.bootstrap import backend

# concurrency: as many calls as .env gives an instance threads for (THREADS); more would queue unseen.
# timeout_sec: more than a model's 60 s and the patience of reserving and settling; what is cut off stays unsettled.
set_global_options(
    region="us-central1", memory=MemoryOption.MB_512, cpu=1, concurrency=16, max_instances=20, timeout_sec=300
)
try:
    firebase_admin.get_app()
except ValueError:  # discovery may load this file more than once in a process
    firebase_admin.initialize_app()


# What a queue does when a worker says that it could not: for two minutes; after that, the sweeper sees to the request.
TRIES = RetryConfig(max_attempts=5, min_backoff_seconds=1, max_backoff_seconds=60, max_retry_seconds=120)


@callable_function()
def createGenerationRequest(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.create_generation_request(backend(), call)


@callable_function()
def getUserCredits(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.get_user_credits(backend(), call)


@callable_function()
def getGenerationRequest(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.get_generation_request(backend(), call)


@callable_function()
def cancelGenerationRequest(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.cancel_generation_request(backend(), call)


@callable_function()
def listGenerationRequests(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.list_generation_requests(backend(), call)


@callable_function()
def getWebhookSecret(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.get_webhook_secret(backend(), call)


@callable_function()
def listWebhookDeliveries(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.list_webhook_deliveries(backend(), call)


@callable_function()
def resendWebhook(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.resend_webhook(backend(), call)


@callable_function()
def getCatalog(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.get_catalog(backend(), call)


@callable_function()
def getCreditBalance(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.get_credit_balance(backend(), call)


@callable_function()
def registerUser(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.register_user(backend(), call)


@callable_function()
def grantCredits(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.grant_credits(backend(), call)


@callable_function()
def getWeeklyReport(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.get_weekly_report(backend(), call)


@callable_function()
def listWeeklyReports(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.list_weekly_reports(backend(), call)


@callable_function(timeout_sec=540)
def runWeeklyReport(call: CallableRequest[Any]) -> dict[str, Any]:
    return functions.run_weekly_report(backend(), call)


# Queues, each with a pace of its own: a model's document names the one that its queued requests go through.


@task_function(rate_limits=RateLimits(max_concurrent_dispatches=20, max_dispatches_per_second=20), retry_config=TRIES)
def generateImage(task: CallableRequest[Any]) -> None:
    functions.run_task(backend(), task.data)


@task_function(rate_limits=RateLimits(max_concurrent_dispatches=50, max_dispatches_per_second=50), retry_config=TRIES)
def generateWithModelA(task: CallableRequest[Any]) -> None:
    functions.run_task(backend(), task.data)


@task_function(rate_limits=RateLimits(max_concurrent_dispatches=10, max_dispatches_per_second=5), retry_config=TRIES)
def generateWithModelB(task: CallableRequest[Any]) -> None:
    functions.run_task(backend(), task.data)


# Each attempt is a task of its own, which waits until it is due. The queue tries again what could not be recorded, or
# came too early, as every attempt but the first does in the emulator, which does not let tasks wait.
@task_function(
    rate_limits=RateLimits(max_concurrent_dispatches=50, max_dispatches_per_second=50),
    retry_config=RetryConfig(min_backoff_seconds=10, max_backoff_seconds=600, max_retry_seconds=86_400),
)
def deliverWebhook(task: CallableRequest[Any]) -> None:
    functions.deliver_webhook(backend(), task.data)


@scheduled_function(schedule="0 6 * * 1", timezone="Etc/UTC", timeout_sec=540, retry_count=3, min_backoff_seconds=60)
def scheduleWeeklyReport(event: ScheduledEvent) -> dict[str, Any]:
    backend().reports.write(event.schedule_time)
    return {"reportStatus": "success"}


@scheduled_function(schedule="*/5 * * * *", timezone="Etc/UTC")
def sweepAbandonedRequests(_event: ScheduledEvent) -> dict[str, Any]:
    return {"swept": backend().sweeper.sweep()}

"""The handlers of the tasks in the queues."""

from typing import Annotated, Any

from pydantic import Field

from imagegen.api.auth import Caller
from imagegen.api.context import Context
from imagegen.api.fields import DocumentId
from imagegen.api.generation_details import GenerationRequestDetails
from imagegen.api.requests import Request
from imagegen.api.validation import parse
from imagegen.bootstrap import Backend
from imagegen.domain.generation import GenerationRequest


class RunTask(Request):
    """The task of a queued request. ``ticket`` is derived from the request under a key that only the server has."""

    generation_request_id: DocumentId
    ticket: Annotated[str, Field(min_length=1, max_length=100)]


class DeliverWebhook(Request):
    """The task of a webhook's attempt. ``attempt`` counts from 0."""

    delivery_id: DocumentId
    attempt: Annotated[int, Field(ge=0, strict=False)]


def run_task(backend: Backend, data: Any) -> None:
    """Run the request that a task names. Raises InvalidInput and the errors of ``Worker.run``."""
    task = parse(RunTask, data, Context(Caller(), backend.catalogs.current))
    backend.worker.run(task.generation_request_id, task.ticket)


def deliver_webhook(backend: Backend, data: Any) -> None:
    """Send the webhook that a task names. Raises InvalidInput and the errors of ``DeliveryWorker.deliver``.

    The task carries no ticket. A forged task can only cause an attempt that is due now and that has a task of its own.
    """
    task = parse(DeliverWebhook, data, Context(Caller(), backend.catalogs.current))
    backend.delivery_worker.deliver(task.delivery_id, task.attempt, _event_data)


def _event_data(request: GenerationRequest) -> dict[str, Any]:
    """Return the data of a webhook's event: the fields that getGenerationRequest returns."""
    return GenerationRequestDetails.of(request).wire()

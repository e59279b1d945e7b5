"""Cancels and refunds a request that has not ended. Any later result of its model is discarded."""

from collections.abc import Callable
from dataclasses import dataclass

from imagegen.documents.generations import StoredRequest, request_path
from imagegen.domain.generation import FailureReason, GenerationRequest, Status
from imagegen.errors import RequestEnded
from imagegen.ports.database import Database
from imagegen.services.generations.queries import not_found
from imagegen.services.generations.settlement import Failed, Settlements


@dataclass(frozen=True)
class Cancellations:
    database: Database
    settlements: Settlements

    def cancel(self, request_id: str, may_cancel: Callable[[GenerationRequest], bool]) -> GenerationRequest:
        """Cancel the request, refund it and return it.

        Raises RequestNotFound, also if ``may_cancel`` returns False. Raises RequestEnded if the request has ended, or
        if another process settles it first with another outcome. If the retries fail, raises CommitRefused,
        OutcomeUnknown or DatabaseUnavailable.
        """
        [document] = self.database.read(request_path(request_id))
        if not document.exists or not may_cancel((stored := StoredRequest.of(document)).request):
            raise not_found(request_id)
        if not stored.request.is_open:
            raise _ended(stored.request)
        settled = self.settlements.settle(stored, Failed(FailureReason.CANCELED, "The request was canceled."))
        if settled.status is not Status.CANCELED:
            raise _ended(settled)
        return settled


def _ended(request: GenerationRequest) -> RequestEnded:
    return RequestEnded(
        f"The request has already ended. Its status is {request.status}.",
        generationRequestId=request.id,
        status=request.status.value,
    )

"""Canceling a request that has not ended: its credits go back at once, and whatever its model still does is dropped."""

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
        """The canceled request. Whoever settles it first wins: it is canceled or has ended otherwise, never both.

        Raises RequestNotFound, RequestEnded, and what outlasts the retries.
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
        f"The request has ended already: it is {request.status}.",
        generationRequestId=request.id,
        status=request.status.value,
    )

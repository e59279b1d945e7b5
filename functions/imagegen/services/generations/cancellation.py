"""Cancels and refunds a request that has not ended. Any later result of its model is discarded.

A model cannot be stopped, so a canceled run costs the operator as much as any other. The number of runs that a user
can cancel in a day is limited. Canceling a pending request is free.
"""

from collections.abc import Callable

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import user_path
from imagegen.documents.generations import StoredRequest, request_path
from imagegen.domain.generation import FailureReason, GenerationRequest, Status
from imagegen.domain.limits import TooFast
from imagegen.errors import RequestEnded, TooManyCanceled, charge_of
from imagegen.ports.database import Database
from imagegen.services.credits.accounts import balance_of
from imagegen.services.generations.queries import not_found
from imagegen.services.generations.settlement import Failed, Settlements


@dataclass(frozen=True)
class Canceled:
    """The answer to a cancellation: the canceled request, and the user's balance after the refund.

    ``is_replay`` is True if an earlier call canceled the request. The balance is then the one of now, or None if it
    cannot be read.
    """

    request: GenerationRequest
    current_credits: int | None
    is_replay: bool = False


@dataclass(frozen=True)
class Cancellations:
    database: Database
    settlements: Settlements

    def cancel(self, request_id: str, may_cancel: Callable[[GenerationRequest], bool]) -> Canceled:
        """Cancel the request and refund it, or answer for a request that was canceled before.

        Raises:
        - RequestNotFound: there is no such request, or ``may_cancel`` returns False.
        - RequestEnded: the request has completed or failed, or another process settles it first with such an outcome.
        - TooManyCanceled: the model runs, and the user has canceled too many runs. The request goes on.
        - CommitRefused, OutcomeUnknown and DatabaseUnavailable: the retries failed.
        """
        [document] = self.database.read(request_path(request_id))
        if not document.exists or not may_cancel((stored := StoredRequest.of(document)).request):
            raise not_found(request_id)
        if stored.request.status is Status.CANCELED:
            [user] = self.database.read(user_path(stored.request.user_id))
            return Canceled(stored.request, balance_of(user), is_replay=True)
        if not stored.request.is_open:
            raise _ended(stored.request)
        canceled = Failed(FailureReason.CANCELED, "The request was canceled.")
        try:
            settled = self.settlements.settle(stored, canceled).request
        except TooFast as too_fast:
            [document] = self.database.read(request_path(request_id))  # it may have ended in the meantime
            settled = StoredRequest.of(document).request
            if settled.is_open:
                raise _too_many_canceled(settled, too_fast.retry_after_seconds) from None
        if settled.status is not Status.CANCELED or settled.failure is None:
            raise _ended(settled)
        return Canceled(settled, settled.failure.current_credits)


def _ended(request: GenerationRequest) -> RequestEnded:
    return RequestEnded(
        f"The request has already ended. Its status is {request.status}.",
        **charge_of(request),
        status=request.status.value,
    )


def _too_many_canceled(request: GenerationRequest, seconds: int) -> TooManyCanceled:
    return TooManyCanceled(
        "You have canceled too many requests while their models ran. This request goes on, and you pay for its image. "
        f"You can cancel a running request again in {seconds} s, and a pending one at any time.",
        **charge_of(request),
        retryAfterSeconds=seconds,
    )

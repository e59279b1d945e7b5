"""Settling: how a request ends, whoever ends it.

One commit completes the request, or fails it and gives its credits back. It is refused if anyone settled it first.
Where the request names a webhook, the same commit writes what is to be sent there.
"""

import logging
from dataclasses import dataclass

from imagegen.documents.accounts import account_of, create_entry, update_account, user_path
from imagegen.documents.generations import StoredRequest, request_path, settlement_fields
from imagegen.documents.webhooks import create_delivery
from imagegen.domain.generation import Failure, FailureReason, GenerationRequest
from imagegen.domain.webhooks import delivery_about
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Update, Write
from imagegen.services.retry import Retry
from imagegen.services.webhooks.outbox import Outbox

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Succeeded:
    """The outcome of a generation that worked."""

    url: str


@dataclass(frozen=True)
class Failed:
    """The outcome of one that did not, or that nobody wants or waits for any more."""

    reason: FailureReason
    message: str


@dataclass(frozen=True)
class Settlements:
    database: Database
    outbox: Outbox
    clock: Clock
    retry: Retry

    def settle(self, stored: StoredRequest, outcome: Succeeded | Failed) -> GenerationRequest:
        """The request as it was settled, by this call or by whoever was first.

        Raises CommitRefused, OutcomeUnknown and DatabaseUnavailable when the retry budget is spent.
        """

        def attempt(tries: int) -> GenerationRequest:
            # The first try relies on what was seen; after a refusal only the document can tell.
            current = StoredRequest.of(*self.database.read(request_path(stored.request.id))) if tries else stored
            if not current.request.is_open:
                return current.request
            settled, refund = self._settled(current.request, outcome)
            ending = Update(request_path(settled.id), settlement_fields(settled), current.version)
            webhooks = [create_delivery(event)] if (event := delivery_about(settled)) else []
            self.database.commit(ending, *refund, *webhooks)
            return settled

        settled = self.retry(attempt)
        if event := delivery_about(settled):
            self.outbox.enqueue(event)  # whoever was first: a task too many does nothing
        return settled

    def _settled(
        self, request: GenerationRequest, outcome: Succeeded | Failed
    ) -> tuple[GenerationRequest, list[Write]]:
        """The request as ``outcome`` ends it, and the writes that give back its credits where it failed."""
        now = self.clock.now()
        if isinstance(outcome, Succeeded):
            return request.completed(outcome.url, now), []
        [user] = self.database.read(user_path(request.user_id))
        if not user.exists:
            log.error("%s is gone, so that nobody gets the refund of request %s", user.path, request.id)
            return request.failed(Failure(outcome.reason, outcome.message, 0, 0), now), []
        account, refund = account_of(user).refund(request, outcome.reason, now)
        failure = Failure(outcome.reason, outcome.message, request.cost, account.wallet.credits.total)
        return request.failed(failure, now), [update_account(user, account, request.week), create_entry(refund)]

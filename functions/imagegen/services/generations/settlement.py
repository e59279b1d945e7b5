"""Settles requests.

One commit completes the request, or fails it and refunds its credits. The commit is refused if another process settled
the request first. If the request names a webhook, the same commit writes its delivery.
"""

from contextlib import suppress
from datetime import timedelta

from imagegen import events, tracing
from imagegen.dataclass import dataclass
from imagegen.documents.accounts import account_of, create_entry, update_account, user_path
from imagegen.documents.generations import StoredRequest, progress_fields, request_path, settlement_fields
from imagegen.documents.webhooks import create_delivery
from imagegen.domain.generation import Failure, FailureReason, GenerationRequest, Mode, Status
from imagegen.domain.images import StoredImage
from imagegen.domain.limits import Limits
from imagegen.domain.webhooks import deliveries_for
from imagegen.events import Event
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, DatabaseUnavailable, OutcomeUnknown, Update, Write
from imagegen.services.retry import Retry
from imagegen.services.turns import Turns
from imagegen.services.webhooks.outbox import Outbox


@dataclass(frozen=True)
class Succeeded:
    """The outcome of a generation that returned an image. ``image`` has its files if they are stored here."""

    url: str
    image: StoredImage | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Failed:
    """The outcome of a generation that failed, timed out, expired, was abandoned or was canceled."""

    reason: FailureReason
    message: str


@dataclass(frozen=True)
class Settlements:
    """Settles requests. With ``mail_collection``, the commit also writes an e-mail about a queued request."""

    database: Database
    outbox: Outbox
    clock: Clock
    limits: Limits
    turns: Turns
    retry: Retry
    mail_collection: str = ""

    def settle(self, stored: StoredRequest, outcome: Succeeded | Failed) -> StoredRequest:
        """Settle the request with ``outcome``. Return the request as settled, by this call or by an earlier one.

        Raises TooFast if ``outcome`` is a cancellation of a run, and the user has canceled too many runs. If the
        retries fail, raises CommitRefused, OutcomeUnknown or DatabaseUnavailable.
        """

        def attempt(tries: int) -> StoredRequest:
            # The first try uses the given version. After a failed try, read the document again.
            current = StoredRequest.of(*self.database.read(request_path(stored.request.id))) if tries else stored
            if not current.request.is_open:
                return current
            if isinstance(outcome, Succeeded):
                return self._commit(current, outcome)
            with self.turns.of(current.request.user_id):
                return self._commit(current, outcome)

        tracing.continue_request(stored.request)
        settled = self.retry(attempt)
        # Even if another process was first: a duplicate task does nothing.
        self.outbox.enqueue(*deliveries_for(settled.request))
        return settled

    def _commit(self, current: StoredRequest, outcome: Succeeded | Failed) -> StoredRequest:
        settled, refund = self._settled(current.request, outcome)
        mails = self._mails(settled)
        ending = Update(request_path(settled.id), settlement_fields(settled), current.version)
        webhooks = [create_delivery(event) for event in deliveries_for(settled)]
        version, *_ = self.database.commit(ending, *refund, *webhooks, *mails)
        failure, time = settled.failure, settled.processing_time
        events.info(
            Event.REQUEST_ENDED,
            generationRequestId=settled.id,
            status=settled.status.value,
            reason=failure.reason.value if failure else None,
            refundedCredits=failure.refunded_credits if failure else 0,
            milliseconds=None if time is None else time // timedelta(milliseconds=1),
        )
        return StoredRequest(settled, version)

    def _mails(self, settled: GenerationRequest) -> list[Write]:
        """Return the e-mail about a queued request that has ended, if the operator wants such e-mails."""
        if not self.mail_collection or settled.mode is not Mode.ASYNC or settled.status is Status.CANCELED:
            return []
        from imagegen.documents.mail import mail_for

        [user] = self.database.read(user_path(settled.user_id))
        address = user.data.get("email")
        return [mail_for(settled, self.mail_collection, address)] if address and isinstance(address, str) else []

    def end_canceled_run(self, canceled: StoredRequest) -> None:
        """Record that the run of a canceled request has ended, so that the request no longer counts as running.

        If this fails, the request counts as running until its lease expires.
        """
        ended = canceled.request.run_ended(self.clock.now())
        with suppress(CommitRefused, OutcomeUnknown, DatabaseUnavailable):
            self.database.commit(Update(request_path(ended.id), progress_fields(ended), canceled.version))

    def _settled(
        self, request: GenerationRequest, outcome: Succeeded | Failed
    ) -> tuple[GenerationRequest, list[Write]]:
        """Return the request as settled by ``outcome``, and the writes that refund it if it failed."""
        now = self.clock.now()
        if isinstance(outcome, Succeeded):
            return request.completed(outcome.url, now, outcome.image, outcome.seed), []
        [user] = self.database.read(user_path(request.user_id))
        if not user.exists:
            events.error(Event.REFUND_WITHOUT_USER, path=user.path, generationRequestId=request.id)
            return request.failed(Failure(outcome.reason, outcome.message, 0, 0), now), []
        account = account_of(user)
        account, entries = (
            account.cancel(request, self.limits, now)
            if outcome.reason is FailureReason.CANCELED
            else account.refund(request, outcome.reason, now)
        )
        failure = Failure(outcome.reason, outcome.message, request.cost, account.wallet.credits.total)
        refund: list[Write] = [create_entry(entry) for entry in entries]
        return request.failed(failure, now), [update_account(user, account, request.week), *refund]

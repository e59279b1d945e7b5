"""Lists and resends webhook deliveries."""

from collections.abc import Callable
from datetime import datetime

from imagegen.dataclass import dataclass
from imagegen.documents.fields import MOMENT_MIN
from imagegen.documents.receivers import sending_of, sending_path, write_sending
from imagegen.documents.webhooks import DELIVERIES, delivery_of, delivery_path, update_delivery
from imagegen.domain.limits import Limits, TooFast
from imagegen.domain.receivers import Sending
from imagegen.domain.webhooks import Delivery
from imagegen.errors import DeliveryNotFound, RateLimited
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Where
from imagegen.services.pagination import Page, page
from imagegen.services.retry import Retry
from imagegen.services.unreadable import read_or_log
from imagegen.services.webhooks.outbox import Outbox


@dataclass(frozen=True)
class Deliveries:
    database: Database
    outbox: Outbox
    clock: Clock
    limits: Limits
    retry: Retry

    def list(
        self, user_id: str, request_id: str | None, size: int, after: tuple[datetime, str] | None = None
    ) -> Page[Delivery]:
        """Return up to ``size`` deliveries of a user, or of one request, newest first.

        The page starts after the cursor (created_at, id). Raises DatabaseUnavailable.
        """
        where = [Where("userId", "==", user_id), Where("createdAt", ">=", MOMENT_MIN)]
        if request_id is not None:
            where.append(Where("generationRequestId", "==", request_id))
        newest = Query(DELIVERIES, tuple(where), order_by="createdAt", start_after=after)
        return page(self.database, newest, size, delivery_of)

    def resend(self, delivery_id: str, may_resend: Callable[[Delivery], bool]) -> Delivery:
        """Make the delivery pending and due now, whatever its status, and return it with its attempts so far.

        While an attempt is in progress, or an earlier resend waits, the delivery is returned unchanged. If the answer
        to the commit was lost, the returned delivery may already include the new attempt.

        Raises DeliveryNotFound, also if ``may_resend`` returns False, and RateLimited. If the retries fail, raises
        CommitRefused, OutcomeUnknown or DatabaseUnavailable.
        """
        now = self.clock.now()

        def attempt(tries: int) -> Delivery:
            [document] = self.database.read(delivery_path(delivery_id))
            if not document.exists or not may_resend(delivery := delivery_of(document)):
                raise DeliveryNotFound(f"You have no webhook delivery {delivery_id!r}.", deliveryId=delivery_id)
            if tries and delivery.was_resent(since=now):
                return delivery  # our own commit was applied but its answer was lost, or another call was first
            resent = delivery.resent(now)
            if resent != delivery:
                [state] = self.database.read(sending_path(delivery.user_id))
                sending = read_or_log(sending_of, state) or Sending()
                sending = sending.resent(self.limits.resends, now)
                self.database.commit(update_delivery(document, resent), write_sending(state, sending))
            return resent

        try:
            resent = self.retry(attempt)
        except TooFast as too_fast:
            seconds = too_fast.retry_after_seconds
            raise RateLimited(
                f"Too many resends in a short time. Nothing was sent. Try again in {seconds} s.",
                retryAfterSeconds=seconds,
            ) from None
        self.outbox.enqueue(resent)
        return resent

"""Looking at webhook deliveries, newest first, and starting them anew."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from imagegen.documents.webhooks import DELIVERIES, delivery_of, delivery_path, update_delivery
from imagegen.domain.webhooks import Delivery
from imagegen.errors import DeliveryNotFound
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Where
from imagegen.services.pagination import Page, page
from imagegen.services.retry import Retry
from imagegen.services.webhooks.outbox import Outbox


@dataclass(frozen=True)
class Deliveries:
    database: Database
    outbox: Outbox
    clock: Clock
    retry: Retry

    def list(
        self, user_id: str, request_id: str | None, size: int, after: tuple[datetime, str] | None = None
    ) -> Page[Delivery]:
        """At most ``size`` of a user, or of one request, from after the one of that time and id.

        Raises DatabaseUnavailable.
        """
        where = [Where("userId", "==", user_id)]
        if request_id is not None:
            where.append(Where("generationRequestId", "==", request_id))
        newest = Query(DELIVERIES, tuple(where), order_by="createdAt", start_after=after)
        return page(self.database, newest, size, delivery_of)

    def resend(self, delivery_id: str, may_resend: Callable[[Delivery], bool]) -> Delivery:
        """The delivery, pending again whatever had become of it, due now, with all its attempts so far.

        Where the database's answer got lost, it may have been sent by now, and is as that left it.

        Raises DeliveryNotFound and what outlasts the retries.
        """
        now = self.clock.now()

        def attempt(tries: int) -> Delivery:
            [document] = self.database.read(delivery_path(delivery_id))
            if not document.exists or not may_resend(delivery := delivery_of(document)):
                raise DeliveryNotFound(
                    f"There is no webhook delivery {delivery_id!r} of yours.", deliveryId=delivery_id
                )
            if tries and delivery.was_resent(since=now):
                return delivery  # our own commit got through, with only its answer lost, or somebody else's
            resent = delivery.resent(now)
            if resent != delivery:
                self.database.commit(update_delivery(document, resent))
            return resent

        resent = self.retry(attempt)
        self.outbox.enqueue(resent)
        return resent

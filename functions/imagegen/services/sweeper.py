"""The sweeper: ends the requests whose process died, and gives their credits back."""

import logging
from dataclasses import dataclass

from imagegen.clock import Clock
from imagegen.database import CommitRefused, Database, DatabaseUnavailable, OutcomeUnknown, Query, Where
from imagegen.domain.generation import FailureReason, Status
from imagegen.records import REQUESTS
from imagegen.services.settlements import Held, NoImage, Settlements

PAGE_SIZE = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweeper:
    """Any number may run at once, die halfway, or meet a process that finishes late: who settles first wins."""

    database: Database
    clock: Clock
    settlements: Settlements

    def sweep(self) -> int:
        """How many requests with an expired lease have been settled, by this run or by a rival meanwhile.

        A request that cannot be settled now is left for the next run. Raises DatabaseUnavailable.
        """
        expired = Query(
            REQUESTS,
            where=(
                Where("status", "==", Status.PROCESSING.value),
                Where("leaseExpiresAt", "<", self.clock.now()),
            ),
            limit=PAGE_SIZE,
        )
        settled = 0
        while page := self.database.find(expired):
            ended = sum(self._ended(Held.of(document)) for document in page)
            settled += ended
            if not ended:
                break  # the same page would come again
        return settled

    def _ended(self, held: Held) -> bool:
        try:
            self.settlements.settle(held, NoImage(FailureReason.ABANDONED, "The request was interrupted."))
        except (CommitRefused, OutcomeUnknown, DatabaseUnavailable) as error:
            log.warning("Request %s could not be settled and is left for the next sweep: %s", held.request.id, error)
            return False
        return True

"""Credits that an administrator adds to a user's account."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from imagegen.domain.ledger import Credits


class Bucket(StrEnum):
    """What credits are granted as."""

    TRIAL = "trial"
    PAID = "paid"

    def of(self, credits: int) -> Credits:
        return Credits(**{self.value: credits})


@dataclass(frozen=True)
class Grant:
    """A grant as recorded, under an ``id`` derived from its idempotency key; ``entry_id`` is its line in the ledger."""

    id: str
    user_id: str
    bucket: Bucket
    credits: int
    reason: str
    granted_by: str
    entry_id: str
    balance_after: int
    granted_at: datetime

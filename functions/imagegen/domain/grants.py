"""Credits that an administrator adds to a user's account."""

from datetime import datetime
from enum import StrEnum

from imagegen.dataclass import dataclass
from imagegen.domain.ledger import Credits


class Bucket(StrEnum):
    """The kind of credits in a grant."""

    TRIAL = "trial"
    PAID = "paid"

    def of(self, credits: int) -> Credits:
        """Return ``credits`` as credits of this bucket."""
        return Credits(**{self.value: credits})


@dataclass(frozen=True)
class Grant:
    """A grant as stored. ``id`` is derived from the idempotency key. ``entry_id`` is the id of the ledger entry.

    ``reason`` is None if an operator has erased it.
    """

    id: str
    user_id: str
    bucket: Bucket
    credits: int
    reason: str | None
    granted_by: str
    entry_id: str
    balance_after: int
    granted_at: datetime
    api_key_id: str | None = None

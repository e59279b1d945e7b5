"""Reads one purchase, or lists a user's purchases, with what the user still owes for them."""

from collections.abc import Callable
from datetime import datetime

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import user_path, wallet_of
from imagegen.documents.fields import MOMENT_MIN
from imagegen.documents.purchases import PURCHASES, purchase_of, purchase_path
from imagegen.domain.purchases import Purchase, PurchaseStatus
from imagegen.errors import PurchaseNotFound
from imagegen.ports.database import Database, Query, Snapshot, Where
from imagegen.services.pagination import Page, page
from imagegen.services.unreadable import read_or_log


@dataclass(frozen=True)
class PurchaseDetails:
    """A purchase, and the credits that its user owes for it (``uncollected``)."""

    purchase: Purchase
    uncollected: int

    @property
    def credits_reversed(self) -> int:
        """The credits that were taken back."""
        return max(self.purchase.credits_due - self.uncollected, 0)


def details_of(purchase: Purchase, user: Snapshot) -> PurchaseDetails:
    wallet = read_or_log(wallet_of, user) if user.exists else None
    return PurchaseDetails(purchase, 0 if wallet is None else wallet.debt_of(purchase.id))


def purchase_not_found(purchase_id: str) -> PurchaseNotFound:
    """Return the error for a missing purchase. It also hides other users' purchases."""
    return PurchaseNotFound(f"You have no purchase {purchase_id!r}.", purchaseId=purchase_id)


@dataclass(frozen=True)
class Purchases:
    """Purchases, read-only. The methods raise DatabaseUnavailable."""

    database: Database

    def get(self, purchase_id: str, may_read: Callable[[Purchase], bool]) -> PurchaseDetails:
        """Return the purchase. Raises PurchaseNotFound if there is none, or ``may_read`` returns False."""
        [document] = self.database.read(purchase_path(purchase_id))
        if not document.exists or not may_read(purchase := purchase_of(document)):
            raise purchase_not_found(purchase_id)
        [user] = self.database.read(user_path(purchase.user_id))
        return details_of(purchase, user)

    def list(self, user_id: str, size: int, after: tuple[datetime, str] | None) -> Page[PurchaseDetails]:
        """Return up to ``size`` purchases of a user, newest first, starting after the cursor (created_at, id)."""
        [user] = self.database.read(user_path(user_id))
        newest = _newest(Where("userId", "==", user_id), after)
        return page(self.database, newest, size, lambda document: details_of(purchase_of(document), user))

    def find(self, status: PurchaseStatus, size: int, after: tuple[datetime, str] | None) -> Page[PurchaseDetails]:
        """Return up to ``size`` purchases of all users, newest first, starting after the cursor (created_at, id)."""
        newest = _newest(Where("status", "==", status.value), after)
        found = page(self.database, newest, size, purchase_of)
        paths = list(dict.fromkeys(user_path(purchase.user_id) for purchase in found.items))
        users = dict(zip(paths, self.database.read(*paths), strict=True)) if paths else {}
        details = [details_of(purchase, users[user_path(purchase.user_id)]) for purchase in found.items]
        return Page(details, found.next)


def _newest(condition: Where, after: tuple[datetime, str] | None) -> Query:
    where = (condition, Where("createdAt", ">=", MOMENT_MIN))
    return Query(PURCHASES, where, order_by="createdAt", start_after=after)

"""Reconciles a purchase with the payment provider's record.

Every event, the landing page, the sweeper and the operator end here. The record is read, and one commit writes the
difference to what was booked before. So it does not matter which events arrive, how often and in which order.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.account_data import deletion_path, is_refunding
from imagegen.documents.accounts import (
    FORFEIT,
    create_entry,
    entry_path,
    has_ended,
    is_deleted,
    update_wallet,
    user_path,
    wallet_of,
)
from imagegen.documents.fields import Unreadable
from imagegen.documents.purchases import PURCHASES, purchase_of, purchase_path, update_looked_at, update_purchase
from imagegen.domain.ledger import EntryType, LedgerEntry, Wallet
from imagegen.domain.purchases import LOOK, OPEN_MAX, Discrepancy, Purchase, PurchaseStatus
from imagegen.errors import ServiceUnavailable
from imagegen.events import Event
from imagegen.ports.clock import Clock
from imagegen.ports.database import CommitRefused, Database, Query, Snapshot, Version, Where, Write
from imagegen.ports.payments import Payment, Payments, PaymentsDown, PaymentsRefused, SessionState
from imagegen.services.purchases.queries import PurchaseDetails, details_of, purchase_not_found
from imagegen.services.retry import Retry


@dataclass(frozen=True)
class Reconciliation:
    """Reconciles purchases. If the retries fail, the methods raise like ``Retry``.

    They raise PaymentsDown and PaymentsRefused if the record cannot be read, and TooManyDebts. Nothing was written
    then, and a later call does it.
    """

    database: Database
    payments: Payments
    clock: Clock
    retry: Retry

    def reconcile(self, purchase_id: str, session_id: str | None = None) -> Purchase:
        """Commit what the provider's record says about a purchase, and return the purchase.

        ``session_id`` is the session that an event names. It is used if the purchase has none yet. A purchase of the
        other mode, live or test, is returned as it is. Raises PurchaseNotFound.
        """
        record: Payment | None = None
        version: Version | None = None

        def attempt(_tries: int) -> Purchase:
            nonlocal record, version
            [document] = self.database.read(purchase_path(purchase_id))
            if not document.exists:
                raise purchase_not_found(purchase_id)
            purchase = purchase_of(document)
            if purchase.livemode is not self.payments.is_live:
                return purchase
            # The record is read after the document. A commit of another process then either is known to this one, or
            # refuses this one's, which would apply an older record.
            if version != document.version:
                record = self._record(purchase, session_id)
                version = document.version
            return self._commit(document, purchase, record)

        return self.retry(attempt)

    def look(self, purchase_id: str, may_look: Callable[[Purchase], bool]) -> PurchaseDetails:
        """Reconcile a purchase for its buyer, at most once in a while, and return it.

        Too early, it is returned as stored. Raises PurchaseNotFound if there is none, or ``may_look`` returns False.
        """
        [document] = self.database.read(purchase_path(purchase_id))
        if not document.exists or not may_look(purchase := purchase_of(document)):
            raise purchase_not_found(purchase_id)
        if self._may_look(document, purchase):
            purchase = self.reconcile(purchase_id)
        [user] = self.database.read(user_path(purchase.user_id))
        return details_of(purchase, user)

    def _may_look(self, document: Snapshot, purchase: Purchase) -> bool:
        """Return whether the last look is long enough ago. Of simultaneous calls, only one may look."""
        now = self.clock.now()
        if purchase.looked_at is not None and now < purchase.looked_at + LOOK:
            return False
        try:
            self.database.commit(update_looked_at(document, now))
        except CommitRefused:
            return False
        return True

    def check(self, document: Snapshot) -> bool:
        """Reconcile a purchase that is due, and return True. Raises ServiceUnavailable if the record cannot be read."""
        try:
            self.reconcile(document.id)
        except PaymentsDown as error:
            raise ServiceUnavailable("The payment provider does not answer.") from error
        return True

    def close_open(self, user_id: str) -> bool:
        """End the sessions of a user's next open purchases, and reconcile them. Return whether there are no more.

        A buyer who was faster has paid. One whose session was not answered has no page to pay on, and expires later.
        Raises Unreadable or PaymentsRefused after the others, if one cannot be read or closed.
        """
        is_open = Where("status", "==", PurchaseStatus.OPEN.value)
        where = (Where("userId", "==", user_id), is_open, Where("livemode", "==", self.payments.is_live))
        # Also purchases that stay open are found again. There are fewer of them than a page has.
        documents = self.database.find(Query(PURCHASES, where, limit=OPEN_MAX + 1))
        problem: Exception | None = None
        for document in documents:
            try:
                self._close(purchase_of(document))
            except (Unreadable, PaymentsRefused) as error:
                problem = error
        if problem is not None:
            raise problem
        return len(documents) <= OPEN_MAX

    def _close(self, purchase: Purchase) -> None:
        """End the session of a purchase, and reconcile it. Raises PaymentsRefused if it is still open."""
        if purchase.session_id is not None:
            self.payments.expire_session(purchase.session_id)
        after = self.reconcile(purchase.id)
        if after.status is PurchaseStatus.OPEN and after.session_id is not None and after.discrepancy is None:
            raise PaymentsRefused("session_open")

    def due(self, limit: int) -> Query:
        """Return the query for the purchases that the sweeper checks now."""
        where = (Where("livemode", "==", self.payments.is_live), Where("checkAt", "<", self.clock.now()))
        return Query(PURCHASES, where, order_by="checkAt", ascending=True, limit=limit)

    def _record(self, purchase: Purchase, session_id: str | None) -> Payment | None:
        """Return the provider's record of a purchase, or None without a session."""
        try:
            return self._read_record(purchase, session_id)
        except (PaymentsDown, PaymentsRefused) as error:
            events.warning(Event.PURCHASE_NOT_RECONCILED, purchaseId=purchase.id, problem=str(error))
            raise

    def _read_record(self, purchase: Purchase, session_id: str | None) -> Payment | None:
        if purchase.session_id is not None and session_id not in (None, purchase.session_id):
            self._report_second_session(purchase, session_id or "")
        found = purchase.session_id or session_id
        if found is None and purchase.is_unanswered(self.clock.now()):
            found = self.payments.find_session(purchase.id)
        return None if found is None else self.payments.payment(found)

    def _report_second_session(self, purchase: Purchase, session_id: str) -> None:
        """Log a second session of a purchase that was paid. The purchase cannot be granted twice."""
        payment = self.payments.payment(session_id)
        if payment is not None and payment.session.state is SessionState.PAID:
            events.error(Event.PURCHASE_DIFFERS, purchaseId=purchase.id, sessionId=session_id, field="session")

    def _commit(self, document: Snapshot, purchase: Purchase, record: Payment | None) -> Purchase:
        now = self.clock.now()
        writes: list[Write] = []
        is_forfeited = is_late = False
        if record is None:
            after = self._without_record(purchase, now)
        else:
            [user] = self.database.read(user_path(purchase.user_id))
            before = wallet_of(user) if user.exists else Wallet(purchase.user_id)
            after, wallet, entries = purchase.reconciled(record, before, now)
            is_forfeited = wallet.credits.total > 0 and is_deleted(user) and self._has_ended(user)
            if is_forfeited:
                wallet, forfeit = _forfeited(wallet, purchase, now)
                entries = [*entries, forfeit]
            elif wallet.credits.total > before.credits.total and is_deleted(user):
                [deletion] = self.database.read(deletion_path(user.id))
                is_late = is_refunding(deletion)
            if wallet != before and not user.exists:
                after = replace(purchase, discrepancy=Discrepancy.USER)
            elif wallet != before:
                writes = [update_wallet(user, wallet), *map(create_entry, entries)]
        if after.discrepancy is not None:
            events.error(Event.PURCHASE_DIFFERS, purchaseId=purchase.id, field=after.discrepancy.value)
        # Also without a change, so that the commit of a process that has read an older record is refused.
        after = replace(after.checked(now), reconciliations=purchase.reconciliations + 1)
        self.database.commit(update_purchase(document, after), *writes)
        events.info(Event.PURCHASE_RECONCILED, purchaseId=purchase.id, status=after.status.value)
        if is_forfeited or is_late:
            events.error(Event.PURCHASE_OF_DELETED, purchaseId=purchase.id, status=after.status.value)
        return after

    def _has_ended(self, user: Snapshot) -> bool:
        """Return whether the deletion of a user has ended the balance. The next entries are forfeited then."""
        if has_ended(user):
            return True
        # Earlier versions set no mark. They wrote this entry, or the balance was empty.
        deletion, forfeit = self.database.read(deletion_path(user.id), entry_path(user.id, FORFEIT))
        return forfeit.exists or deletion.data.get("finishedAt") is not None

    def _without_record(self, purchase: Purchase, now: datetime) -> Purchase:
        """Return a purchase whose session does not exist: expired, once no session is created any more."""
        if purchase.session_id is not None:
            return replace(purchase, discrepancy=Discrepancy.SESSION)
        return purchase.without_session() if purchase.is_unanswered(now) else purchase


def _forfeited(wallet: Wallet, purchase: Purchase, at: datetime) -> tuple[Wallet, LedgerEntry]:
    """Return the wallet of a deleted account without credits, and the entry that ends them."""
    return wallet.post(
        EntryType.FORFEIT,
        wallet.credits,
        entry_id=f"{purchase.id}-forfeit-{purchase.reconciliations + 1}",
        generation_request_id=None,
        timestamp=at,
    )

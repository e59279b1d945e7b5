"""Deletes accounts: everything that a user wrote, chose or got goes, and the ledger stays.

One commit marks the account as deleted. From then on, every other call of the user is refused. Then follow steps, each
of which can be repeated: after a crash, a sweep runs them all again, and those that are done find nothing to do.

A call that began before the mark may still store something. So when all such calls have ended, the steps run once
more, and only then the account that the user signs in with is deleted.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from imagegen import events, tracing
from imagegen.dataclass import dataclass
from imagegen.documents.account_data import deletion_of, deletion_path, export_path, write_deletion
from imagegen.documents.accounts import (
    FORFEIT,
    create_entry,
    create_trial_claim,
    end_balance,
    entry_path,
    erase_reason,
    has_ended,
    is_deleted,
    mark_deleted,
    reasons,
    remarks,
    trial_claim_path,
    user_path,
    wallet_of,
    without_profile,
)
from imagegen.documents.api_keys import API_KEYS, key_ring_path
from imagegen.documents.fields import Unreadable
from imagegen.documents.generations import REQUESTS, StoredRequest, erase_request, is_erased, is_open
from imagegen.documents.mail import mail_paths
from imagegen.documents.purchases import erase_return_url, return_urls
from imagegen.documents.receivers import RECEIVERS, sending_path
from imagegen.documents.secrets import webhook_secret_path
from imagegen.documents.webhooks import DELIVERIES
from imagegen.domain.account_data import Deletion
from imagegen.domain.generation import OPEN, FailureReason
from imagegen.domain.ledger import EntryType
from imagegen.events import Event, SafeText, type_of
from imagegen.ports.auth_accounts import AuthAccounts, AuthUnavailable
from imagegen.ports.clock import Clock
from imagegen.ports.database import (
    CommitRefused,
    Database,
    DatabaseUnavailable,
    Delete,
    OutcomeUnknown,
    Query,
    Snapshot,
    Where,
    Write,
)
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.ports.payments import PaymentsDown, PaymentsRefused
from imagegen.services import unreadable
from imagegen.services.account_data.exports import user_folder
from imagegen.services.account_data.reading import PAGE_SIZE, requests_of
from imagegen.services.credits.accounts import WELCOME_GRANT, existing_user
from imagegen.services.generations.settlement import Failed, Settlements
from imagegen.services.images.storage import Images

if TYPE_CHECKING:  # imported where payments are on
    from imagegen.services.purchases.reconcile import Reconciliation
    from imagegen.services.purchases.unspent import UnspentRefunds

CALL_SECONDS = 20.0
"""The time that a call spends on a deletion. Sweeps do the rest."""

SWEEP_SECONDS = 40.0
"""The time that a sweep spends on each deletion. Later sweeps do the rest."""

CANCELED = Failed(FailureReason.CANCELED, "The account was deleted.")

TRANSIENT = (
    CommitRefused,
    OutcomeUnknown,
    DatabaseUnavailable,
    ObjectStoreUnavailable,
    PaymentsDown,
    PaymentsRefused,
)
"""The errors that may have passed by the next sweep."""

Step = Callable[[str], bool]
"""Does a bounded part of a step for a user. Returns whether the step is done. It can be repeated at any time."""


@dataclass(frozen=True)
class Deletions:
    """The deletions of all accounts. ``settlements`` retry for seconds only, and do not limit canceled runs.

    ``reconciliation`` is None where payments are off. Purchases stay as they are then. ``refunds`` is None where
    unspent purchases are not refunded.
    """

    database: Database
    settlements: Settlements
    images: Images
    auth_accounts: AuthAccounts
    clock: Clock
    reconciliation: "Reconciliation | None"
    refunds: "UnspentRefunds | None" = None

    def delete(self, user_id: str, requested_by: str | None, claim_id: str | None = None) -> Deletion:
        """Delete an account, and return the deletion, which a sweep finishes. A repeated call only returns it.

        If the account has had the trial credits, ``claim_id`` is claimed, in case that it was created before the
        claims: otherwise its person would get the credits again.

        Raises UserNotFound. If the account could not be marked as deleted, raises CommitRefused, OutcomeUnknown or
        DatabaseUnavailable.
        """

        mine: list[Deletion] = []  # a commit of this call may be applied although its answer was lost

        def attempt(_tries: int) -> Deletion:
            claim_paths = [] if claim_id is None else [trial_claim_path(claim_id)]
            user, document, welcome, *claims = self.database.read(
                user_path(user_id), deletion_path(user_id), entry_path(user_id, WELCOME_GRANT), *claim_paths
            )
            existing_user(user)
            if document.exists and is_deleted(user):
                return deletion_of(document)
            now = self.clock.now()
            deletion = Deletion(user_id, now, requested_by, due_at=now)
            mine.append(deletion)
            missing = [claim.id for claim in claims if welcome.exists and not claim.exists]
            tombstones = [create_trial_claim(id, user_id, now) for id in missing]
            self.database.commit(mark_deleted(user, now), write_deletion(document, deletion), *tombstones)
            return deletion

        deletion = self.settlements.retry(attempt)
        if deletion not in mine:
            return deletion
        try:
            return self._advanced(deletion, CALL_SECONDS)
        except (*TRANSIENT, Unreadable) as error:
            events.warning(Event.DELETION_NOT_FINISHED, error=type_of(error))
            return deletion

    def recover(self, document: Snapshot) -> bool:
        """Go on with a deletion. Return whether it has finished, or waits for other calls to end."""
        deletion = deletion_of(document)
        return self._advanced(deletion, SWEEP_SECONDS).due_at != deletion.due_at

    def _advanced(self, deletion: Deletion, seconds: float) -> Deletion:
        """Run the steps for this time. Return the deletion as it is then."""
        user_id, until = deletion.user_id, self.clock.monotonic() + seconds
        settled = self._done(user_id, until, self._settle_requests)
        # What a purchase grants even later is forfeited by its reconciliation.
        ended = settled and self._done(user_id, until, self._close_purchases, self._refund_purchases, self._forfeit)
        others = [
            self._done(user_id, until, step)
            for step in (
                self._remove_profile,
                self._delete_keys,
                self._delete_receivers,
                self._erase_remarks,
                self._erase_return_urls,
                self._delete_exports,
            )
        ]
        # A request that cannot be settled keeps its fields, which its repair needs. Its later end writes deliveries.
        erase = self._erase_requests if settled else self._erase_ended_requests
        erased = self._done(user_id, until, erase, self._delete_deliveries)
        pictures = self._done(user_id, until, self._delete_pictures)
        return self._concluded(deletion, done=ended and erased and pictures and all(others))

    def _done(self, user_id: str, until: float, *steps: Step) -> bool:
        """Run steps that build on each other. Return whether all are done. A step that fails ends them, but no others.

        The next sweep repeats a failed step.
        """
        for step in steps:
            try:
                while not step(user_id):
                    if self.clock.monotonic() >= until:
                        return False
            except Unreadable as error:
                unreadable.log(error)
                return False
            except TRANSIENT as error:
                events.warning(Event.DELETION_STEP_FAILED, step=SafeText(step.__name__), error=type_of(error))
                return False
            except Exception:  # noqa: BLE001 - logged, and the other steps go on
                events.exception(Event.DELETION_STEP_FAILED, step=SafeText(step.__name__))
                return False
        return True

    def _concluded(self, deletion: Deletion, *, done: bool) -> Deletion:
        """Return the deletion after its steps have run. If all are done and no other call goes on, finish it."""
        may_finish = done and self.clock.now() >= deletion.may_finish_at
        if may_finish:
            try:
                self.auth_accounts.delete(deletion.user_id)
            except AuthUnavailable as error:
                events.warning(Event.DELETION_STEP_FAILED, step=SafeText("auth"), error=type_of(error))
                may_finish = False

        def attempt(_tries: int) -> Deletion:
            [document] = self.database.read(deletion_path(deletion.user_id))
            current, now = deletion_of(document), self.clock.now()
            if current.finished_at is not None or current.requested_at != deletion.requested_at or not done:
                return current
            due_at = current.may_finish_at  # also if only the account cannot be deleted: the audit looks for late ones
            changed = replace(current, finished_at=now, due_at=None) if may_finish else replace(current, due_at=due_at)
            if changed != current:
                self.database.commit(write_deletion(document, changed))
            return changed

        return self.settlements.retry(attempt)

    # The steps

    def _settle_requests(self, user_id: str) -> bool:
        """Cancel and refund the requests that have not ended. There can be no new ones.

        Raises Unreadable after the others, if one cannot be read.
        """
        where = (Where("userId", "==", user_id), Where("status", "in", tuple(status.value for status in OPEN)))
        documents = self.database.find(Query(REQUESTS, where, limit=PAGE_SIZE))
        problem: Unreadable | None = None
        for document in documents:
            try:
                with tracing.own_work():  # the next lines of the log are not about this request
                    self.settlements.settle(StoredRequest.of(document), CANCELED)
            except Unreadable as error:
                problem = error
        if problem is not None:
            raise problem
        return len(documents) < PAGE_SIZE

    def _close_purchases(self, user_id: str) -> bool:
        """End the open purchases, so that nobody pays for them any more."""
        return self.reconciliation is None or self.reconciliation.close_open(user_id)

    def _refund_purchases(self, user_id: str) -> bool:
        """Refund what is not spent of the purchases, if the operator wants it."""
        return self.refunds is None or self.refunds.refund_some(user_id)

    def _forfeit(self, user_id: str) -> bool:
        """End what is left of the balance with an entry of the ledger, and mark the balance as ended.

        The mark also refuses the commit of a reconciliation that read the user before.
        """

        def attempt(_tries: int) -> bool:
            [user] = self.database.read(user_path(user_id))
            wallet = wallet_of(user)
            entries = []
            if wallet.credits.total:
                wallet, entry = wallet.post(
                    EntryType.FORFEIT,
                    wallet.credits,
                    entry_id=FORFEIT,
                    generation_request_id=None,
                    timestamp=self.clock.now(),
                )
                entries = [create_entry(entry)]
            if entries or not has_ended(user):
                self.database.commit(end_balance(user, wallet, self.clock.now()), *entries)
            return True

        return self.settlements.retry(attempt)

    def _remove_profile(self, user_id: str) -> bool:
        def attempt(_tries: int) -> bool:
            [user] = self.database.read(user_path(user_id))
            changed = without_profile(user)
            if changed.data != user.data:
                self.database.commit(changed)
            return True

        return self.settlements.retry(attempt)

    def _delete_keys(self, user_id: str) -> bool:
        return self._delete_found(API_KEYS, user_id, Delete(key_ring_path(user_id)))

    def _delete_receivers(self, user_id: str) -> bool:
        """Delete the webhook endpoints, the state of other receivers, the secrets and the limits of the webhooks."""
        return self._delete_found(
            RECEIVERS, user_id, Delete(sending_path(user_id)), Delete(webhook_secret_path(user_id))
        )

    def _delete_deliveries(self, user_id: str) -> bool:
        return self._delete_found(DELIVERIES, user_id)

    def _erase_remarks(self, user_id: str) -> bool:
        """Remove the reasons of grants and corrections, and the free text of old ledger entries."""

        def attempt(_tries: int) -> bool:
            documents = [
                *self.database.find(reasons(user_id, PAGE_SIZE)),
                *self.database.find(remarks(user_id, PAGE_SIZE)),
            ]
            self._commit([erase_reason(document) for document in documents])
            return len(documents) < PAGE_SIZE

        return self.settlements.retry(attempt)

    def _erase_return_urls(self, user_id: str) -> bool:
        """Remove the pages to which the buyer returned from purchases. A caller chose their paths."""

        def attempt(_tries: int) -> bool:
            documents = self.database.find(return_urls(user_id, PAGE_SIZE))
            self._commit([erase_return_url(document) for document in documents])
            return len(documents) < PAGE_SIZE

        return self.settlements.retry(attempt)

    def _delete_exports(self, user_id: str) -> bool:
        self._commit([Delete(export_path(user_id))])
        return self.images.store.delete(user_folder(user_id))

    def _erase_requests(self, user_id: str) -> bool:
        return self._erase_next(user_id, leave_open=False)

    def _erase_ended_requests(self, user_id: str) -> bool:
        return self._erase_next(user_id, leave_open=True)

    def _erase_next(self, user_id: str, *, leave_open: bool) -> bool:
        """Erase the next requests, and delete the e-mails about them. The same commit records how far it got.

        With ``leave_open``, those that have not ended stay. As these are erased later, both ways have their own record.
        """

        def attempt(_tries: int) -> bool:
            [document] = self.database.read(deletion_path(user_id))
            deletion = deletion_of(document)
            after = deletion.ended_erased_up_to if leave_open else deletion.erased_up_to
            requests = self.database.find(requests_of(user_id, after))
            if not requests:
                return True
            now, last = self.clock.now(), requests[-1].id
            chosen = [request for request in requests if not (leave_open and is_open(request))]
            erased = [erase_request(request, now) for request in chosen if not is_erased(request)]
            mails = [path for request in chosen for path in self._mail_paths(request)]
            progress = (
                replace(deletion, ended_erased_up_to=last) if leave_open else replace(deletion, erased_up_to=last)
            )
            self._commit([*erased, *map(Delete, mails), write_deletion(document, progress)])
            return len(requests) < PAGE_SIZE

        return self.settlements.retry(attempt)

    def _delete_pictures(self, user_id: str) -> bool:
        return self.images.delete_some_of(user_id)

    def _mail_paths(self, request: Snapshot) -> Sequence[str]:
        collection = self.settlements.mail_collection
        return mail_paths(collection, request.id) if collection else ()

    def _delete_found(self, collection: str, user_id: str, *others: Delete) -> bool:
        """Delete the next documents of a user in a collection, and other documents. Return whether none is left."""
        documents = self.database.find(Query(collection, (Where("userId", "==", user_id),), limit=PAGE_SIZE))
        self._commit([*(Delete(document.path) for document in documents), *others])
        return len(documents) < PAGE_SIZE

    def _commit(self, writes: Sequence[Write]) -> None:
        if writes:
            self.database.commit(*writes)

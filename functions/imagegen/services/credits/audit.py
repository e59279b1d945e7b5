"""Checks every invariant of the credits over the whole database, or for one user.

The audit changes nothing. It holds one user's ledger and one page of requests in memory. If the database is in use, a
document that changes between two reads can cause a finding that a second run does not confirm.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from imagegen.dataclass import dataclass
from imagegen.documents.account_data import DELETIONS, deletion_of, deletion_path
from imagegen.documents.accounts import (
    OF_A_REQUEST,
    TRIAL_CLAIMS,
    USERS,
    account_of,
    claimant_of,
    endpoints_of_user,
    entry_of,
    entry_path,
    is_deleted,
    ledger_path,
    user_path,
    wallet_of,
    without_profile,
)
from imagegen.documents.fields import Unreadable
from imagegen.documents.generations import REQUESTS, request_of, request_path
from imagegen.documents.purchases import PURCHASES, purchase_of, purchase_path
from imagegen.domain.account import Account, Usage, usage_of_requests
from imagegen.domain.account_data import DELETION_TIME_MAX
from imagegen.domain.audit import Coverage, Finding, Invariant
from imagegen.domain.generation import REFUNDED, GenerationRequest, entry_id
from imagegen.domain.ledger import GENESIS, Credits, EntryType, LedgerEntry, Wallet
from imagegen.domain.purchases import (
    PAID_STATUSES,
    Purchase,
    PurchaseTotals,
    purchase_entry_id,
    totals_by_purchase,
)
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Snapshot, Where
from imagegen.services.credits.accounts import WELCOME_GRANT

READ_PAGE_SIZE = 200

USER_DOCUMENTS_MAX = 20_000
"""The most ledger entries, and the most requests, of a user whom the daily audit checks. It holds them in memory."""

T = TypeVar("T")


class TooLarge(Exception):
    """A user has more documents than can be checked at once."""


@dataclass(frozen=True)
class Audit:
    database: Database
    clock: Clock

    def findings(self, coverage: Coverage | None = None) -> Iterator[Finding]:
        """Yield every violation as it is found, and count the documents. Raises DatabaseUnavailable."""
        for finding in self._all(coverage or Coverage()):
            owners = (path.split("/")[1] for path in finding.documents if path.startswith(f"{USERS}/"))
            yield replace(finding, user_id=finding.user_id or next(owners, None))

    def _all(self, coverage: Coverage) -> Iterator[Finding]:
        for user in self.database.scan(USERS):
            coverage.users += 1
            entries = list(self.database.scan(ledger_path(user.id)))
            coverage.entries += len(entries)
            yield from self._user(user, entries)
        for page in _pages(self.database.scan(REQUESTS), READ_PAGE_SIZE):
            coverage.requests += len(page)
            yield from self._requests(page)
        for page in _pages(self.database.scan(TRIAL_CLAIMS), READ_PAGE_SIZE):
            yield from self._trial_claims(page)
        for page in _pages(self.database.scan(PURCHASES), READ_PAGE_SIZE):
            yield from self._purchases(page)
        for page in _pages(self.database.scan(DELETIONS), READ_PAGE_SIZE):
            yield from self._deletions_of_open_accounts(page)

    def findings_of(self, user: Snapshot, coverage: Coverage, until: float) -> Iterator[Finding]:
        """Yield every violation in a user's account, requests, trial claims and deletion, and count the documents.

        Raises DatabaseUnavailable, and TooLarge if the user has more than ``USER_DOCUMENTS_MAX`` entries or requests,
        or if ``until`` has passed, in seconds of the clock.
        """
        coverage.users += 1
        entries = list(self._bounded(self.database.scan(ledger_path(user.id)), until))
        requests = list(self._bounded(self._documents_of(user.id, REQUESTS), until))
        coverage.entries += len(entries)
        coverage.requests += len(requests)
        yield from self._user(user, entries)
        for page in _pages(self._bounded(requests, until), READ_PAGE_SIZE):
            yield from self._requests(page)
        for page in _pages(self._bounded(self._documents_of(user.id, TRIAL_CLAIMS), until), READ_PAGE_SIZE):
            yield from self._trial_claims(page)

    def _documents_of(self, user_id: str, collection: str) -> Iterator[Snapshot]:
        """Yield the documents of a collection that belong to a user, page by page."""
        query = Query(collection, (Where("userId", "==", user_id),), "__name__", ascending=True, limit=READ_PAGE_SIZE)
        while page := self.database.find(query):
            yield from page
            if len(page) < READ_PAGE_SIZE:
                return
            query = replace(query, start_after=(page[-1].id,))

    def _bounded(self, documents: Iterable[Snapshot], until: float) -> Iterator[Snapshot]:
        for number, document in enumerate(documents):
            if number >= USER_DOCUMENTS_MAX or (number % READ_PAGE_SIZE == 0 and self.clock.monotonic() > until):
                raise TooLarge
            yield document

    def _user(self, user: Snapshot, documents: Sequence[Snapshot]) -> Iterator[Finding]:
        """Yield the violations in a user's account. Leave out the checks that need a document that cannot be read.

        ``documents`` are the entries of the user's ledger.
        """
        accounts, unreadable_account = _read("The account", account_of, [user])
        _, unreadable_endpoints = _read("The list of webhook endpoints", endpoints_of_user, [user])
        entries, unreadable_entries = _read("The ledger entry", partial(entry_of, user.id), documents)
        if is_deleted(user):
            yield from self._deletion_of(user)
        yield from (*unreadable_account, *unreadable_endpoints, *unreadable_entries)
        if unreadable_entries:
            return
        entries.sort(key=lambda entry: entry.seq)
        requests, unreadable_requests = self._requests_of(entries)
        for account in accounts:
            yield from _wallet(user.path, account, entries)
            if not unreadable_requests:
                yield from _usage(user.path, account, requests.values())
        readable = [entry for entry in entries if entry.generation_request_id not in unreadable_requests]
        yield from _ownership(readable, requests)
        for account in accounts:
            yield from self._purchases_of(account.wallet, entries)

    def _requests_of(self, entries: Iterable[LedgerEntry]) -> tuple[dict[str, GenerationRequest], set[str]]:
        """Return the existing requests that the ledger entries name, by id, and the ids of those that are unreadable.

        ``_requests`` yields the findings of the unreadable ones.
        """
        ids = {entry.generation_request_id for entry in entries if entry.generation_request_id}
        found: dict[str, GenerationRequest] = {}
        existing: set[str] = set()
        for page in _pages(ids, READ_PAGE_SIZE):
            documents = self.database.read(*(request_path(request_id) for request_id in page))
            requests, _ = _read("The request", request_of, (document for document in documents if document.exists))
            existing |= {document.id for document in documents if document.exists}
            found |= {request.id: request for request in requests}
        return found, existing - found.keys()

    def _requests(self, documents: Sequence[Snapshot]) -> Iterator[Finding]:
        """Yield the requests that cannot be read, have no deduction, or did not end with their lease."""
        requests, unreadable = _read("The request", request_of, documents)
        yield from unreadable
        deductions = self.database.read(*(_entry_path(request, EntryType.DEDUCTION) for request in requests))
        for request, deduction in zip(requests, deductions, strict=True):
            if not deduction.exists:
                yield Finding(
                    Invariant.SETTLEMENT,
                    f"The request cost {request.cost} credits, but nothing was deducted.",
                    (request_path(request.id), deduction.path),
                )
            if request.is_open and request.must_end_by < self.clock.now():
                yield Finding(
                    Invariant.END,
                    f"The request is open, but its lease expired at {request.must_end_by:%Y-%m-%d %H:%M:%S}.",
                    (request_path(request.id),),
                    request.user_id,
                )

    def _purchases_of(self, wallet: Wallet, entries: Sequence[LedgerEntry]) -> Iterator[Finding]:
        """Yield the violations in the ledger entries of a user's purchases, and in what the user owes for them.

        ``_purchases`` yields the findings of the purchases that cannot be read.
        """
        booked = totals_by_purchase(entries)
        for page in _pages({**booked, **{debt.purchase_id: None for debt in wallet.debts}}, READ_PAGE_SIZE):
            for document in self.database.read(*(purchase_path(purchase_id) for purchase_id in page)):
                readable, _ = _read("The purchase", _existing_purchase, [document])
                for purchase in readable:
                    totals = booked.get(document.id, PurchaseTotals())
                    yield from _purchase(document.path, purchase, wallet, totals)

    def _purchases(self, documents: Sequence[Snapshot]) -> Iterator[Finding]:
        """Yield the purchases that cannot be read, differ from their session, or are not granted though paid."""
        purchases, unreadable = _read("The purchase", purchase_of, documents)
        yield from unreadable
        grants = self.database.read(
            *(entry_path(purchase.user_id, purchase_entry_id(purchase.id)) for purchase in purchases)
        )
        for purchase, grant in zip(purchases, grants, strict=True):
            if purchase.discrepancy is not None:
                message = f"The purchase differs from what the payment provider says: {purchase.discrepancy}."
                yield Finding(Invariant.PURCHASE, message, (purchase_path(purchase.id),), purchase.user_id)
            if (purchase.status in PAID_STATUSES) is not grant.exists:
                message = (
                    f"The purchase is {purchase.status}, and its credits are {'' if grant.exists else 'not '}granted."
                )
                yield Finding(Invariant.PURCHASE, message, (purchase_path(purchase.id), grant.path), purchase.user_id)

    def _trial_claims(self, claims: Sequence[Snapshot]) -> Iterator[Finding]:
        """Yield the claims that cannot be read, or whose user exists without the grant."""
        readable, unreadable = _read("The claim", lambda claim: (claim.path, claimant_of(claim)), claims)
        yield from unreadable
        users = self.database.read(*(user_path(user_id) for _, user_id in readable))
        grants = self.database.read(*(entry_path(user_id, WELCOME_GRANT) for _, user_id in readable))
        for (path, _), user, grant in zip(readable, users, grants, strict=True):
            if user.exists and not grant.exists:
                yield Finding(Invariant.TRIAL, "The trial credits were claimed, but not granted.", (path, grant.path))

    def _deletion_of(self, user: Snapshot) -> Iterator[Finding]:
        """Yield what is wrong with the deletion of a closed account."""
        [document] = self.database.read(deletion_path(user.id))
        if document.exists:
            yield from self._deletion(document, user)
        else:
            yield Finding(Invariant.DELETION, "The account was closed, but nothing deletes it.", (user.path,), user.id)

    def _deletions_of_open_accounts(self, documents: Sequence[Snapshot]) -> Iterator[Finding]:
        """Yield what is wrong with the deletions of accounts that are not closed. ``_user`` looks at the others."""
        users = self.database.read(*(user_path(document.id) for document in documents))
        for document, user in zip(documents, users, strict=True):
            if not is_deleted(user):
                yield from self._deletion(document, user)

    def _deletion(self, document: Snapshot, user: Snapshot) -> Iterator[Finding]:
        """Yield that a deletion takes too long, or has finished and left something."""
        deletions, unreadable = _read("The deletion", deletion_of, [document])
        yield from unreadable
        wallets, _ = _read("The account", wallet_of, [user])  # `_user` yields the finding of one that is unreadable
        found = partial(Finding, Invariant.DELETION, documents=(document.path, user.path), user_id=user.id)
        for deletion in deletions:
            if deletion.finished_at is None:
                if deletion.requested_at + DELETION_TIME_MAX < self.clock.now():
                    asked = f"{deletion.requested_at:%Y-%m-%d %H:%M:%S}"
                    yield found(f"The deletion of {asked} has not finished.")
            elif not is_deleted(user):
                yield found("The deletion has finished, but the account is in use.")
            elif without_profile(user).data != user.data or any(wallet.credits.total for wallet in wallets):
                yield found("The deletion has left credits or a profile.")


def _read(what: str, of: Callable[[Snapshot], T], documents: Iterable[Snapshot]) -> tuple[list[T], list[Finding]]:
    """Return the documents that can be read, converted by ``of``, and a finding for each of the others."""
    read: list[T] = []
    unreadable: list[Finding] = []
    for document in documents:
        try:
            read.append(of(document))
        except Unreadable as error:
            message = f"{what} cannot be read: the field {error.field} is missing or not valid."
            unreadable.append(Finding(Invariant.READABLE, message, (document.path,)))
    return read, unreadable


def _wallet(path: str, account: Account, entries: Sequence[LedgerEntry]) -> Iterator[Finding]:
    wallet = account.wallet
    last = _path(entries[-1]) if entries else path
    booked = Credits(
        trial=sum(entry.type.sign * entry.amount.trial for entry in entries),
        paid=sum(entry.type.sign * entry.amount.paid for entry in entries),
    )
    if booked != wallet.credits:
        yield Finding(
            Invariant.BALANCE, f"The balance is {wallet.credits}, but the ledger adds up to {booked}.", (path,)
        )
    for type in EntryType:
        total = sum(entry.amount.total for entry in entries if entry.type is type)
        if wallet.lifetime.get(type, 0) != total:
            stated = wallet.lifetime.get(type, 0)
            yield Finding(
                Invariant.BALANCE,
                f"The lifetime total of {type} is {stated}, but the ledger adds up to {total}.",
                (path,),
            )
    head, balance = GENESIS, 0
    for number, entry in enumerate(entries, start=1):
        balance += entry.type.sign * entry.amount.total
        if entry.seq != number:
            yield Finding(
                Invariant.SEQUENCE, f"The next entry should have number {number}, not {entry.seq}.", (_path(entry),)
            )
            break  # the numbers of the following entries are shifted too
        if entry.balance_after != balance or balance < 0:
            yield Finding(
                Invariant.SEQUENCE,
                f"The balance after this entry is {balance}, but the entry says {entry.balance_after}.",
                (_path(entry),),
            )
        if entry.sealed(head).hash != entry.hash:
            yield Finding(
                Invariant.CHAIN, "The hash does not match this entry and the hash before it.", (_path(entry),)
            )
        head = entry.hash
    if wallet.seq != len(entries):
        yield Finding(
            Invariant.SEQUENCE, f"The wallet counts {wallet.seq} entries, but there are {len(entries)}.", (path, last)
        )
    elif wallet.head != head:
        yield Finding(Invariant.CHAIN, "The wallet's head is not the last entry's hash.", (path, last))


def _ownership(entries: Sequence[LedgerEntry], requests: dict[str, GenerationRequest]) -> Iterator[Finding]:
    booked: dict[str, dict[EntryType, list[LedgerEntry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if entry.generation_request_id is None and entry.type not in OF_A_REQUEST:
            continue
        request = requests.get(entry.generation_request_id or "")
        if request is None or request.user_id != entry.user_id:
            yield Finding(
                Invariant.OWNERSHIP, f"The {entry.type} does not belong to a request of its user.", (_path(entry),)
            )
            continue
        booked[request.id][entry.type].append(entry)
        if entry.type is not EntryType.CORRECTION and (
            entry.amount != request.paid_from or entry.amount.total != request.cost
        ):
            yield Finding(
                Invariant.OWNERSHIP,
                f"The {entry.type} is {entry.amount}, but the request cost {request.cost}, from {request.paid_from}.",
                (_path(entry), request_path(request.id)),
            )
    for request_id, by_type in booked.items():
        request = requests[request_id]
        is_refunded = request.status in REFUNDED
        deductions, refunds = by_type[EntryType.DEDUCTION], by_type[EntryType.REFUND]
        if by_type[EntryType.CORRECTION]:
            booked_entries = [entry for entries_of_type in by_type.values() for entry in entries_of_type]
            charged = -sum(entry.type.sign * entry.amount.total for entry in booked_entries)
            right = charged == (0 if is_refunded else request.cost)
        else:
            right = len(deductions) == 1 and len(refunds) == (1 if is_refunded else 0)
        if not right:
            yield Finding(
                Invariant.SETTLEMENT,
                f"The request is {request.status} and has {len(deductions)} deductions and {len(refunds)} refunds.",
                (request_path(request_id), *(_path(entry) for entry in (*deductions, *refunds))),
            )


def _existing_purchase(document: Snapshot) -> Purchase | None:
    return purchase_of(document) if document.exists else None


def _purchase(path: str, purchase: Purchase | None, wallet: Wallet, booked: PurchaseTotals) -> Iterator[Finding]:
    user = user_path(wallet.user_id)
    if purchase is None or purchase.user_id != wallet.user_id:
        message = "The entries or the debt of a purchase do not belong to a purchase of their user."
        yield Finding(Invariant.OWNERSHIP, message, (path, user), wallet.user_id)
        return
    if (booked.entries, booked.granted) != ((1, purchase.credits) if purchase.credits_granted else (0, 0)):
        message = (
            f"The purchase granted {purchase.credits_granted} credits, but the ledger has {booked.granted} in "
            f"{booked.entries} entries."
        )
        yield Finding(Invariant.PURCHASE, message, (path, user), wallet.user_id)
    owed = wallet.debt_of(purchase.id)
    if booked.taken + owed != purchase.credits_due:
        message = (
            f"{purchase.credits_due} credits of the purchase are to be taken back, but {booked.taken} were taken, and "
            f"{owed} are owed."
        )
        yield Finding(Invariant.PURCHASE, message, (path, user), wallet.user_id)


def _usage(path: str, account: Account, requests: Iterable[GenerationRequest]) -> Iterator[Finding]:
    made = usage_of_requests(requests)
    for week in sorted(account.usage.keys() | made.keys()):
        expected = made.get(week, Usage())
        counted = account.usage.get(week, Usage())
        if counted != expected:
            yield Finding(
                Invariant.USAGE, f"The counters of week {week} are {counted}, but should be {expected}.", (path,)
            )


def _path(entry: LedgerEntry) -> str:
    return entry_path(entry.user_id, entry.id)


def _entry_path(request: GenerationRequest, type: EntryType) -> str:
    return entry_path(request.user_id, entry_id(request.id, type))


def _pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page

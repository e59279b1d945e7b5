"""A user's account: the wallet, the weekly usage, and the activity that the rate limits check."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime

from imagegen.dataclass import dataclass
from imagegen.domain.generation import REFUNDED, FailureReason, GenerationRequest, Status, entry_id
from imagegen.domain.ledger import EntryType, LedgerEntry, Wallet
from imagegen.domain.limits import Activity, Limits
from imagegen.domain.weeks import Week


@dataclass(frozen=True)
class Usage:
    """The counts of a user's requests created in one week, and the credits of these requests."""

    requests: int = 0
    failed: int = 0
    credits_deducted: int = 0
    credits_refunded: int = 0


def usage_of_requests(requests: Iterable[GenerationRequest]) -> dict[Week, Usage]:
    """Return the weekly counts of all of a user's requests."""
    by_week: dict[Week, list[GenerationRequest]] = defaultdict(list)
    for request in requests:
        by_week[request.week].append(request)
    return {
        week: Usage(
            requests=len(made),
            failed=sum(request.status is Status.FAILED for request in made),
            credits_deducted=sum(request.cost for request in made),
            credits_refunded=sum(request.cost for request in made if request.status in REFUNDED),
        )
        for week, made in by_week.items()
    }


@dataclass(frozen=True)
class Account:
    """The fields of a user's document that reserving and refunding update together."""

    wallet: Wallet
    usage: Mapping[Week, Usage] = field(default_factory=dict)
    activity: Activity = field(default_factory=Activity)

    def reserve(self, request: GenerationRequest) -> tuple["Account", LedgerEntry]:
        """Return the account after paying for ``request``, and the deduction."""
        wallet, entry = self.wallet.post(
            EntryType.DEDUCTION,
            request.paid_from,
            entry_id=entry_id(request.id, EntryType.DEDUCTION),
            generation_request_id=request.id,
            timestamp=request.created_at,
        )
        used = self.usage.get(request.week, Usage())
        used = replace(used, requests=used.requests + 1, credits_deducted=used.credits_deducted + request.cost)
        usage = {**self.usage, request.week: used}
        return replace(self, wallet=wallet, usage=usage, activity=self.activity.started(request.id)), entry

    def refund(
        self, request: GenerationRequest, reason: FailureReason, at: datetime
    ) -> tuple["Account", list[LedgerEntry]]:
        """Return the account after refunding ``request`` to the buckets that paid for it, and the entries.

        The first entry is the refund. If the user owes credits of purchases, the others take their part of it.
        """
        wallet, entry = self.wallet.post(
            EntryType.REFUND,
            request.paid_from,
            entry_id=entry_id(request.id, EntryType.REFUND),
            generation_request_id=request.id,
            timestamp=at,
        )
        wallet, reversals = wallet.settle_debts(entry) if wallet.debts else (wallet, [])
        used = self.usage.get(request.week, Usage())
        failed = used.failed + (reason is not FailureReason.CANCELED)
        used = replace(used, failed=failed, credits_refunded=used.credits_refunded + request.cost)
        usage = {**self.usage, request.week: used}
        return replace(self, wallet=wallet, usage=usage, activity=self.activity.ended(request.id)), [entry, *reversals]

    def cancel(self, request: GenerationRequest, limits: Limits, at: datetime) -> tuple["Account", list[LedgerEntry]]:
        """Return the account after canceling and refunding ``request``, and the entries of the refund.

        If the request's model runs, the operator may have to pay for the run, so each user can cancel only a limited
        number of runs. Raises TooFast for further ones.
        """
        account, entries = self.refund(request, FailureReason.CANCELED, at)
        if request.status is Status.PROCESSING:
            account = replace(account, activity=self.activity.run_canceled(limits, at))
        return account, entries

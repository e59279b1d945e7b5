"""A user's account: the wallet, its weekly usage, and what the rate limits know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from imagegen.domain.generation import FailureReason, GenerationRequest, entry_id
from imagegen.domain.ledger import EntryType, LedgerEntry, Wallet
from imagegen.domain.limits import Activity
from imagegen.domain.weeks import Week


@dataclass(frozen=True)
class Usage:
    """What a user did in one week: requests made in it, how many of those failed, and their credits."""

    requests: int = 0
    failed: int = 0
    credits_deducted: int = 0
    credits_refunded: int = 0


@dataclass(frozen=True)
class Account:
    """The part of a user's document that the money path reads and writes as one."""

    wallet: Wallet
    usage: Mapping[Week, Usage] = field(default_factory=dict)
    activity: Activity = field(default_factory=Activity)

    def reserve(self, request: GenerationRequest) -> tuple["Account", LedgerEntry]:
        """The account after paying for ``request``, and the deduction."""
        wallet, entry = self.wallet.post(
            EntryType.DEDUCTION,
            request.paid_from,
            entry_id=entry_id(request.id, EntryType.DEDUCTION),
            generation_request_id=request.id,
            timestamp=request.created_at,
        )
        used = self.usage.get(request.week, Usage())
        used = replace(used, requests=used.requests + 1, credits_deducted=used.credits_deducted + request.cost)
        return Account(wallet, {**self.usage, request.week: used}, self.activity.started(request.id)), entry

    def refund(self, request: GenerationRequest, reason: FailureReason, at: datetime) -> tuple["Account", LedgerEntry]:
        """The account after giving back what ``request`` took, to the buckets it came from, and the refund."""
        wallet, entry = self.wallet.post(
            EntryType.REFUND,
            request.paid_from,
            entry_id=entry_id(request.id, EntryType.REFUND),
            generation_request_id=request.id,
            timestamp=at,
        )
        used = self.usage.get(request.week, Usage())
        failed = used.failed + (reason is not FailureReason.CANCELED)
        used = replace(used, failed=failed, credits_refunded=used.credits_refunded + request.cost)
        return Account(wallet, {**self.usage, request.week: used}, self.activity.ended(request.id)), entry

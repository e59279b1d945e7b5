"""The operations on users' accounts: register, get the balance, and grant credits."""

from typing import Annotated, Self

from pydantic import Field

from imagegen import settings
from imagegen.api.auth import Access
from imagegen.api.fields import CreditAmount, DocumentId, IdempotencyKey, Reason
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, Request, example
from imagegen.api.responses import REPLAYED, Number, Replayed, Response
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import EntryType, Wallet
from imagegen.errors import AccountLost, Contention, GrantLimitReached, IdempotencyMismatch, UserNotFound
from imagegen.services.credits.accounts import Granted


class RegisterUser(OfUser):
    model_config = example(userId="user-100")


class GetCreditBalance(OfUser):
    model_config = example(userId="user-10")


class GrantCredits(Request):
    model_config = example(
        userId="user-100", credits=10, bucket="paid", reason="goodwill", idempotencyKey="goodwill-2026-11"
    )

    user_id: DocumentId
    credits: CreditAmount
    bucket: Annotated[Bucket, Field(strict=False)]
    reason: Reason
    idempotency_key: IdempotencyKey


class Balance(Response):
    """The credits of a user in the REST API."""

    trial_credits: Number
    token_balance: Number
    total_available: Number

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        credits = wallet.credits
        return cls(trial_credits=credits.trial, token_balance=credits.paid, total_available=credits.total)


class Lifetime(Response):
    """The sums of all ledger entries by type.

    granted - spent + refunded + corrected + purchased - reversed + reinstated is the balance. The last three are left
    out while they are 0.
    """

    granted: Number
    spent: Number
    refunded: Number
    corrected: int
    purchased: Number | None = None
    reversed: Number | None = None
    reinstated: Number | None = None


class CreditBalance(Balance):
    lifetime: Lifetime

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        lifetime = wallet.lifetime
        return cls(
            **dict(Balance.of(wallet)),
            lifetime=Lifetime(
                granted=lifetime.get(EntryType.GRANT, 0),
                spent=lifetime.get(EntryType.DEDUCTION, 0),
                refunded=lifetime.get(EntryType.REFUND, 0),
                corrected=lifetime.get(EntryType.CORRECTION, 0),
                purchased=lifetime.get(EntryType.PURCHASE),
                reversed=lifetime.get(EntryType.REVERSAL),
                reinstated=lifetime.get(EntryType.REINSTATEMENT),
            ),
        )


class RegisteredUser(CreditBalance):
    user_id: str

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        return cls(user_id=wallet.user_id, **dict(CreditBalance.of(wallet)))


class GrantedCredits(Response):
    transaction_id: str
    user_id: str
    bucket: Bucket
    granted_credits: Number
    balance_after: Number = Field(description="The user's balance after the grant.")
    replayed: Replayed = REPLAYED

    @classmethod
    def of(cls, granted: Granted) -> Self:
        grant = granted.grant
        return cls(
            transaction_id=grant.entry_id,
            user_id=grant.user_id,
            bucket=grant.bucket,
            granted_credits=grant.credits,
            balance_after=grant.balance_after,
            replayed=granted.is_replay or None,
        )


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def get_credit_balance(backend: Backend, call: Call[GetCreditBalance]) -> CreditBalance:
    """Returns a user's trial and paid credits, and the lifetime totals granted, spent, refunded and corrected."""
    return CreditBalance.of(backend.accounts.wallet(call.params.user_id))


@operation(AccountLost, Contention, access=Access.OWNER)
def register_user(backend: Backend, call: Call[RegisterUser]) -> RegisteredUser:
    """Opens the caller's account, or returns the existing account. Grants the trial credits, once for each person.

    If the caller's e-mail address is not verified yet, a call after its verification grants them.
    """
    user_id, caller = call.params.user_id, call.caller
    wallet = backend.accounts.register(user_id, caller.profile, caller.person(user_id), settings.trial_credits())
    return RegisteredUser.of(wallet)


@operation(UserNotFound, GrantLimitReached, IdempotencyMismatch, Contention, access=Access.ADMIN, scope=Scope.GRANT)
def grant_credits(backend: Backend, call: Call[GrantCredits]) -> GrantedCredits:
    """Adds credits to a user's account, once per idempotency key."""
    admin, params = call.caller.uid, call.params
    assert admin is not None, "every admin is signed in"
    grant = backend.accounts.grant(
        params.user_id,
        params.bucket,
        params.credits,
        reason=params.reason,
        key=params.idempotency_key,
        granted_by=admin,
        api_key_id=None if call.caller.api_key is None else call.caller.api_key.id,
        earlier_keys=call.earlier_keys,
    )
    return GrantedCredits.of(grant)

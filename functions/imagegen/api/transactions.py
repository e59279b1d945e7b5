"""The operations that list the entries of a user's ledger."""

from typing import Annotated, Literal, Self

from pydantic import AliasPath, Field

from imagegen.api import page_tokens
from imagegen.api.auth import Access
from imagegen.api.fields import PAGE_SIZE_DEFAULT, PageSize
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, example
from imagegen.api.responses import NEXT_PAGE, Described, Number, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.ledger import EntryType, LedgerEntry
from imagegen.errors import UserNotFound
from imagegen.services.credits.history import OF_REQUESTS, History
from imagegen.services.pagination import Page

_CREDITS_QUERY = ("user_id",)


class GetUserCredits(OfUser):
    model_config = example(userId="user-100", pageSize=20)

    page_size: PageSize = PAGE_SIZE_DEFAULT
    before_seq: Annotated[
        int | float | None, page_tokens.position(page_tokens.entry_number, *_CREDITS_QUERY), page_tokens.TOKEN_SCHEMA
    ] = Field(default=None, alias="pageToken")

    def next_token(self, page: Page[LedgerEntry]) -> str | None:
        """Return the token of the page that follows, or None."""
        return page_tokens.after_entry(page_tokens.query_of(vars(self), _CREDITS_QUERY), page.next)


_TRANSACTIONS_QUERY = ("user_id", "type")


class FilteredTransactions(OfUser):
    """A filter of a user's transactions."""

    type: Annotated[EntryType, Field(strict=False)] | None = None
    before_seq: Annotated[
        int | float | None,
        page_tokens.position(page_tokens.entry_number, *_TRANSACTIONS_QUERY),
        page_tokens.TOKEN_SCHEMA,
    ] = Field(default=None, alias="pageToken")

    def next_token(self, page: Page[LedgerEntry]) -> str | None:
        """Return the token of the page that follows, or None."""
        return page_tokens.after_entry(page_tokens.query_of(vars(self), _TRANSACTIONS_QUERY), page.next)


class ListCreditTransactions(FilteredTransactions):
    model_config = example(userId="user-100", type="grant", pageSize=20)

    page_size: PageSize = PAGE_SIZE_DEFAULT


class Transaction(Described):
    id: str
    type: Literal["deduction", "refund"]
    credits: Number = Field(validation_alias=AliasPath("amount", "total"))
    generation_request_id: str
    timestamp: Time


class UserCredits(Response):
    current_credits: Number
    transactions: list[Transaction]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: GetUserCredits, history: History) -> Self:
        page = history.entries
        return cls(
            current_credits=history.wallet.credits.total,
            transactions=[Transaction.of(entry) for entry in page.items],
            next_page_token=params.next_token(page),
        )


class LedgerTransaction(Described):
    """An entry of a user's ledger."""

    id: str
    type: EntryType
    credits: int = Field(
        validation_alias=AliasPath("amount", "total"),
        description="The amount. A deduction, a reversal or a forfeit takes it from the balance, and each other type "
        "adds it. Only a correction can be negative.",
    )
    balance_after: Number = Field(description="The balance after this transaction.")
    generation_request_id: str | None
    purchase_id: str | None
    timestamp: Time


class CreditTransactionList(Response):
    current_credits: Number
    transactions: list[LedgerTransaction]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListCreditTransactions, history: History) -> Self:
        page = history.entries
        return cls(
            current_credits=history.wallet.credits.total,
            transactions=[LedgerTransaction.of(entry) for entry in page.items],
            next_page_token=params.next_token(page),
        )


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def get_user_credits(backend: Backend, call: Call[GetUserCredits]) -> UserCredits:
    """Returns a user's balance and a page of the user's deductions and refunds, newest first."""
    params = call.params
    history = backend.histories.page(params.user_id, params.page_size, params.before_seq, OF_REQUESTS)
    return UserCredits.of(params, history)


@operation(UserNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_credit_transactions(backend: Backend, call: Call[ListCreditTransactions]) -> CreditTransactionList:
    """Returns a page of all changes of a user's balance, newest first, with the balance after each.

    You can filter them by type.
    """
    params = call.params
    types = None if params.type is None else (params.type,)
    history = backend.histories.page(params.user_id, params.page_size, params.before_seq, types)
    return CreditTransactionList.of(params, history)

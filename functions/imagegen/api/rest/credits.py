"""The operations on credits that the REST API has in another form."""

from typing import Self

from pydantic import Field

from imagegen.api.accounts import Balance, GetCreditBalance, get_credit_balance
from imagegen.api.fields import LIMIT_DEFAULT, Limit
from imagegen.api.operation import Call, variant
from imagegen.api.requests import example
from imagegen.api.responses import NEXT_PAGE, Response
from imagegen.api.transactions import FilteredTransactions, LedgerTransaction, list_credit_transactions
from imagegen.bootstrap import Backend
from imagegen.domain.ledger import LedgerEntry
from imagegen.services.pagination import Page


class ListTransactions(FilteredTransactions):
    model_config = example(userId="user-100", type="grant", limit=20)

    limit: Limit = LIMIT_DEFAULT


class TransactionList(Response):
    """A page of transactions in the REST API."""

    items: list[LedgerTransaction]
    next: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListTransactions, page: Page[LedgerEntry]) -> Self:
        return cls(
            items=[LedgerTransaction.of(entry) for entry in page.items],
            next=params.next_token(page),
        )


@variant(get_credit_balance)
def get_balance(backend: Backend, call: Call[GetCreditBalance]) -> Balance:
    """Returns a user's trial and paid credits."""
    return Balance.of(backend.accounts.wallet(call.params.user_id))


@variant(list_credit_transactions)
def list_transactions(backend: Backend, call: Call[ListTransactions]) -> TransactionList:
    """Returns a page of all changes of a user's balance, newest first, with the balance after each."""
    params = call.params
    types = None if params.type is None else (params.type,)
    history = backend.histories.page(params.user_id, params.limit, params.before_seq, types)
    return TransactionList.of(params, history.entries)

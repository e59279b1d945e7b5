"""The operation on purchases that the REST API has in another form."""

from typing import Self

from pydantic import Field

from imagegen.api.fields import LIMIT_DEFAULT, Limit
from imagegen.api.operation import Call, variant
from imagegen.api.purchases import FilteredPurchases, Purchase, list_purchases
from imagegen.api.requests import example
from imagegen.api.responses import NEXT_PAGE, Response
from imagegen.bootstrap import Backend
from imagegen.services.pagination import Page
from imagegen.services.purchases.queries import PurchaseDetails


class ListPurchasesByLimit(FilteredPurchases):
    model_config = example(userId="user-100", limit=20)

    limit: Limit = LIMIT_DEFAULT


class PurchasePage(Response):
    """A page of purchases in the REST API."""

    items: list[Purchase]
    next: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListPurchasesByLimit, page: Page[PurchaseDetails]) -> Self:
        return cls(items=[Purchase.of(details) for details in page.items], next=params.next_token(page))


@variant(list_purchases)
def list_purchase_page(backend: Backend, call: Call[ListPurchasesByLimit]) -> PurchasePage:
    """Returns a page of a user's purchases, newest first."""
    params = call.params
    return PurchasePage.of(params, backend.purchases.list(params.user_id, params.limit, params.after))

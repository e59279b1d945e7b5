"""The operations on purchases of credits."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AliasPath, Field
from pydantic_core import Url

from imagegen import settings
from imagegen.api import page_tokens
from imagegen.api.auth import Access
from imagegen.api.fields import PAGE_SIZE_DEFAULT, URL_LENGTH_MAX, DocumentId, IdempotencyKey, PageSize, refuse
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, Request, example
from imagegen.api.responses import NEXT_PAGE, REPLAYED, Described, Number, Replayed, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope
from imagegen.domain.ledger import DEBTS_MAX, TooManyDebts
from imagegen.domain.purchases import PurchaseStatus
from imagegen.errors import (
    Contention,
    IdempotencyMismatch,
    PackageNotFound,
    PaymentsUnavailable,
    PurchaseNotFound,
    ServiceUnavailable,
    TooManyPurchases,
    TooManyUncollected,
    UserNotFound,
)
from imagegen.ports.payments import PaymentsDown, PaymentsRefused
from imagegen.services.pagination import Page
from imagegen.services.purchases.create import CreatedPurchase, Order
from imagegen.services.purchases.queries import PurchaseDetails


def _return_url(value: str) -> str:
    """Return the URL as normalized by the URL standard. Its origin must be one that the operator allows."""
    url = _parsed(value)
    if url is None or url.username or url.password or not value.isprintable():
        raise refuse("is not a URL")
    if _origin(url) not in [_origin(_parsed(origin)) for origin in settings.return_origins()]:
        raise refuse("must be on a site of this project")
    return str(url)


def _parsed(text: str) -> Url | None:
    try:
        return Url(text)
    except ValueError:
        return None


def _origin(url: Url | None) -> tuple[object, ...] | None:
    return None if url is None else (url.scheme, url.host, url.port)


class CreatePurchase(OfUser):
    model_config = example(userId="user-100", package="starter", idempotencyKey="order-1")

    package: DocumentId = Field(description="The id of a package in getCatalog.")
    return_url: (
        Annotated[
            str,
            Field(
                max_length=URL_LENGTH_MAX,
                description="The page that the buyer returns to from the checkout. Its query gets the `purchaseId`, "
                "and `checkout` as `success` or `canceled`. The default is the project's site.",
            ),
            AfterValidator(_return_url),
        ]
        | None
    ) = None
    idempotency_key: IdempotencyKey | None = None


class OfPurchase(Request):
    model_config = example(purchaseId="1aa7461d823928a4c28ea9321b47fa56")

    purchase_id: DocumentId


class GetPurchase(OfPurchase):
    pass


class ReconcilePurchase(OfPurchase):
    pass


_LIST_QUERY = ("user_id",)


class FilteredPurchases(OfUser):
    """The purchases of a user, and the page of them."""

    after: Annotated[
        tuple[datetime, str] | None,
        page_tokens.position(page_tokens.moment_and_id, *_LIST_QUERY),
        page_tokens.TOKEN_SCHEMA,
    ] = Field(default=None, alias="pageToken")

    def next_token(self, page: Page[PurchaseDetails]) -> str | None:
        """Return the token of the page that follows, or None."""
        return page_tokens.after_moment(page_tokens.query_of(vars(self), _LIST_QUERY), page.next)


class ListPurchases(FilteredPurchases):
    model_config = example(userId="user-100", pageSize=20)

    page_size: PageSize = PAGE_SIZE_DEFAULT


_FIND_QUERY = ("status",)


class FindPurchases(Request):
    model_config = example(status="disputed", pageSize=20)

    status: Annotated[PurchaseStatus, Field(strict=False)]
    page_size: PageSize = PAGE_SIZE_DEFAULT
    after: Annotated[
        tuple[datetime, str] | None,
        page_tokens.position(page_tokens.moment_and_id, *_FIND_QUERY),
        page_tokens.TOKEN_SCHEMA,
    ] = Field(default=None, alias="pageToken")

    def next_token(self, page: Page[PurchaseDetails]) -> str | None:
        """Return the token of the page that follows, or None."""
        return page_tokens.after_moment(page_tokens.query_of(vars(self), _FIND_QUERY), page.next)


CHECKOUT_URL = "The page on which the buyer pays, while the purchase is open."


class PurchaseCheckout(Response):
    """The created purchase, and the page to pay it."""

    purchase_id: str
    status: PurchaseStatus
    checkout_url: str | None = Field(description=CHECKOUT_URL)
    expires_at: Time = Field(description="The time until which the purchase can be paid.")
    replayed: Replayed = REPLAYED

    @classmethod
    def of(cls, created: CreatedPurchase) -> Self:
        purchase = created.purchase
        return cls(
            purchase_id=purchase.id,
            status=purchase.status,
            checkout_url=purchase.checkout_url,
            expires_at=purchase.expires_at,
            replayed=created.is_replay or None,
        )


class Purchase(Described):
    """A purchase. Amounts are in minor units of the currency, such as cents."""

    purchase_id: str = Field(validation_alias=AliasPath("purchase", "id"))
    user_id: str = Field(validation_alias=AliasPath("purchase", "user_id"))
    package: str = Field(validation_alias=AliasPath("purchase", "package"))
    status: PurchaseStatus = Field(validation_alias=AliasPath("purchase", "status"))
    amount: Number = Field(validation_alias=AliasPath("purchase", "amount"))
    currency: str = Field(validation_alias=AliasPath("purchase", "currency"))
    credits: Number = Field(validation_alias=AliasPath("purchase", "credits"))
    credits_granted: Number = Field(validation_alias=AliasPath("purchase", "credits_granted"))
    credits_reversed: Number = Field(description="The credits that were taken back after refunds and disputes.")
    uncollected: Number = Field(
        description="The credits that could not be taken back, because they were spent. They are taken from your next "
        "purchases, and from refunds of generations that purchased credits paid for."
    )
    amount_refunded: Number = Field(validation_alias=AliasPath("purchase", "amount_refunded"))
    amount_disputed: Number = Field(validation_alias=AliasPath("purchase", "amount_disputed"))
    checkout_url: str | None = Field(validation_alias=AliasPath("purchase", "checkout_url"), description=CHECKOUT_URL)
    created_at: Time = Field(validation_alias=AliasPath("purchase", "created_at"))
    expires_at: Time = Field(validation_alias=AliasPath("purchase", "expires_at"))
    paid_at: Time | None = Field(validation_alias=AliasPath("purchase", "paid_at"))


class PurchaseList(Response):
    purchases: list[Purchase]
    next_page_token: str | None = Field(description=NEXT_PAGE)

    @classmethod
    def of(cls, params: ListPurchases | FindPurchases, page: Page[PurchaseDetails]) -> Self:
        return cls(purchases=[Purchase.of(details) for details in page.items], next_page_token=params.next_token(page))


@contextmanager
def _reconciliation_errors() -> Iterator[None]:
    """Convert the errors of a reconciliation, which has changed nothing then."""
    try:
        yield
    except PaymentsDown as error:
        raise ServiceUnavailable("The payment provider does not answer. Send the same call again.") from error
    except PaymentsRefused as error:
        raise PaymentsUnavailable(
            "The payment provider refuses the call. Nothing was changed. The operator must correct the configuration."
        ) from error
    except TooManyDebts as error:
        raise TooManyUncollected(
            f"The user owes credits for {DEBTS_MAX:,} purchases, so the refund or dispute of this one is not recorded. "
            "Nothing was changed. The next purchase settles what is owed.",
            purchasesOwedFor=DEBTS_MAX,
        ) from error


@operation(
    UserNotFound,
    PaymentsUnavailable,
    PackageNotFound,
    TooManyPurchases,
    TooManyUncollected,
    IdempotencyMismatch,
    Contention,
    access=Access.OWNER,
)
def create_purchase(backend: Backend, call: Call[CreatePurchase]) -> PurchaseCheckout:
    """Returns the checkout page on which the buyer pays for a package. The credits follow when it is paid."""
    params = call.params
    return_url = params.return_url or f"{settings.return_origins()[0]}/"
    order = Order(params.user_id, params.package, return_url, params.idempotency_key)
    with _reconciliation_errors():
        return PurchaseCheckout.of(backend.checkout.create(order))


@operation(PurchaseNotFound, access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def get_purchase(backend: Backend, call: Call[GetPurchase]) -> Purchase:
    """Returns one purchase as it was last reconciled."""
    return Purchase.of(backend.purchases.get(call.params.purchase_id, call.allows))


@operation(PurchaseNotFound, PaymentsUnavailable, TooManyUncollected, Contention, access=Access.OWNER_OR_ADMIN)
def reconcile_purchase(backend: Backend, call: Call[ReconcilePurchase]) -> Purchase:
    """Asks the payment provider about a purchase, grants what is due, and returns the purchase.

    It is for the page that the buyer returns to. Within five seconds after such a call, the provider is not asked
    again. Where payments are off, the purchase is returned as it was last reconciled.
    """
    if backend.payments is None:
        return Purchase.of(backend.purchases.get(call.params.purchase_id, call.allows))
    with _reconciliation_errors():
        return Purchase.of(backend.reconciliation.look(call.params.purchase_id, call.allows))


@operation(access=Access.OWNER_OR_ADMIN, scope=Scope.READ)
def list_purchases(backend: Backend, call: Call[ListPurchases]) -> PurchaseList:
    """Returns a page of a user's purchases, newest first."""
    params = call.params
    return PurchaseList.of(params, backend.purchases.list(params.user_id, params.page_size, params.after))


@operation(access=Access.ADMIN, scope=Scope.READ)
def find_purchases(backend: Backend, call: Call[FindPurchases]) -> PurchaseList:
    """Returns a page of all users' purchases with a status, newest first, with what each user owes."""
    params = call.params
    return PurchaseList.of(params, backend.purchases.find(params.status, params.page_size, params.after))

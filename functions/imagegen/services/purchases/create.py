"""Creates purchases: the document first, then the checkout session that carries its id.

A call that failed in between can be repeated: everything that the session is made of derives from the document, and
the provider returns the same session again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.accounts import update_purchases_earned_at, user_path
from imagegen.documents.purchases import PURCHASES, create_purchase, purchase_of, purchase_path, update_purchase
from imagegen.domain.limits import TooFast
from imagegen.domain.purchases import CREATION, OPEN_MAX, Purchase, PurchaseStatus, keyed_purchase_id
from imagegen.errors import (
    IdempotencyMismatch,
    PackageNotFound,
    PaymentsUnavailable,
    RateLimited,
    ServiceUnavailable,
    TooManyPurchases,
)
from imagegen.events import Event
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Snapshot, Sum, Update, Where
from imagegen.ports.payments import NewSession, Payments, PaymentsDown, PaymentsRefused, Session
from imagegen.services.credits.accounts import refuse_deleted, require_user
from imagegen.services.purchases.packages import Offer, Packages
from imagegen.services.purchases.reconcile import Reconciliation
from imagegen.services.retry import Retry


@dataclass(frozen=True)
class Order:
    """An order of a package. ``return_url`` is a page of the seller, to which the buyer returns."""

    user_id: str
    package: str
    return_url: str
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """A hash of what is ordered. Only an equal order repeats a call with the same idempotency key."""
        return hashlib.sha256(json.dumps([self.package, self.return_url]).encode()).hexdigest()


@dataclass(frozen=True)
class CreatedPurchase:
    """The answer to a call. ``is_replay`` is True if an earlier call with the same key created the purchase."""

    purchase: Purchase
    is_replay: bool


@dataclass(frozen=True)
class Checkout:
    """Creates purchases and their checkout sessions. If the retries fail, ``create`` raises like ``Retry``."""

    database: Database
    payments: Payments
    packages: Packages
    reconciliation: Reconciliation
    clock: Clock
    retry: Retry
    new_id: Callable[[], str]

    def create(self, order: Order) -> CreatedPurchase:
        """Create a purchase and its session, or return those that this idempotency key already created.

        Raises UserNotFound, AccountDeleted, PackageNotFound, TooManyPurchases, RateLimited, IdempotencyMismatch,
        PaymentsUnavailable, and ServiceUnavailable if the provider does not answer: then the same call finishes the
        same purchase.
        """
        key = order.idempotency_key
        purchase_id = self.new_id() if key is None else keyed_purchase_id(order.user_id, key)
        mine: list[Purchase] = []  # a commit of this call may be applied although its answer was lost

        def attempt(_tries: int) -> CreatedPurchase:
            user, document = self.database.read(user_path(order.user_id), purchase_path(purchase_id))
            refuse_deleted(user)
            if document.exists:
                purchase = purchase_of(document)
                if purchase.fingerprint != order.fingerprint:
                    raise IdempotencyMismatch(
                        "This idempotency key was used for another purchase. Use a new key for a new purchase."
                    )
                return CreatedPurchase(purchase, is_replay=purchase not in mine)
            offer = self._offer(order.package)
            paced = self._paced(require_user(user))
            self._check_open(order.user_id)
            now = self.clock.now()
            purchase = self._new(purchase_id, order, offer, now)
            mine.append(purchase)
            self.database.commit(create_purchase(purchase), paced)
            return CreatedPurchase(purchase, is_replay=False)

        created = self.retry(attempt)
        if created.purchase.session_id is not None or created.purchase.status is not PurchaseStatus.OPEN:
            return created
        return CreatedPurchase(self._with_session(created.purchase), created.is_replay)

    def _offer(self, package: str) -> Offer:
        """Return the package on sale. Raises PackageNotFound and ServiceUnavailable."""
        offers = self.packages.current()
        if offers is None:
            raise ServiceUnavailable("The prices cannot be read. Nothing was bought. Try again.")
        for offer in offers:
            if offer.package.id == package:
                return offer
        raise PackageNotFound(f"There is no package {package!r} on sale. getCatalog lists them.", package=package)

    def _paced(self, user: Snapshot) -> Update:
        """Return the write that counts one more purchase of the user. Raises RateLimited.

        It also lets only one of simultaneous calls create a purchase, so the open ones are counted exactly.
        """
        earned_at = user.data.get("purchasesEarnedAt")
        try:
            at = CREATION.admit(earned_at if isinstance(earned_at, datetime) else None, self.clock.now())
        except TooFast as too_fast:
            seconds = too_fast.retry_after_seconds
            raise RateLimited(
                f"Too many purchases in a short time. Nothing was bought. Try again in {seconds} s.",
                retryAfterSeconds=seconds,
            ) from None
        return update_purchases_earned_at(user, at)

    def _check_open(self, user_id: str) -> None:
        """Raise TooManyPurchases if the user has OPEN_MAX open purchases."""
        where = (Where("userId", "==", user_id), Where("status", "==", PurchaseStatus.OPEN.value))
        [totals] = self.database.totals(Sum(Query(PURCHASES, where, limit=OPEN_MAX)))
        if totals.count >= OPEN_MAX:
            raise TooManyPurchases(
                f"You have {OPEN_MAX} open purchases. Pay one of them, or wait until they expire.",
                maxPurchases=OPEN_MAX,
            )

    def _new(self, purchase_id: str, order: Order, offer: Offer, now: datetime) -> Purchase:
        return Purchase(
            id=purchase_id,
            user_id=order.user_id,
            package=offer.package.id,
            credits=offer.package.credits,
            amount=offer.price.amount,
            currency=offer.price.currency,
            price_id=offer.price.id,
            livemode=self.payments.is_live,
            return_url=order.return_url,
            fingerprint=order.fingerprint,
            created_at=now,
        ).checked(now)

    def _with_session(self, purchase: Purchase) -> Purchase:
        """Create the session of a purchase and record it, or look for it once it is not created any more."""
        if purchase.is_unanswered(self.clock.now()) or purchase.livemode is not self.payments.is_live:
            return self.reconciliation.reconcile(purchase.id)
        try:
            session = self.payments.create_session(new_session(purchase))
        except PaymentsDown as error:
            events.warning(Event.PURCHASE_NOT_CREATED, purchaseId=purchase.id, problem=str(error))
            raise ServiceUnavailable(
                "The payment provider does not answer. Nothing was bought. Send the same call again."
            ) from error
        except PaymentsRefused as error:
            events.error(Event.PURCHASE_NOT_CREATED, purchaseId=purchase.id, problem=str(error))
            raise PaymentsUnavailable("The payment provider refused the purchase. Nothing was bought.") from error
        return self._recorded(purchase.id, session)

    def _recorded(self, purchase_id: str, session: Session) -> Purchase:
        """Record the session of a purchase, before anyone gets its URL."""

        def attempt(_tries: int) -> Purchase:
            [document] = self.database.read(purchase_path(purchase_id))
            purchase = purchase_of(document)
            if purchase.session_id == session.id:
                return purchase  # an event was first, or our own commit was applied
            with_session = purchase.with_session(session)
            if with_session.discrepancy is not None:
                events.error(Event.PURCHASE_DIFFERS, purchaseId=purchase_id, field=with_session.discrepancy.value)
                raise PaymentsUnavailable(
                    "The price has changed. Nothing was bought. Use a new key for a new purchase."
                )
            if purchase.status is PurchaseStatus.EXPIRED:  # a sweep looked for the session before it existed
                with_session = replace(with_session, status=PurchaseStatus.OPEN).checked(self.clock.now())
            self.database.commit(update_purchase(document, with_session))
            return with_session

        return self.retry(attempt)


def new_session(purchase: Purchase) -> NewSession:
    """Return the session of a purchase. A repeated call has the same parameters, as nothing depends on the time."""
    return NewSession(
        purchase_id=purchase.id,
        user_id=purchase.user_id,
        price_id=purchase.price_id,
        currency=purchase.currency,
        success_url=_with_query(purchase.return_url, purchaseId=purchase.id, checkout="success"),
        cancel_url=_with_query(purchase.return_url, purchaseId=purchase.id, checkout="canceled"),
        expires_at=purchase.expires_at,
    )


def _with_query(url: str, **fields: str) -> str:
    """Return the URL with fields added to its query."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *fields.items()]
    return urlunsplit(parts._replace(query=urlencode(query)))

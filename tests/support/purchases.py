"""A backend in memory that sells credits, and the calls of a buyer and of the payment provider."""

import itertools
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from imagegen.bootstrap import Backend, with_retries_and_deadlines
from imagegen.documents.accounts import ledger_path
from imagegen.domain.ledger import Credits
from imagegen.domain.purchases import Purchase
from imagegen.ports.database import Database, Put
from imagegen.ports.payments import PaymentEvent, PaymentsDown
from imagegen.services.credits.accounts import new_account
from imagegen.services.credits.audit import Audit
from imagegen.services.images.storage import Images
from simulation.payments import SIGNATURE, FakePayments
from tests.support.api import Api
from tests.support.faults import FaultyDatabase
from tests.support.stored import ThreadSafeStore
from tools.fakes import (
    NO_LIMITS,
    AcceptingSender,
    AuthAccountList,
    FileStore,
    ImmediateGenerator,
    ManualClock,
    TaskList,
)
from tools.seed import history

START = datetime(2026, 11, 9, 12, tzinfo=UTC)
PURCHASE = Purchase(
    id="p1",
    user_id="user",
    package="starter",
    credits=50,
    amount=500,
    currency="usd",
    price_id="price_1",
    livemode=False,
    return_url="https://app.example.com/",
    fingerprint="f",
    created_at=START,
)


def down(_call: str) -> None:
    """Stand for a payment provider that does not answer."""
    raise PaymentsDown("down")


class Shop:
    """The deployed functions on a database in memory, with a fake payment provider. ``wallet`` reads a user."""

    def __init__(self, database: Database | None = None) -> None:
        self.clock = ManualClock(START)
        self.payments = FakePayments(self.clock.now)
        self.database = FaultyDatabase(database or ThreadSafeStore())
        ids, rng = itertools.count(1), random.Random(1)
        self.backend = Backend.on(
            self.database,
            TaskList(),
            AcceptingSender(),
            with_retries_and_deadlines(self.clock, {"mock": ImmediateGenerator()}),
            Images(FileStore()),
            self.clock,
            rng,
            lambda: f"id-{next(ids)}",
            NO_LIMITS,
            payments=self.payments,
            auth_accounts=AuthAccountList(),
        )
        self.api = Api()
        self.database.commit(*(Put(path, data) for path, data in history.documents()))
        self.open("user")

    def open(self, user_id: str, **credits: int) -> None:
        _, writes = new_account(user_id, {}, Credits(**credits), self.clock.now())
        self.database.commit(*writes)

    def buy(self, package: str = "starter", **more: object) -> Any:
        """Create a purchase. Return the answer."""
        return self.api.result("createPurchase", {"userId": "user", "package": package, **more})

    def bought(self, package: str = "starter") -> tuple[str, str]:
        """Create a purchase. Return its id and the id of its session."""
        purchase_id = self.buy(package)["purchaseId"]
        return purchase_id, self.session_of(purchase_id)

    def paid(self) -> tuple[str, str]:
        """Create a purchase, pay it and deliver the event. Return its id and the id of its session."""
        purchase_id, session_id = self.bought()
        self.payments.pay(session_id)
        self.deliver(*self.payments.events[-1:])
        return purchase_id, session_id

    def session_of(self, purchase_id: str) -> str:
        found: str = self.stored(purchase_id)["sessionId"]
        return found

    def deliver(self, *events: PaymentEvent) -> list[int]:
        """Call the webhook with events, all of them by default. Return the HTTP statuses."""
        return [self.webhook(self.payments.body(event)).status_code for event in events or self.payments.events]

    def webhook(self, body: bytes, signature: str | None = SIGNATURE) -> Any:
        headers = {} if signature is None else {"Stripe-Signature": signature}
        return self.api.http.post("/stripeWebhook", data=body, headers=headers)

    def purchase(self, purchase_id: str) -> Any:
        return self.api.result("getPurchase", {"purchaseId": purchase_id})

    def stored(self, purchase_id: str) -> Mapping[str, Any]:
        [document] = self.database.read(f"purchases/{purchase_id}")
        return document.data

    def balance(self, user_id: str = "user") -> int:
        balance: int = self.api.result("getUserCredits", {"userId": user_id})["currentCredits"]
        return balance

    def entries(self) -> list[tuple[str, int]]:
        """Return the types and amounts of all entries of the user's ledger, oldest first."""
        listed = self.api.result("listCreditTransactions", {"userId": "user"})["transactions"]
        return [(entry["type"], entry["credits"]) for entry in reversed(listed)]

    def ledger(self, user_id: str = "user") -> list[tuple[str, int]]:
        """Return the stored types and amounts of all entries of a ledger, oldest first."""
        entries = sorted(self.database.scan(ledger_path(user_id)), key=lambda entry: entry.data["seq"])
        return [(entry.data["type"], entry.data["credits"]) for entry in entries]

    def report(self, week: str = "2026-W46") -> Any:
        """Run the report of the week that began at START. Return its document."""
        self.clock.at = START + timedelta(days=7)
        next_monday = {"X-CloudScheduler-ScheduleTime": self.clock.at.isoformat()}
        assert self.api.http.post("/scheduleWeeklyReport", headers=next_monday).status_code == 200
        [document] = self.database.read(f"weeklyReports/{week}")
        return document.data

    def spend(self, credits: int) -> list[str]:
        """Make requests that stay pending. Return their ids."""
        sizes = ["1024x1024"] * (credits // 3) + ["512x512"] * (credits % 3)
        order = {"userId": "user", "model": "Model A", "style": "anime", "color": "neon", "prompt": "a lighthouse"}
        made = [self.api.result("createGenerationRequest", {**order, "size": size, "mode": "async"}) for size in sizes]
        return [one["generationRequestId"] for one in made]

    def findings(self) -> list[str]:
        """Return a message for each broken invariant."""
        return [
            f"{finding.invariant.name}: {finding.message}" for finding in Audit(self.database, self.clock).findings()
        ]

"""The composition root: creates the clients, the clock and the source of randomness, and wires the services.

Nothing is created on import. Discovery imports ``main`` and must finish in ten seconds. The production server imports
``main`` before it forks, and a gRPC channel does not survive a fork.
"""

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Self

from google.cloud import firestore

from imagegen import settings
from imagegen.adapters.cloud_storage import CloudStorage
from imagegen.adapters.cloud_tasks import CloudTasks
from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.adapters.generators.deadline import WithDeadline
from imagegen.adapters.generators.first_use import OnFirstUse
from imagegen.adapters.generators.mock import MockGenerator
from imagegen.adapters.generators.retries import WithRetries
from imagegen.adapters.http_webhook_sender import HttpWebhookSender, Reach
from imagegen.dataclass import dataclass
from imagegen.domain.limits import Limits
from imagegen.errors import PaymentsUnavailable
from imagegen.events import Event
from imagegen.ports.clock import Clock, SystemClock
from imagegen.ports.database import Database
from imagegen.ports.image_generator import ImageGenerator, ProtectedGenerator
from imagegen.ports.task_queue import TaskQueue
from imagegen.ports.webhook_sender import WebhookSender
from imagegen.services.call_rates import CallRates
from imagegen.services.catalog import Catalogs
from imagegen.services.generations.create import Generations
from imagegen.services.generations.execution import Execution
from imagegen.services.generations.queue import TICKET_KEYS, RequestQueue
from imagegen.services.generations.settlement import Settlements
from imagegen.services.images.storage import Images
from imagegen.services.retry import Retry
from imagegen.services.server_keys import ServerKeys
from imagegen.services.turns import Turns
from imagegen.services.webhooks.outbox import Outbox

if TYPE_CHECKING:  # imported on first use
    from imagegen.ports.auth_accounts import AuthAccounts
    from imagegen.ports.payments import Payments
    from imagegen.reports.alerts import Channel
    from imagegen.reports.usage import DailyUsage
    from imagegen.reports.weekly import Reports
    from imagegen.services.account_data.deletions import Deletions
    from imagegen.services.account_data.exports import Exports
    from imagegen.services.api_keys import ApiKeys
    from imagegen.services.catalog_options import CatalogOptions
    from imagegen.services.credits.accounts import Accounts
    from imagegen.services.credits.audit import Audit
    from imagegen.services.credits.corrections import Corrections
    from imagegen.services.credits.daily_audit import DailyAudit
    from imagegen.services.credits.history import Histories
    from imagegen.services.generations.cancellation import Cancellations
    from imagegen.services.generations.queries import Requests
    from imagegen.services.generations.worker import Worker
    from imagegen.services.images.urls import ImageUrls
    from imagegen.services.overview import OverviewReader
    from imagegen.services.purchases.create import Checkout
    from imagegen.services.purchases.packages import Packages
    from imagegen.services.purchases.payment_events import PaymentEvents
    from imagegen.services.purchases.queries import Purchases
    from imagegen.services.purchases.reconcile import Reconciliation
    from imagegen.services.sweeper import Part, Sweeper
    from imagegen.services.users import UserSearch
    from imagegen.services.webhooks.deliveries import Deliveries
    from imagegen.services.webhooks.delivery_worker import DeliveryWorker
    from imagegen.services.webhooks.endpoints import Endpoints
    from imagegen.services.webhooks.secrets import WebhookSecrets

UNLIMITED = 1_000_000_000
"""The canceled runs of a day when an account is deleted."""

RESERVING_TIMEOUT_SECONDS = 20.0
SETTLING_TIMEOUT_SECONDS = 60.0  # longer, because the credits of an unsettled request stay taken

SWEEPING_TIMEOUT_SECONDS = 5.0  # shorter, because the next sweep tries again


@dataclass(frozen=True)
class AccountData:
    """The exports and deletions of accounts. Their services are imported on first use, because few functions need them.

    ``settlements`` retry for seconds only. ``payments`` is None where payments are off. With ``refunds_unspent``,
    deletions refund unspent purchases.
    """

    database: Database
    settlements: Settlements
    images: Images
    tasks: TaskQueue
    auth_accounts: "AuthAccounts"
    payments: "Payments | None"
    refunds_unspent: bool
    clock: Clock
    new_id: Callable[[], str]

    @cached_property
    def exports(self) -> "Exports":
        from imagegen.services.account_data.exports import Exports
        from imagegen.services.account_data.reading import UserDocuments

        documents = UserDocuments(self.database, self.settlements.mail_collection, self.auth_accounts)
        store, retry = self.images.store, self.settlements.retry
        return Exports(self.database, documents, store, self.tasks, self.clock, retry, self.new_id)

    @cached_property
    def deletions(self) -> "Deletions":
        from imagegen.services.account_data.deletions import Deletions

        limits = replace(self.settlements.limits, canceled_runs_per_day=UNLIMITED)
        settlements = replace(self.settlements, limits=limits)
        payments, retry = self.payments, settlements.retry
        reconciliation = None if payments is None else _reconciliation(self.database, payments, self.clock, retry)
        refunds = None
        if reconciliation is not None and self.refunds_unspent:
            from imagegen.services.purchases.unspent import UnspentRefunds

            refunds = UnspentRefunds(self.database, reconciliation)
        return Deletions(
            self.database, settlements, self.images, self.auth_accounts, self.clock, reconciliation, refunds
        )

    def parts(self) -> Sequence["Part"]:
        """Return the parts of a sweep."""
        from imagegen.documents.account_data import DELETIONS, EXPORTS, due
        from imagegen.services.sweeper import PAGE_SIZE, Part

        now = self.clock.now()
        return [
            Part(due(EXPORTS, now, PAGE_SIZE), self.exports.recover, Event.EXPORT_NOT_SWEPT),
            Part(due(DELETIONS, now, PAGE_SIZE), self.deletions.recover, Event.DELETION_NOT_FINISHED),
        ]


@dataclass(frozen=True)
class Backend:
    """The services, ready to use, and the adapters that they share. ``payments`` is None where payments are off."""

    call_rates: CallRates
    catalogs: Catalogs
    generations: Generations
    execution: Execution
    outbox: Outbox
    images: Images
    database: Database
    tasks: TaskQueue
    sender: WebhookSender
    auth_accounts: "AuthAccounts"
    clock: Clock
    rng: random.Random
    new_id: Callable[[], str]
    limits: Limits
    retry: Retry
    channels: Sequence["Channel"]
    payments: "Payments | None"
    refunds_unspent: bool

    # Few functions need these, so the others do not import them.

    @cached_property
    def accounts(self) -> "Accounts":
        from imagegen.services.credits.accounts import TRIAL_CLAIM_KEYS, Accounts

        return Accounts(self.database, self.clock, self.retry, ServerKeys(TRIAL_CLAIM_KEYS, self.database, self.rng))

    @cached_property
    def requests(self) -> "Requests":
        from imagegen.services.generations.queries import Requests

        return Requests(self.database, self.clock)

    @cached_property
    def worker(self) -> "Worker":
        from imagegen.services.generations.worker import Worker

        tickets = self.generations.queue.tickets
        return Worker(
            self.database, tickets, self.catalogs, self.execution, self.clock, retry=self.retry, new_id=self.new_id
        )

    @cached_property
    def cancellations(self) -> "Cancellations":
        from imagegen.services.generations.cancellation import Cancellations

        return Cancellations(self.database, self.execution.settlements)

    @cached_property
    def sweeper(self) -> "Sweeper":
        from imagegen.services.sweeper import Sweeper

        settlements = self._sweeping
        queue, payments, clock = self.generations.queue, self.payments, self.clock
        return Sweeper(
            self.database,
            clock,
            settlements,
            queue,
            self.outbox,
            self.catalogs,
            self.images,
            None if payments is None else _reconciliation(self.database, payments, clock, settlements.retry),
            self.account_data.parts,
        )

    @cached_property
    def _sweeping(self) -> Settlements:
        """The settlements of sweeps, which retry for seconds only."""
        return replace(self.execution.settlements, retry=Retry(self.clock, self.rng, SWEEPING_TIMEOUT_SECONDS))

    @cached_property
    def account_data(self) -> AccountData:
        return AccountData(
            self.database,
            self._sweeping,
            self.images,
            self.tasks,
            self.auth_accounts,
            self.payments,
            self.refunds_unspent,
            self.clock,
            self.new_id,
        )

    @cached_property
    def histories(self) -> "Histories":
        from imagegen.services.credits.history import Histories

        return Histories(self.database)

    @cached_property
    def webhook_secrets(self) -> "WebhookSecrets":
        from imagegen.services.webhooks.secrets import WebhookSecrets

        return WebhookSecrets(self.database, self.rng, self.clock, self.retry)

    @cached_property
    def endpoints(self) -> "Endpoints":
        from imagegen.services.webhooks.endpoints import Endpoints

        return Endpoints(self.database, self.webhook_secrets, self.clock, self.retry, self.new_id)

    @cached_property
    def deliveries(self) -> "Deliveries":
        from imagegen.services.webhooks.deliveries import Deliveries

        return Deliveries(self.database, self.outbox, self.clock, self.limits, self.retry)

    @cached_property
    def delivery_worker(self) -> "DeliveryWorker":
        from imagegen.services.webhooks.delivery_worker import DeliveryWorker

        return DeliveryWorker(
            self.database,
            self.sender,
            self.webhook_secrets,
            self.outbox,
            self.clock,
            self.rng,
            self.retry,
            self.new_id,
        )

    @cached_property
    def api_keys(self) -> "ApiKeys":
        from imagegen.services.api_keys import ApiKeys

        return ApiKeys(self.database, self.clock, self.rng, self.retry)

    @cached_property
    def usage(self) -> "DailyUsage":
        from imagegen.reports.counting import Counting
        from imagegen.reports.usage import DailyUsage

        return DailyUsage(self.database, self.catalogs, Counting(self.database), self.clock)

    @cached_property
    def image_urls(self) -> "ImageUrls":
        from imagegen.services.images.urls import ImageUrls

        return ImageUrls(self.database, self.images, self.retry)

    @cached_property
    def purchases(self) -> "Purchases":
        from imagegen.services.purchases.queries import Purchases

        return Purchases(self.database)

    # These need payments. Where they are off, each raises PaymentsUnavailable.

    @cached_property
    def packages(self) -> "Packages":
        from imagegen.services.purchases.packages import Packages

        return Packages(self.database, self._provider, self.clock)

    @cached_property
    def reconciliation(self) -> "Reconciliation":
        return _reconciliation(self.database, self._provider, self.clock, self.retry)

    @cached_property
    def checkout(self) -> "Checkout":
        from imagegen.services.purchases.create import Checkout

        return Checkout(
            self.database, self._provider, self.packages, self.reconciliation, self.clock, self.retry, self.new_id
        )

    @cached_property
    def payment_events(self) -> "PaymentEvents":
        from imagegen.services.purchases.payment_events import PaymentEvents

        return PaymentEvents(self._provider, self.reconciliation)

    @property
    def _provider(self) -> "Payments":
        if self.payments is None:
            raise PaymentsUnavailable("Credits are not for sale here.")
        return self.payments

    @cached_property
    def reports(self) -> "Reports":
        from imagegen.reports.alerts import Alerts
        from imagegen.reports.reconciliation import Reconciler
        from imagegen.reports.sales import SalesCounting
        from imagegen.reports.weekly import Reports

        sells = self.payments is not None
        return Reports(
            self.database,
            self.usage,
            self.usage.counting,
            Reconciler(self.database, sells),
            SalesCounting(self.database) if sells else None,
            Alerts(self.channels),
            self.retry,
            self.clock,
        )

    @cached_property
    def audit(self) -> "Audit":
        from imagegen.services.credits.audit import Audit

        return Audit(self.database, self.clock)

    @cached_property
    def daily_audit(self) -> "DailyAudit":
        from imagegen.services.credits.daily_audit import DailyAudit

        return DailyAudit(self.database, self.clock, self.audit)

    @cached_property
    def corrections(self) -> "Corrections":
        from imagegen.services.credits.corrections import Corrections

        return Corrections(self.database, self.clock, self.retry)

    @cached_property
    def catalog_options(self) -> "CatalogOptions":
        from imagegen.services.catalog_options import CatalogOptions

        return CatalogOptions(self.database, self.catalogs, self.clock, self.retry)

    @cached_property
    def overview(self) -> "OverviewReader":
        from imagegen.services.overview import OverviewReader

        return OverviewReader(self.database, self.catalogs, self.clock)

    @cached_property
    def user_search(self) -> "UserSearch":
        from imagegen.services.users import UserSearch

        return UserSearch(self.database)

    @classmethod
    def on(
        cls,
        database: Database,
        tasks: TaskQueue,
        sender: WebhookSender,
        generators: Mapping[str, ProtectedGenerator],
        images: Images,
        clock: Clock,
        rng: random.Random,
        new_id: Callable[[], str],
        limits: Limits,
        channels: Sequence["Channel"] = (),
        mail_collection: str = "",
        payments: "Payments | None" = None,
        *,
        auth_accounts: "AuthAccounts",
        refunds_unspent: bool = False,
    ) -> Self:
        """Return the services, wired to the given adapters, clock, randomness, ids and limits.

        ``generators`` are the providers, by the names that the models' documents use. ``images`` store
        their pictures. ``rng`` also makes the keys and the webhook secrets, so in production it must be the operating
        system's. ``channels`` get the alerts of the weekly report. ``mail_collection`` gets the e-mails about queued
        requests; without one, there are none. Without ``payments``, credits are not for sale. ``auth_accounts`` are the
        accounts that users sign in with. With ``refunds_unspent``, deletions of accounts refund unspent purchases.
        """
        catalogs = Catalogs(database, generators, clock)
        outbox = Outbox(database, tasks, clock)
        turns = Turns()
        settling = Retry(clock, rng, SETTLING_TIMEOUT_SECONDS)
        settlements = Settlements(database, outbox, clock, limits, turns, settling, mail_collection)
        execution = Execution(generators, images, settlements)
        retry = Retry(clock, rng, RESERVING_TIMEOUT_SECONDS)
        queue = RequestQueue(tasks, ServerKeys(TICKET_KEYS, database, rng))
        return cls(
            call_rates=CallRates(limits.calls, clock),
            catalogs=catalogs,
            generations=Generations(database, execution, queue, clock, limits, turns, retry, new_id),
            execution=execution,
            outbox=outbox,
            images=images,
            database=database,
            tasks=tasks,
            sender=sender,
            auth_accounts=auth_accounts,
            clock=clock,
            rng=rng,
            new_id=new_id,
            limits=limits,
            retry=retry,
            channels=channels,
            payments=payments,
            refunds_unspent=refunds_unspent,
        )


def _reconciliation(database: Database, payments: "Payments", clock: Clock, retry: Retry) -> "Reconciliation":
    from imagegen.services.purchases.reconcile import Reconciliation

    return Reconciliation(database, payments, clock, retry)


def providers(clock: Clock, rng: random.Random) -> dict[str, ProtectedGenerator]:
    """Return all providers, by the names that the models' documents use. `docs/recipes.md` shows how to add one."""
    return with_retries_and_deadlines(
        clock,
        {
            "mock": MockGenerator(clock, rng, settings.public_base_url()),
            "canvas": OnFirstUse(_canvas),
            "openai": OnFirstUse(_openai),
            "vertex": OnFirstUse(_vertex),
        },
    )


def _canvas() -> ImageGenerator:
    from imagegen.adapters.generators.canvas import CanvasGenerator

    return CanvasGenerator()


def _openai() -> ImageGenerator:
    from imagegen.adapters.generators.openai import OpenAIGenerator

    return OpenAIGenerator(is_on=bool(settings.OPENAI_PROVIDER.value), key=settings.OPENAI_API_KEY.value)


def _vertex() -> ImageGenerator:
    from imagegen.adapters.generators.vertex import VertexGenerator
    from imagegen.adapters.service_account import ServiceAccount

    return VertexGenerator(ServiceAccount())


def with_retries_and_deadlines(clock: Clock, generators: Mapping[str, ImageGenerator]) -> dict[str, ProtectedGenerator]:
    """Return the generators with retries, and with a deadline for all attempts together."""
    return {name: WithDeadline(WithRetries(generator, clock)) for name, generator in generators.items()}


def on_firestore(client: firestore.Client) -> Backend:
    """Return the services for a client's project, with the production adapters and the settings of the environment."""
    from imagegen.adapters.firebase_auth import FirebaseAuthAccounts

    clock, rng = SystemClock(), random.SystemRandom()
    return Backend.on(
        FirestoreDatabase(client),
        CloudTasks(),
        HttpWebhookSender(_webhook_reach()),
        providers(clock, rng),
        Images(CloudStorage(settings.storage_bucket(), settings.storage_host())),
        clock,
        rng,
        lambda: uuid.uuid4().hex,
        settings.limits(),
        alert_channels(clock),
        settings.mail_collection(),
        _stripe() if settings.PAYMENTS_ENABLED.value else None,
        auth_accounts=FirebaseAuthAccounts(),
        refunds_unspent=bool(settings.REFUND_UNSPENT_PURCHASES.value),
    )


def _stripe() -> "Payments":
    from imagegen.adapters.stripe_payments import StripePayments

    return StripePayments(
        settings.STRIPE_SECRET_KEY.value, settings.stripe_webhook_secrets(), settings.stripe_api_url()
    )


def _webhook_reach() -> Reach:
    """Return the addresses that users' webhooks may go to."""
    if not settings.local_webhooks_allowed():
        return Reach.PUBLIC
    return Reach.DEMO if settings.is_demo_project() else Reach.LOCAL


def alert_channels(clock: Clock) -> list["Channel"]:
    """Return the operator's webhook, if one is set. Its URL may be private, because only the operator can set it."""
    if not (url := settings.REPORT_WEBHOOK_URL.value):
        return []
    from imagegen.reports import alerts

    sender = HttpWebhookSender(Reach.PRIVATE, timeout_seconds=alerts.TIMEOUT_SECONDS)
    return [alerts.AlertWebhook(url, settings.REPORT_WEBHOOK_SECRET.value, sender, clock)]


@cache
def backend() -> Backend:
    """Return the backend for the project of the environment. It is created on first use."""
    return on_firestore(firestore.Client())

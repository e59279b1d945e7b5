"""The composition root: the one place where clients, clock and randomness are made and wired together.

Nothing is made on import. Discovery imports ``main`` and has ten seconds; the production server imports it before it
forks, and a gRPC channel does not survive a fork.
"""

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

from google.cloud import firestore

from imagegen import settings
from imagegen.adapters.cloud_tasks import CloudTasks
from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.adapters.generators.deadline import WithDeadline
from imagegen.adapters.generators.mock import MockGenerator
from imagegen.adapters.generators.retries import WithRetries
from imagegen.adapters.http_webhook_sender import HttpWebhookSender, Reach
from imagegen.domain.limits import Limits
from imagegen.ports.clock import Clock, SystemClock
from imagegen.ports.database import Database
from imagegen.ports.image_generator import ImageGenerator
from imagegen.ports.task_queue import TaskQueue
from imagegen.ports.webhook_sender import WebhookSender
from imagegen.reports import alerts
from imagegen.reports.alerts import Alerts, AlertWebhook, Channel
from imagegen.reports.counting import Counting
from imagegen.reports.reconciliation import Reconciler
from imagegen.reports.weekly import Reports
from imagegen.services.catalog import Catalogs
from imagegen.services.credits.accounts import Accounts
from imagegen.services.credits.audit import Audit
from imagegen.services.credits.corrections import Corrections
from imagegen.services.credits.history import Histories
from imagegen.services.generations.cancellation import Cancellations
from imagegen.services.generations.create import Generations
from imagegen.services.generations.execution import Execution
from imagegen.services.generations.queries import Requests
from imagegen.services.generations.settlement import Settlements
from imagegen.services.generations.worker import Worker
from imagegen.services.retry import Retry
from imagegen.services.sweeper import Sweeper
from imagegen.services.webhooks.deliveries import Deliveries
from imagegen.services.webhooks.delivery_worker import DeliveryWorker
from imagegen.services.webhooks.outbox import Outbox
from imagegen.services.webhooks.secrets import WebhookSecrets

RESERVING_TIMEOUT_SECONDS = 20.0
SETTLING_TIMEOUT_SECONDS = 60.0  # longer: until a request is settled, its credits are taken


@dataclass(frozen=True)
class Backend:
    """The services, ready to use."""

    accounts: Accounts
    catalogs: Catalogs
    generations: Generations
    worker: Worker
    cancellations: Cancellations
    delivery_worker: DeliveryWorker
    deliveries: Deliveries
    webhook_secrets: WebhookSecrets
    requests: Requests
    histories: Histories
    reports: Reports
    sweeper: Sweeper
    audit: Audit
    corrections: Corrections

    @classmethod
    def on(
        cls,
        database: Database,
        tasks: TaskQueue,
        sender: WebhookSender,
        generators: Mapping[str, ImageGenerator],
        clock: Clock,
        rng: random.Random,
        new_id: Callable[[], str],
        limits: Limits,
        channels: Sequence[Channel] = (),
    ) -> Self:
        """Wire the services to a database, queues, webhooks' receivers, providers, time, chance, ids and limits.

        ``generators`` are the providers by the name that models' documents give. Secrets come from ``rng``: in
        production, it has to be the operating system's. ``channels`` get the report's alerts.
        """
        catalogs = Catalogs(database, generators, clock)
        outbox = Outbox(database, tasks, clock)
        settlements = Settlements(database, outbox, clock, Retry(clock, rng, SETTLING_TIMEOUT_SECONDS))
        execution = Execution(generators, settlements)
        retry = Retry(clock, rng, RESERVING_TIMEOUT_SECONDS)
        webhook_secrets = WebhookSecrets(database, rng, retry)
        return cls(
            accounts=Accounts(database, clock, retry),
            catalogs=catalogs,
            generations=Generations(database, execution, tasks, clock, limits, reserving=retry, new_id=new_id),
            worker=Worker(database, catalogs, execution, clock, claiming=retry, new_id=new_id),
            cancellations=Cancellations(database, settlements),
            delivery_worker=DeliveryWorker(database, sender, webhook_secrets, outbox, clock, rng, retry, new_id),
            deliveries=Deliveries(database, outbox, clock, retry),
            webhook_secrets=webhook_secrets,
            requests=Requests(database),
            histories=Histories(database),
            reports=Reports(
                database,
                catalogs,
                Counting(database, clock),
                Reconciler(database),
                Alerts(channels),
                retry,
                clock,
            ),
            sweeper=Sweeper(database, clock, settlements, tasks, outbox, catalogs),
            audit=Audit(database, clock),
            corrections=Corrections(database, clock, retry),
        )


def providers(clock: Clock, rng: random.Random) -> dict[str, ImageGenerator]:
    """Return every provider under the name that models' documents give; `docs/recipes.md` says how to add one."""
    return guarded(
        clock,
        {
            "mock": MockGenerator(clock, rng),
        },
    )


def guarded(clock: Clock, generators: Mapping[str, ImageGenerator]) -> dict[str, ImageGenerator]:
    """Return the generators with what no adapter has to think of: more attempts, and a deadline for all of them."""
    return {name: WithDeadline(WithRetries(generator, clock)) for name, generator in generators.items()}


def on_firestore(client: firestore.Client) -> Backend:
    """The services on a client's project, with real time, chance and ids, and the settings of the environment."""
    clock, rng = SystemClock(), random.SystemRandom()
    return Backend.on(
        FirestoreDatabase(client),
        CloudTasks(),
        HttpWebhookSender(Reach.LOCAL if settings.local_webhooks_allowed() else Reach.PUBLIC),
        providers(clock, rng),
        clock,
        rng,
        lambda: uuid.uuid4().hex,
        settings.limits(),
        alert_channels(clock),
    )


def alert_channels(clock: Clock) -> list[Channel]:
    """Return the operator's webhook, if one is set. Only the operator chooses its URL, so it may be a private one."""
    if not (url := settings.REPORT_WEBHOOK_URL.value):
        return []
    sender = HttpWebhookSender(Reach.PRIVATE, total_seconds=alerts.TIMEOUT_SECONDS)
    return [AlertWebhook(url, settings.REPORT_WEBHOOK_SECRET.value, sender, clock)]


@cache
def backend() -> Backend:
    """A backend on the project that the environment names, made on first use."""
    return on_firestore(firestore.Client())

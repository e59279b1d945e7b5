"""The composition root: the one place where clients, clock and randomness are made and wired together.

Nothing is made on import. Discovery imports ``main`` and has ten seconds; the production server imports it before it
forks, and a gRPC channel does not survive a fork.
"""

import os
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

from google.cloud import firestore

from imagegen.clock import Clock, SystemClock
from imagegen.cloud_tasks import CloudTasks
from imagegen.database import Database
from imagegen.domain.limits import Limits
from imagegen.firestore import FirestoreDatabase
from imagegen.generators.attempts import WithAttempts
from imagegen.generators.deadline import WithDeadline
from imagegen.generators.mock import MockGenerator
from imagegen.http_sender import HttpSender
from imagegen.queue import Queue
from imagegen.retry import Retry
from imagegen.sender import Sender
from imagegen.services.accounts import Accounts
from imagegen.services.audit import Audit
from imagegen.services.bookkeeping import Bookkeeping
from imagegen.services.cancellations import Cancellations
from imagegen.services.catalog import Catalogs
from imagegen.services.corrections import Corrections
from imagegen.services.counting import Counting
from imagegen.services.courier import Courier
from imagegen.services.deliveries import Deliveries
from imagegen.services.dispatcher import Dispatcher, Worker
from imagegen.services.execution import Execution
from imagegen.services.generations import Generations
from imagegen.services.histories import Histories
from imagegen.services.notifications import Channel, Notifications, Webhook
from imagegen.services.outbox import Outbox
from imagegen.services.reports import Reports
from imagegen.services.requests import Requests
from imagegen.services.settlements import Settlements
from imagegen.services.sweeper import Sweeper
from imagegen.services.webhook_secrets import WebhookSecrets
from imagegen.settings import limits, local_webhooks_allowed

RESERVING_PATIENCE_SECONDS = 20.0
SETTLING_PATIENCE_SECONDS = 60.0  # longer: until a request is settled, its credits are taken


@dataclass(frozen=True)
class Backend:
    """The services, ready to use."""

    accounts: Accounts
    catalogs: Catalogs
    generations: Generations
    worker: Worker
    cancellations: Cancellations
    courier: Courier
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
        tasks: Queue,
        sender: Sender,
        clock: Clock,
        rng: random.Random,
        new_id: Callable[[], str],
        limits: Limits,
        channels: Sequence[Channel] = (),
    ) -> Self:
        """The services on a database, queues and a way out, with a source of time, chance and ids, and users' limits.

        Secrets come from ``rng``: in production, it has to be the operating system's. ``channels`` get the report's
        alerts.
        """
        catalogs = Catalogs(database, clock)
        generators = {"mock": WithDeadline(WithAttempts(MockGenerator(clock, rng), clock))}
        outbox = Outbox(database, tasks, clock)
        settlements = Settlements(database, outbox, clock, Retry(clock, rng, SETTLING_PATIENCE_SECONDS))
        execution = Execution(generators, settlements)
        dispatcher = Dispatcher(tasks)
        patient = Retry(clock, rng, RESERVING_PATIENCE_SECONDS)
        webhook_secrets = WebhookSecrets(database, rng, patient)
        return cls(
            accounts=Accounts(database, clock, patient),
            catalogs=catalogs,
            generations=Generations(database, execution, dispatcher, clock, limits, reserving=patient, new_id=new_id),
            worker=Worker(database, catalogs, execution, clock, taking=patient, new_id=new_id),
            cancellations=Cancellations(database, settlements),
            courier=Courier(database, sender, webhook_secrets, outbox, clock, rng, patient, new_id),
            deliveries=Deliveries(database, outbox, clock, patient),
            webhook_secrets=webhook_secrets,
            requests=Requests(database),
            histories=Histories(database),
            reports=Reports(
                database,
                catalogs,
                Counting(database, clock),
                Bookkeeping(database),
                Notifications(channels),
                patient,
                clock,
            ),
            sweeper=Sweeper(database, clock, settlements, dispatcher, outbox, catalogs),
            audit=Audit(database, clock),
            corrections=Corrections(database, clock, patient),
        )


def on_firestore(client: firestore.Client) -> Backend:
    """The services on a client's project, with real time, chance and ids, and the settings of the environment."""
    clock = SystemClock()
    return Backend.on(
        FirestoreDatabase(client),
        CloudTasks(),
        HttpSender(local_webhooks_allowed()),
        clock,
        random.SystemRandom(),
        lambda: uuid.uuid4().hex,
        limits(),
        Webhook.named(os.environ, clock),
    )


@cache
def backend() -> Backend:
    """A backend on the project that the environment names, made on first use."""
    return on_firestore(firestore.Client())

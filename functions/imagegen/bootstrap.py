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
from imagegen.database import Database
from imagegen.domain.limits import Limits
from imagegen.firestore import FirestoreDatabase
from imagegen.generators.attempts import WithAttempts
from imagegen.generators.deadline import WithDeadline
from imagegen.generators.mock import MockGenerator
from imagegen.retry import Retry
from imagegen.services.accounts import Accounts
from imagegen.services.audit import Audit
from imagegen.services.bookkeeping import Bookkeeping
from imagegen.services.catalog import Catalogs
from imagegen.services.corrections import Corrections
from imagegen.services.counting import Counting
from imagegen.services.generations import Generations
from imagegen.services.histories import Histories
from imagegen.services.notifications import Channel, Notifications, Webhook
from imagegen.services.reports import Reports
from imagegen.services.requests import Requests
from imagegen.services.settlements import Settlements
from imagegen.services.sweeper import Sweeper
from imagegen.settings import limits

RESERVING_PATIENCE_SECONDS = 20.0
SETTLING_PATIENCE_SECONDS = 60.0  # longer: until a request is settled, its credits are taken


@dataclass(frozen=True)
class Backend:
    """The services, ready to use."""

    accounts: Accounts
    catalogs: Catalogs
    generations: Generations
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
        clock: Clock,
        rng: random.Random,
        new_id: Callable[[], str],
        limits: Limits,
        channels: Sequence[Channel] = (),
    ) -> Self:
        """The services on a database, with a source of time, chance and ids, and what each user may ask for.

        ``channels`` get the report's alerts.
        """
        catalogs = Catalogs(database, clock)
        generators = {"mock": WithDeadline(WithAttempts(MockGenerator(clock, rng), clock))}
        audit = Audit(database, clock)
        settlements = Settlements(database, clock, Retry(clock, rng, SETTLING_PATIENCE_SECONDS))
        patient = Retry(clock, rng, RESERVING_PATIENCE_SECONDS)
        return cls(
            accounts=Accounts(database, clock, patient),
            catalogs=catalogs,
            generations=Generations(
                database,
                generators,
                clock,
                limits,
                reserving=patient,
                settlements=settlements,
                new_id=new_id,
            ),
            requests=Requests(database),
            histories=Histories(database),
            reports=Reports(
                database,
                catalogs,
                Counting(database, clock),
                Bookkeeping(database),
                Notifications(channels),
                Retry(clock, rng, RESERVING_PATIENCE_SECONDS),
                clock,
            ),
            sweeper=Sweeper(database, clock, settlements),
            audit=audit,
            corrections=Corrections(database, clock, patient),
        )


def on_firestore(client: firestore.Client) -> Backend:
    """The services on a client's project, with real time, chance and ids, and the settings of the environment."""
    clock = SystemClock()
    return Backend.on(
        FirestoreDatabase(client),
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

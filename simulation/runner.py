"""Runs the simulation of one seed: the backend's real services, a few clients, sweepers and faults."""

import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from imagegen.bootstrap import Backend
from imagegen.documents.accounts import update_endpoints, user_path
from imagegen.documents.receivers import create_endpoint
from imagegen.domain.endpoints import Endpoint
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.images import LEFTOVERS_KEPT
from imagegen.domain.ledger import Credits
from imagegen.domain.receivers import Receiver
from imagegen.domain.webhooks import Delivery
from imagegen.errors import RateLimited, ServiceUnavailable, SettlementPending
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.services.credits.accounts import new_account
from imagegen.services.images.storage import Images
from imagegen.services.webhooks import outbox
from simulation import (
    answers,
    bad_documents,
    calls,
    charges,
    checks,
    deletions,
    images,
    purchases,
    unspent,
    webhooks,
)
from simulation.calls import ENDPOINTS_MAX, Call, Cancel, Resend
from simulation.checks import Violation
from simulation.faults import Faults, Rates
from simulation.models import SimulatedModel
from simulation.network import RemoteDatabase
from simulation.queue import SimulatedQueue
from simulation.receiver import SimulatedReceiver
from simulation.scheduler import Event, NoQuiescence, Scheduler, VirtualClock
from simulation.shop import Shop
from simulation.store import Store

MIDNIGHT = datetime(2026, 11, 16, tzinfo=UTC)
"""The start of a Monday. Every run starts just before it, so many runs cross the end of a week."""

SWEEP_EVERY_SECONDS = 300.0
ALL_LEASES_SECONDS = 600.0
"""Every lease has expired after this time without faults."""

HOUR_SECONDS = 3600.0
RETRY_HOURS = 75
"""The retry window of three days, and the time until a sweep finds an overdue last attempt."""

PURCHASE_SWEEPS_MAX = 10
"""The sweeps after which no purchase is open. The times between them double, up to a purchase's expiry."""


@dataclass(frozen=True)
class Run:
    """The result of a seed: the trace and the violations."""

    seed: int
    trace: list[Event]
    violations: list[Violation]

    @property
    def counts(self) -> Counter[str]:
        """The number of events of each kind, by kind of actor."""
        return Counter(f"{event.actor.partition('-')[0] or 'network'}: {event.kind}" for event in self.trace)


def run(seed: int) -> Run:
    """Run the simulation of ``seed``. The result is the same every time."""
    with quiet():
        return Simulation(seed).run()


class Simulation:
    """The simulation of a seed: the backend on fakes of its ports, the planned calls and the sweepers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._rng = rng = random.Random(seed)
        self._scheduler = Scheduler(rng)
        self._faults = Faults(self._scheduler, rng)
        self._is_fault_free = self._faults.rates == Rates()
        self._never_stalls = self._faults.rates.stall == 0
        self._store = Store()
        self._violations: list[Violation] = []
        self._database = database = RemoteDatabase(self._store, self._scheduler, self._faults, rng, self._violations)
        start = MIDNIGHT - timedelta(seconds=rng.choice((1, 600, 1800)))
        self._clock = clock = VirtualClock(self._scheduler, start, self._faults.step)
        self._limits = calls.limits(rng)
        self._queue = SimulatedQueue(self._scheduler, clock, self._faults, rng, self._work)
        self._receiver = SimulatedReceiver(self._faults, rng)
        self._model = SimulatedModel(self._faults, rng, clock)
        models = {"mock": self._model}
        self._files = images.SimulatedObjectStore(self._faults, rng)
        store = Images(self._files, images.encoded, self._new_id)
        self._auth_accounts = deletions.SimulatedAuthAccounts(self._faults)
        # A source of its own, so that the other seeds do not depend on it.
        of_purchases = random.Random(f"purchases {seed}")
        sells = of_purchases.random() < 0.3
        self._shop = (
            Shop(self._store, self._scheduler, clock, self._faults, of_purchases, self._violations) if sells else None
        )
        self._refunds_unspent = random.Random(f"refunds {seed}").random() < 0.5
        backend = Backend.on(
            database,
            self._queue,
            self._receiver,
            models,
            store,
            clock,
            rng,
            self._new_id,
            self._limits,
            payments=None if self._shop is None else self._shop.payments,
            auth_accounts=self._auth_accounts,
            refunds_unspent=self._refunds_unspent,
        )
        self._generations = backend.generations
        self._worker = replace(backend.worker, catalogs=calls.FixedCatalogs())
        self._cancellations = backend.cancellations
        self._delivery_worker = backend.delivery_worker
        self._deliveries = backend.deliveries
        self._endpoints = backend.endpoints
        self._resends: Counter[str] = Counter()
        """The resends to endpoints that were given up, by request."""
        self._account_deletions = backend.account_data.deletions
        # Threads would run outside of the scheduler.
        self._sweeper = replace(backend.sweeper, catalogs=calls.FixedCatalogs(), run=map)
        accounts = calls.accounts(rng)
        if self._shop is not None:  # few enough credits that bought ones are spent
            accounts = {user_id: replace(granted, paid=0) for user_id, granted in accounts.items()}
        for user_id, granted in accounts.items():
            self._open(user_id, granted, start)
        # A source of its own, so that the calls of a seed do not depend on its endpoints.
        for user_id, endpoints in calls.endpoints(random.Random(f"endpoints {seed}"), accounts).items():
            self._add_endpoints(user_id, endpoints, start)
        self._deletions = deletions.plan(random.Random(f"deletions {seed}"), list(accounts))
        if self._shop is not None:
            self._shop.open(backend, list(accounts))
        self._granted = sum(granted.total for granted in accounts.values())
        self._calls = calls.plan(rng, list(accounts), self._limits)
        if rng.random() < 0.2:
            bad_documents.add(self._store, rng, start)

    def run(self) -> Run:
        try:
            self._run_actors()
            self._sweep_after_all_leases()
            bad_documents.remove(self._store)
            at_rest = [*self._violations_at_rest()]
            self._sweep_until_webhooks_end()
            self._resend_to_given_up_endpoints()
            self._sweep_until_webhooks_end()
            of_webhooks = [*self._webhook_violations()]
            of_purchases = [*self._purchase_violations()]
            self._sweep_leftovers()
            violations = [*self._violations, *at_rest, *of_webhooks, *of_purchases, *self._file_violations()]
            violations += deletions.violations(self._store, self._files.stored, self._auth_accounts.stored)
            violations += checks.audit_findings(self._store) if self._deletions or self._shop else []
        except NoQuiescence:
            violations = [*self._violations, Violation("LIVENESS", "the run never ends")]
        self._scheduler.close()
        return Run(self.seed, self._scheduler.trace, violations)

    def _violations_at_rest(self) -> Iterator[Violation]:
        """Yield the violations after all requests have ended. Repeat the calls with a key first."""
        version = self._store.version
        replays = self._replay()
        for call in replays:
            if not answers.is_final(call):
                yield Violation("IDEMPOTENCY", f"{call.name} got {answers.outcome_of(call)}")
        if self._store.version != version:
            yield Violation("IDEMPOTENCY", "a repeated call changed the database")
        yield from checks.broken_invariants(self._store, self._granted + purchases.bought(self._store))
        # The answers to users who have deleted their accounts are not in the database any more.
        requests, made = self._requests(), self._calls_of_others()
        yield from images.missing_files(self._files.stored, requests)
        yield from checks.double_charges(made, requests)
        yield from checks.duplicate_generations(self._model.runs)
        yield from checks.limit_violations(self._limits, requests, self._model.runs)
        yield from checks.cancellation_violations(self._limits, requests, made)
        if self._is_fault_free:
            late_callers = {event.actor for event in self._scheduler.trace if event.kind == "model: late"}
            yield from answers.needless_refusals(made, requests, late_callers)
            if not late_callers:
                yield from checks.needless_abandonments(requests)
        for call in made + replays:
            yield from answers.wrong_answers(call, requests)
        yield from charges.misstated_by_answers(self._store, requests, made + replays)
        yield from charges.stale_replays(self._store, replays)

    def _webhook_violations(self) -> Iterator[Violation]:
        """Yield the violations of webhooks."""
        requests = self._requests()
        deleted = deletions.deleted_users(self._store)
        deliveries = [found for found in webhooks.deliveries_of(self._store) if found.user_id not in deleted]
        resends = Counter(call.request_id for call in self._calls if isinstance(call, Resend))
        observed = webhooks.observed_deliveries(deliveries, self._receiver.sent, resends + self._resends)
        yield from webhooks.broken_invariants(self._store, requests, observed)
        yield from webhooks.needless_tasks(self._queue.names, self._database.renewals)
        if self._never_stalls:
            yield from webhooks.concurrent_sends(observed)
        if self._is_fault_free:
            yield from webhooks.duplicate_or_late(observed, has_delays=self._queue.has_delays)
        sent = [event for event in self._receiver.sent if not event.id.startswith(bad_documents.NAME)]
        yield from charges.misstated_by_webhooks(self._store, sent)

    def _purchase_violations(self) -> Iterator[Violation]:
        """Yield the violations of purchases, after the sweeper has repaired what the events lost."""
        if (shop := self._shop) is None:
            return
        self._sweep_until_purchases_end(shop)
        self._scheduler.spawn("buyer-last", shop.check_answers)
        self._scheduler.run()
        yield from purchases.violations(self._store, shop.record, shop.changes)
        if self._refunds_unspent:
            yield from unspent.violations(self._store, shop.record)

    def _run_actors(self) -> None:
        """Run the clients, the sweepers and the workers until all have ended."""
        for call in self._calls:
            self._spawn(call, call.at_seconds)
        for number, (user_id, at_seconds) in enumerate(self._deletions):
            self._scheduler.spawn(f"deleter-{number}", partial(self._delete, user_id), at_seconds)
        rounds = self._rng.choice((0, 3, 7))  # often none, or too early to find an abandoned request
        for round_number in range(1, rounds + 1):
            for twin in "ab"[: self._rng.choice((1, 1, 2))]:
                name = f"sweeper-{round_number}{twin}"
                self._scheduler.spawn(name, self._sweep, round_number * SWEEP_EVERY_SECONDS)
        self._scheduler.run()

    def _sweep_after_all_leases(self) -> None:
        """Run one sweep without faults, after every lease has expired."""
        self._faults.stop()
        self._scheduler.spawn("sweeper-last", self._sweep, ALL_LEASES_SECONDS)
        self._scheduler.run()

    def _sweep_until_webhooks_end(self) -> None:
        """Run a sweep every hour until no delivery is pending, or until the retry window of every delivery is over.

        A delivery that fails may lead to others, once for each of a user's endpoints.
        """
        for hour in range((1 + ENDPOINTS_MAX) * RETRY_HOURS):
            if not any(delivery.is_pending for delivery in webhooks.deliveries_of(self._store)):
                break
            self._scheduler.spawn(f"sweeper-hour-{hour}", self._sweep, HOUR_SECONDS)
            self._scheduler.run()

    def _resend_to_given_up_endpoints(self) -> None:
        """Create each endpoint that was given up again, and resend the webhook that failed then."""
        deleted = deletions.deleted_users(self._store)
        for number, delivery in enumerate(webhooks.deliveries_of(self._store)):
            if delivery.receiver_given_up and delivery.endpoint_id is not None and delivery.user_id not in deleted:
                self._scheduler.spawn(f"resender-{number}", partial(self._resend_to_given_up, delivery))
        self._scheduler.run()

    def _resend_to_given_up(self, delivery: Delivery) -> None:
        try:
            self._endpoints.create(delivery.user_id, delivery.url, [])
            self._deliveries.resend(delivery.id, lambda _: True)
        except RateLimited:
            self._scheduler.note("resent too often")
        except Exception as error:  # noqa: BLE001 - without faults, anything else is a finding
            self._violations.append(Violation("LIVENESS", f"a resend raised {error!r}"))
        else:
            self._resends[delivery.generation_request_id] += 1
            self._scheduler.note("resent to an endpoint that was given up", delivery.id)

    def _sweep_until_purchases_end(self, shop: Shop) -> None:
        """Run sweeps after the last change of the provider's record, until no purchase can be paid any more."""
        for number in range(PURCHASE_SWEEPS_MAX):
            if (seconds := shop.next_sweep_seconds()) is None:
                break
            self._scheduler.spawn("provider", shop.expire_old, max(seconds - 0.5, 0))
            self._scheduler.spawn(f"sweeper-purchases-{number}", self._sweep, max(seconds, 0))
            self._scheduler.run()
            if not shop.has_open:
                break

    def _sweep_leftovers(self) -> None:
        """Run a sweep after the leftovers of every request may be deleted."""
        self._scheduler.spawn("sweeper-leftovers", self._sweep, LEFTOVERS_KEPT.total_seconds() + HOUR_SECONDS)
        self._scheduler.run()

    def _file_violations(self) -> Iterator[Violation]:
        """Yield the violations of stored files, after the leftovers were deleted."""
        requests = checks.requests_of(self._store)
        yield from images.missing_files(self._files.stored, requests)
        yield from images.leftover_files(self._files.stored, requests)

    def _replay(self) -> list[Call]:
        """Repeat each call that reserved a request with a key. Each must return the outcome of this request."""
        requests = checks.requests_of(self._store)
        replayable = checks.replayable(self._calls_of_others(), requests)
        replays = [Call(f"{call.name}-again", 0, call.order) for call in replayable]
        for call in replays:
            self._spawn(call)
        self._scheduler.run()
        return replays

    def _spawn(self, call: Call, after_seconds: float = 0.0) -> None:
        call.process = self._scheduler.spawn(call.name, lambda: self._serve(call), after_seconds)

    def _requests(self) -> dict[str, GenerationRequest]:
        """Return the requests of the users who have not deleted their accounts."""
        deleted = deletions.deleted_users(self._store)
        requests = checks.requests_of(self._store)
        return {id: request for id, request in requests.items() if request.user_id not in deleted}

    def _calls_of_others(self) -> list[Call]:
        """Return the calls of the users who have not deleted their accounts."""
        deleted = deletions.deleted_users(self._store)
        return [call for call in self._calls if call.order.user_id not in deleted]

    def _delete(self, user_id: str) -> None:
        try:
            status = self._account_deletions.delete(user_id, user_id).status.value
        except (CommitRefused, DatabaseUnavailable, OutcomeUnknown) as error:
            status = repr(error)
        self._scheduler.note(f"deletion: {status}")

    def _open(self, user_id: str, granted: Credits, at: datetime) -> None:
        _, writes = new_account(user_id, {"displayName": user_id}, granted, at)
        self._store.commit(*writes)

    def _add_endpoints(self, user_id: str, endpoints: Sequence[Endpoint], at: datetime) -> None:
        [user] = self._store.read(user_path(user_id))
        receivers = [Receiver(endpoint.id, user_id, endpoint.url) for endpoint in endpoints]
        created = [create_endpoint(receiver, at) for receiver in receivers]
        self._store.commit(update_endpoints(user, endpoints), *created)

    def _serve(self, call: Call) -> None:
        """Serve a call, and record its outcome."""
        call.began_at = self._clock.now()
        try:
            owner = call.order.user_id
            if isinstance(call, Cancel):
                call.outcome = self._cancellations.cancel(call.request_id, lambda request: request.user_id == owner)
            elif isinstance(call, Resend):
                listed = self._deliveries.list(owner, call.request_id, 1).items
                chosen = listed[0].id if listed else call.request_id  # not the id of a delivery
                call.outcome = self._deliveries.resend(chosen, lambda delivery: delivery.user_id == owner)
            else:
                call.outcome = self._generations.create(call.order)
        except Exception as error:  # noqa: BLE001 - the checks decide whether the error is expected
            call.outcome = error
        self._scheduler.note(f"outcome: {answers.outcome_of(call)}", call.order.idempotency_key or "")

    def _work(self, queue: str, task: dict[str, str]) -> bool:
        """Run a worker for a task. Return False if the queue must deliver the task again."""
        try:
            status = self._deliver(task) if queue in (outbox.FIRST_ATTEMPTS, outbox.RETRIES) else self._generate(task)
        except (CommitRefused, DatabaseUnavailable, OutcomeUnknown, ServiceUnavailable, SettlementPending) as error:
            self._scheduler.note("gave up", repr(error))
            return False
        except Exception as error:  # noqa: BLE001 - a worker that raises anything else is a finding
            self._violations.append(Violation("LIVENESS", f"a worker raised {error!r}"))
        else:
            self._scheduler.note(f"{queue}: {status or 'skipped'}", ", ".join(task.values()))
        return True

    def _generate(self, task: dict[str, str]) -> str | None:
        return self._worker.run(task["generationRequestId"], task["ticket"])

    def _deliver(self, task: dict[str, str]) -> str | None:
        return self._delivery_worker.deliver(task["deliveryId"], int(task["attempt"]), webhooks.described)

    def _sweep(self) -> None:
        unfinished = webhooks.unfinished(self._store) + deletions.pending(self._store)
        unfinished += purchases.unfinished(self._store)
        try:
            settled = self._sweeper.sweep()
        except DatabaseUnavailable:
            self._scheduler.note("gave up")
        except Exception as error:  # noqa: BLE001 - a sweeper that raises anything else is a finding
            self._violations.append(Violation("LIVENESS", f"a sweep raised {error!r}"))
        else:
            self._scheduler.note("settled some" if settled else "found nothing to do", str(settled))
            if self._faults.rates == Rates() and settled > unfinished:
                self._violations.append(Violation("ONCE", f"a sweep recovered {settled} of {unfinished}"))

    def _new_id(self) -> str:
        new = f"{self._rng.getrandbits(64):016x}"
        if (actor := self._scheduler.actor) is not None:
            actor.ids.append(new)
        return new


@contextmanager
def quiet() -> Iterator[None]:
    """Turn off the logs of the services. The simulated faults would fill them."""
    log = logging.getLogger("imagegen")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)

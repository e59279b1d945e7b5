"""The mutants: plausible one-line bugs in the code that moves credits, sends webhooks or checks API keys.

A check must catch each mutant.
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from imagegen import bootstrap
from imagegen.adapters import cloud_tasks, firestore, firestore_messages, stripe_payments
from imagegen.api import auth, operation, payment_webhook
from imagegen.api import purchases as purchases_api
from imagegen.api.rest import generations
from imagegen.documents import accounts as documents_of_accounts
from imagegen.documents import endpoints as documents_of_endpoints
from imagegen.documents import secrets as documents_of_secrets
from imagegen.documents import webhooks as documents_of_webhooks
from imagegen.domain import account, endpoints, generation, ledger, limits, people, purchases, receivers, webhooks
from imagegen.reports import reconciliation, weekly
from imagegen.services import api_keys, call_rates, catalog_options, retry, server_keys, sweeper
from imagegen.services.account_data import collections, deletions, exports
from imagegen.services.credits import accounts, daily_audit
from imagegen.services.generations import cancellation, create, execution, queue, settlement, worker
from imagegen.services.images import storage
from imagegen.services.purchases import create as purchase_create
from imagegen.services.purchases import payment_events, reconcile, unspent
from imagegen.services.webhooks import deliveries, delivery_worker, outbox, secrets


@dataclass(frozen=True)
class Mutant:
    """A bug: ``new`` replaces ``old``, which occurs once in the source of ``module``.

    If the simulation cannot catch the bug, ``test`` has the arguments of pytest that run the test that does.
    """

    name: str
    module: ModuleType
    old: str
    new: str
    test: str | None = None

    @property
    def path(self) -> Path:
        """The module's source file."""
        assert self.module.__file__ is not None, "the modules of the backend have a file"
        return Path(self.module.__file__)


READ_BOTH = "self.database.read(*paths)"
READ_USER = "self.database.read(user_path(request.user_id))"
RESERVATION = "create_request(request), update_account(user, account, request.week), create_entry(deduction)"
DAILY_AUDIT = "tests/unit/test_daily_audit.py"
ENTRIES_OF_THE_PERIOD = (
    "for entry, number in self._entries(run.entries_checked, run.entries_number, run.entries_until):"
)
WEBHOOK_LOAD = "tests/simulation/test_webhook_load.py"
DELETION_TESTS = "tests/integration/account_data"
PURCHASE_RULES = "tests/unit/test_purchases.py"
UNSPENT = "tests/integration/account_data/test_unspent_purchases.py"
TRIAL_TESTS = "tests/integration/test_trial_credits.py"

MUTANTS = [
    # Reserving
    Mutant(
        "the balance is not checked",
        create,
        "_payment(order, account.wallet.credits)",
        "Credits(paid=order.cost)",
    ),
    Mutant("a price above maxCredits is not refused", create, "if order.is_too_expensive:", "if False:"),
    Mutant(
        "the balance is checked before the transaction",
        create,
        "update_account(user, account, request.week)",
        "update_account(self.database.read(user.path)[0], account, request.week)",
    ),
    Mutant(
        "the request and its deduction are two commits",
        create,
        "version, *_ = self.database.commit(\n                " + RESERVATION,
        "version, *_ = self.database.commit(create_request(request))\n            self.database.commit(\n"
        "                update_account(user, account, request.week), create_entry(deduction)",
    ),
    Mutant(
        "a retry reuses the account that it read first",
        create,
        f"*earlier = {READ_BOTH}",
        f"*earlier = vars(self).setdefault(reservation_id, {READ_BOTH})",
    ),
    Mutant(
        "a call is refused for a hanging provider after a commit that may be applied",
        create,
        "order.mode is Mode.SYNC and not tries",
        "order.mode is Mode.SYNC",
        test="tests/integration/test_hanging_provider.py",
    ),
    Mutant(
        "a request is charged although its provider hangs",
        create,
        "self.execution.check_provider(order.model)",
        "pass",
        test="tests/integration/test_hanging_provider.py",
    ),
    Mutant(
        "a worker claims a request although its provider hangs",
        worker,
        "self.execution.check_provider(model)",
        "pass",
        test="tests/integration/test_hanging_provider.py",
    ),
    Mutant("an existing request with the same key is ignored", create, "if document.exists:", "if False:"),
    # The queue
    Mutant(
        "a worker does not check the ticket",
        worker,
        "not self.tickets.accepts(request_id, ticket)",
        "False",
        test="tests/integration/test_queue.py::test_request_runs_only_with_its_ticket",
    ),
    Mutant("a worker runs a claimed or ended request", worker, "current.request.status is not Status.PENDING", "False"),
    Mutant(
        "a worker treats any claim as its own",
        worker,
        "current.request.claimed_by == worker",
        "current.request.claimed_by",
    ),
    Mutant(
        "a worker does not recognise its own claim",
        worker,
        "current.request.claimed_by == worker",
        "False",
        test="tests/integration/test_queue.py::test_worker_survives_lost_or_refused_commit",
    ),
    Mutant(
        "a worker claims a request without compare-and-set",
        worker,
        "progress_fields(claimed), current.version)",
        "progress_fields(claimed), self.database.read(request_path(claimed.id))[0].version)",
    ),
    Mutant(
        "a claimed request keeps the lease of the queue",
        generation,
        "lease_expires_at=at + lease)",
        "lease_expires_at=at)",
    ),
    Mutant(
        "a request whose task was lost is not swept",
        sweeper,
        "self._expired(Status.PENDING)",
        "self._expired(Status.PROCESSING)",
    ),
    Mutant(
        "a pending request never expires",
        sweeper,
        "request.must_end_by <= now",
        "False",
        test="tests/integration/test_queue.py::test_expired_request_is_refunded",
    ),
    Mutant(
        "a pending request expires at the next sweep",
        sweeper,
        "request.must_end_by <= now",
        "request.created_at <= now",
    ),
    Mutant(
        "a request whose task was never queued waits for ten minutes",
        sweeper,
        "if self.queue.put(request, model):",
        "if False:",
        test="tests/integration/test_queue.py::test_sweeper_queues_a_request_whose_task_was_lost",
    ),
    Mutant(
        "a request whose task is gone gets no other task", sweeper, "return self.queue.put(again, model)", "return True"
    ),
    Mutant(
        "a sweep gives every waiting request another task",
        sweeper,
        "next(calls) < times",
        "next(calls) < 1_000_000",
        test="tests/simulation/test_load.py",
    ),
    Mutant(
        "a repeated call puts another task on the queue",
        queue,
        "task_name(request.id, request.task_number)",
        "task_name(request.id, id(task))",
        test="tests/integration/test_queue.py::test_repeated_calls_put_one_task_on_the_queue",
    ),
    Mutant(
        "a task that the queue knows is taken for an outage",
        cloud_tasks,
        "return False",
        "raise QueueUnavailable from None",
        test="tests/unit/test_cloud_tasks.py",
    ),
    # Cancellation
    Mutant(
        "a cancellation does not check the settled status",
        cancellation,
        "settled.status is not Status.CANCELED",
        "False",
    ),
    Mutant("a cancellation counts as a failure", account, "(reason is not FailureReason.CANCELED)", "1"),
    Mutant(
        "a canceled request gets the status failed", generation, "failure.reason is FailureReason.CANCELED", "False"
    ),
    Mutant(
        "any user may cancel a request",
        cancellation,
        "not may_cancel((stored := StoredRequest.of(document)).request)",
        "not (stored := StoredRequest.of(document))",
        test="tests/integration/test_queue.py::test_only_the_owner_may_cancel",
    ),
    # Limits
    Mutant(
        "the rate limit is not checked",
        create,
        "_within_rate_limit(account.activity, self.limits, now)",
        "account.activity",
    ),
    Mutant("the burst of the rate limit is not bounded", limits, "max(earned_at or now, now)", "earned_at or now"),
    Mutant(
        "the number of unfinished requests is not checked",
        create,
        "len(activity.running) >= self.limits.concurrent",
        "False",
    ),
    Mutant(
        "a running request is treated as ended",
        create,
        "not _may_run(document, now)",
        "True",
    ),
    Mutant(
        "a canceled request is treated as ended while its model runs",
        create,
        "request.may_run(now)",
        "request.is_open",
    ),
    Mutant(
        "a canceled request no longer counts while its model runs",
        limits,
        "replace(self, cancellations_earned_at=limits",
        "replace(self, running=(), cancellations_earned_at=limits",
    ),
    Mutant(
        "a canceled request counts until its lease expires",
        execution,
        "self.settlements.end_canceled_run(settled)",
        "pass",
        test="tests/integration/test_limits.py::test_canceled_request_counts_until_its_run_ends",
    ),
    Mutant(
        "the number of canceled runs is not limited",
        account,
        "self.activity.run_canceled(limits, at)",
        "self.activity",
    ),
    Mutant(
        "a canceled pending request counts as a canceled run",
        account,
        "request.status is Status.PROCESSING",
        "request.is_open",
    ),
    Mutant(
        "a cancellation is refused though the request has ended",
        cancellation,
        "if settled.is_open:",
        "if True:",
    ),
    Mutant(
        "the rate of calls is not checked",
        auth,
        'admit(claims["sub"])',
        "pass",
        test="tests/unit/test_tokens.py::test_call_above_the_rate_is_refused_without_a_lookup",
    ),
    Mutant(
        "the number of callers in memory is not bounded",
        call_rates,
        "> USERS_MAX",
        "> 2 * USERS_MAX",
        test="tests/unit/test_call_rates.py",
    ),
    Mutant(
        "a started request is not added to the activity",
        account,
        "self.activity.started(request.id)",
        "self.activity",
    ),
    # Idempotency
    Mutant(
        "the request id is random despite the key",
        create,
        "self.new_id() if key is None else keyed_request_id(order.user_id, key)",
        "self.new_id()",
    ),
    Mutant(
        "two users with the same key share a request",
        generation,
        "json.dumps([user_id, idempotency_key])",
        "idempotency_key",
    ),
    Mutant(
        "an answer does not tell the refund",
        generation,
        "self.failure.refunded_credits if self.failure else 0",
        "0",
    ),
    Mutant(
        "a quoted key does not find its request of an earlier version",
        create,
        "zip(order.earlier_keys, earlier, strict=True)",
        "()",
        test="tests/integration/test_retries.py -k quoted_header_finds",
    ),
    Mutant("a repeated cancellation is refused", cancellation, "stored.request.status is Status.CANCELED", "False"),
    Mutant("a replay does not say that it is one", create, "is_replay=True", "is_replay=False"),
    Mutant(
        "a replay has the balance of the first answer",
        create,
        '{"currentCredits": created.current_credits}',
        '{"currentCredits": failure.current_credits}',
    ),
    Mutant(
        "another way to write a payload is another payload", generation, "self.canonical == stored.canonical", "False"
    ),
    Mutant(
        "payloads without a canonical fingerprint are the same",
        generation,
        "stored.canonical is not None and ",
        "",
        test="tests/integration/test_retries.py -k quoted_header_finds",
    ),
    Mutant("a replay ignores the fingerprint", create, "not fingerprint.matches(request.fingerprint)", "False"),
    Mutant(
        "a call does not recognise its own reservation", create, "request.reservation_id == reservation_id", "False"
    ),
    Mutant("a call treats any reservation as its own", create, "request.reservation_id == reservation_id", "True"),
    # Commits of unknown outcome
    Mutant("an unknown outcome is treated as a refusal", retry, "isinstance(error, OutcomeUnknown)", "False"),
    Mutant(
        "an unknown outcome is not retried",
        retry,
        "except (CommitRefused, OutcomeUnknown, DatabaseUnavailable)",
        "except (CommitRefused, DatabaseUnavailable)",
        test="tests/unit/test_retry.py",
    ),
    # Settling
    Mutant(
        "a settlement does not check the status",
        settlement,
        "not current.request.is_open",
        "False",
    ),
    Mutant(
        "a settlement commits without compare-and-set",
        settlement,
        "settlement_fields(settled), current.version)",
        "settlement_fields(settled), self.database.read(request_path(settled.id))[0].version)",
    ),
    Mutant(
        "a settlement retries on its first read",
        settlement,
        "StoredRequest.of(*self.database.read(request_path(stored.request.id))) if tries else stored",
        "stored",
    ),
    Mutant(
        "a settlement reuses an account that it read before",
        settlement,
        READ_USER,
        f"vars(self).setdefault(request.user_id, {READ_USER})",
    ),
    Mutant(
        "a request may be completed and refunded",
        settlement,
        "self.database.commit(ending, *refund, *webhooks, *mails)",
        "self.database.commit(*refund, *webhooks, *mails, *([] if refund else [ending]))",
    ),
    Mutant(
        "the refund is a separate commit",
        settlement,
        "self.database.commit(ending, *refund, *webhooks, *mails)",
        "self.database.commit(ending, *webhooks, *mails); refund and self.database.commit(*refund)",
    ),
    Mutant(
        "the second to settle returns its own outcome",
        settlement,
        "return current\n",
        "return StoredRequest(self._settled(current.request, outcome)[0], current.version)\n",
    ),
    Mutant(
        "a pending refund is reported as done",
        execution,
        "raise SettlementPending(",
        "raise __import__('imagegen.errors').errors.GenerationFailed(",
    ),
    Mutant("a result without an image is charged", execution, "if not made:", "if False:"),
    # Refunds
    Mutant(
        "a refund goes to the wrong bucket",
        account,
        "request.paid_from,\n            entry_id=entry_id(request.id, EntryType.REFUND)",
        "Credits(paid=request.cost),\n            entry_id=entry_id(request.id, EntryType.REFUND)",
    ),
    Mutant(
        "a refund's id is not derived from its request",
        account,
        "entry_id=entry_id(request.id, EntryType.REFUND)",
        "entry_id=entry_id(request.id, EntryType.REFUND) + at.isoformat()",
    ),
    Mutant("a failure is not counted", account, "used.failed + (reason is not FailureReason.CANCELED)", "used.failed"),
    Mutant(
        "a refund counts in the week in which it is made",
        settlement,
        ".refund(request, outcome.reason, now)",
        ".refund(__import__('dataclasses').replace(request, created_at=now), outcome.reason, now)",
    ),
    Mutant(
        "the error states the balance before the refund",
        settlement,
        "request.cost, account.wallet.credits.total)",
        "request.cost, account_of(user).wallet.credits.total)",
    ),
    # Leases
    Mutant("the sweeper ignores the lease", sweeper, ', Where("leaseExpiresAt", "<", self.clock.now())', ","),
    Mutant("a lease lasts for days", generation, "timedelta(minutes=3)", "timedelta(days=3)"),
    Mutant("a lease does not last for the generation", generation, "timedelta(minutes=3)", "timedelta(seconds=-60)"),
    Mutant(
        "a request that cannot be settled stops the sweep",
        sweeper,
        "events.exception(part.not_recovered, path=SafeText(document.path))",
        "raise",
        test="tests/integration/test_unreadable.py",
    ),
    Mutant(
        "an unreadable document stops the sweep",
        sweeper,
        "                unreadable.log(error)\n",
        "                raise\n",
        test="tests/integration/test_unreadable.py",
    ),
    Mutant(
        "a sweep ends after its first page",
        sweeper,
        "query = replace(query, start_after=(page[-1].data[query.order_by], page[-1].id))",
        "return",
        test="tests/integration/test_unreadable.py",
    ),
    # Webhooks
    Mutant(
        "the event is a separate commit",
        settlement,
        "self.database.commit(ending, *refund, *webhooks, *mails)",
        "self.database.commit(ending, *refund, *mails); webhooks and self.database.commit(*webhooks)",
    ),
    Mutant(
        "every event has the type completed",
        webhooks,
        'EventType(f"generation.{request.status}")',
        "EventType.COMPLETED",
    ),
    Mutant(
        "the first attempt of a webhook waits for a sweep",
        settlement,
        "self.outbox.enqueue(*deliveries_for(settled.request))",
        "pass",
    ),
    Mutant("the next attempt of a webhook waits for a sweep", delivery_worker, "self.outbox.enqueue(recorded)", "pass"),
    Mutant("a task is queued without its due time", outbox, "not_before=delivery.next_attempt_at", "not_before=None"),
    Mutant(
        "a delivery worker does not check when an attempt is due",
        delivery_worker,
        "now < delivery.next_attempt_at",
        "False",
    ),
    Mutant(
        "a delivery worker sends without a claim",
        delivery_worker,
        "self.database.commit(update_delivery(document, claimed), *state.changed(receiver, state.sending))",
        "pass",
    ),
    Mutant(
        "a delivery worker claims a webhook without compare-and-set",
        delivery_worker,
        "update_delivery(document, claimed)",
        "update_delivery(self.database.read(delivery_path(delivery_id))[0], claimed)",
    ),
    Mutant(
        "a delivery worker treats any claim as its own",
        delivery_worker,
        "delivery.claimed_by == worker",
        "delivery.claimed_by",
    ),
    Mutant(
        "a delivery's lease expires immediately", webhooks, "next_attempt_at=at + SENDING_LEASE", "next_attempt_at=at"
    ),
    Mutant(
        "a delivery worker records an attempt after it lost its claim",
        delivery_worker,
        "delivery.claimed_by != worker",
        "False",
    ),
    Mutant(
        "an attempt is recorded without compare-and-set",
        delivery_worker,
        "update_delivery(document, end.delivery)",
        "update_delivery(self.database.read(delivery_path(attempted.id))[0], end.delivery)",
        test="tests/integration/test_webhooks.py::test_attempt_is_not_recorded_over_the_claim_of_another_task",
    ),
    Mutant("a new attempt replaces the earlier attempts", webhooks, "(*self.attempts, attempt)", "(attempt,)"),
    Mutant("an attempt is not counted", webhooks, "self.attempt_count + 1", "self.attempt_count"),
    Mutant(
        "an accepted webhook is sent again",
        webhooks,
        "status = DeliveryStatus.DELIVERED",
        "status = DeliveryStatus.PENDING",
    ),
    Mutant(
        "a receiver's Retry-After is ignored",
        webhooks,
        "max(delay, attempt.retry_after)",
        "delay",
    ),
    Mutant(
        "a receiver's Retry-After is not capped",
        webhooks,
        "int(header[:9])), RETRY_AFTER_MAX)",
        "int(header[:9])), RETRY_WINDOW)",
        test="tests/unit/test_webhook_delays.py",
    ),
    Mutant("a webhook is retried after 410 Gone", webhooks, "attempt.status_code == HTTPStatus.GONE", "False"),
    Mutant("a webhook is given up after the first failure", delivery_worker, "return made, False", "return made, True"),
    Mutant("a webhook is never given up", webhooks, "next_attempt_at > self.give_up_at", "False"),
    Mutant(
        "a webhook whose task was lost is not swept",
        sweeper,
        "self.outbox.overdue(PAGE_SIZE)",
        "replace(self.outbox.overdue(PAGE_SIZE), limit=0)",
    ),
    Mutant(
        "an overdue webhook stays overdue",
        webhooks,
        "replace(self, claimed_by=None, next_attempt_at=at)",
        "replace(self, claimed_by=None)",
    ),
    Mutant(
        "a resend interrupts an attempt in progress",
        webhooks,
        "is_in_progress = self.is_pending and self.claimed_by is not None and at < self.next_attempt_at",
        "is_in_progress = False",
    ),
    Mutant(
        "a resend resets the number of attempts",
        webhooks,
        "resent_at=at,",
        "resent_at=at, attempt_count=0,",
    ),
    Mutant(
        "the resend of a waiting webhook queues another task",
        webhooks,
        "min(self.next_attempt_at, at) if self.is_pending else at",
        "at",
        test="tests/integration/test_webhooks.py -k waits_for_its_task",
    ),
    Mutant(
        "a resend does not recognise its own commit",
        deliveries,
        "tries and delivery.was_resent(since=now)",
        "False",
        test="tests/unit/test_deliveries.py",
    ),
    Mutant(
        "a failing receiver is not paused",
        delivery_worker,
        "waits = [state.sending.waits_until, paused_until]",
        "waits = [state.sending.waits_until]",
        test="tests/integration/test_webhooks.py -k next_success_ends",
    ),
    Mutant(
        "a failing receiver gets any number of attempts at once",
        receivers,
        "return self if self.failing_since is None else replace(self, paused_until=until)",
        "return self",
        test="tests/integration/test_webhooks.py -k one_attempt_at_a_time",
    ),
    Mutant(
        "a receiver that recovers stays paused",
        receivers,
        "replace(self, failing_since=None, paused_until=None, given_up_at=None)",
        "self",
        test="tests/integration/test_webhooks.py -k next_success_ends",
    ),
    Mutant(
        "one user's slow receivers may take every slot",
        delivery_worker,
        "waits = [state.sending.waits_until, paused_until]",
        "waits = [paused_until]",
        test=WEBHOOK_LOAD,
    ),
    Mutant(
        "a webhook that is put off twice has two tasks",
        delivery_worker,
        "if delivery is not None and delivery == put_off:",
        "if False:",
        test="tests/integration/test_webhooks.py -k putting_off",
    ),
    Mutant(
        "retries take the slots of first attempts",
        outbox,
        "FIRST_ATTEMPTS if delivery.is_first_attempt else RETRIES",
        "FIRST_ATTEMPTS",
        test="tests/integration/test_webhooks.py -k queue_of_their_own",
    ),
    Mutant(
        "the resends of a delivery are not limited",
        webhooks,
        "RESENDS.admit(self.resends_earned_at, at)",
        "at",
        test="tests/integration/test_webhooks.py -k resends_of_one_delivery",
    ),
    Mutant(
        "the resends of a user are not limited",
        deliveries,
        "sending.resent(self.limits.resends, now)",
        "sending",
        test="tests/integration/test_limits.py -k resends_of_a_user",
    ),
    Mutant(
        "an endpoint gets events that it does not want",
        endpoints,
        "(not self.events or type in self.events)",
        "bool(type)",
    ),
    Mutant(
        "two endpoints of a list may have the same id",
        documents_of_endpoints,
        "if len({endpoint.id for endpoint in endpoints}) < len(endpoints):",
        "if False:",
        test="tests/integration/test_unreadable.py -k list_of_endpoints",
    ),
    Mutant(
        "a receiver is given up more than once",
        receivers,
        "if self.given_up_at is None and (is_gone or is_hopeless)",
        "if is_gone or is_hopeless",
        test="tests/integration/test_webhook_endpoints.py -k given_up_once",
    ),
    Mutant(
        "the event of a receiver that is given up again has the id of the first event",
        webhooks,
        'f"{failed.id} {failed.resent_at}"',
        "failed.id",
    ),
    Mutant(
        "an endpoint that is given up stays enabled",
        delivery_worker,
        "enabled=endpoint.enabled and endpoint.id != delivery.endpoint_id",
        "enabled=endpoint.enabled",
        test="tests/integration/test_webhook_endpoints.py -k told_once",
    ),
    Mutant(
        "a stored number of a webhook may overflow",
        documents_of_webhooks,
        'fields.amount("durationMs", limit=_NUMBER_MAX)',
        'fields.amount("durationMs")',
        test="tests/integration/test_unreadable.py -k overflows",
    ),
    Mutant("each webhook is signed with a new secret", secrets, "if stored.key is not None:", "if False:"),
    Mutant(
        "a moved secret is replaced",
        secrets,
        "StoredSecrets(shared=earlier)",
        "StoredSecrets()",
        test="tests/integration/test_webhooks.py -k secret",
    ),
    Mutant(
        "two receivers share a secret",
        secrets,
        '"{receiver_id}:{number}"',
        '"{number}"',
        test="tests/integration/test_webhooks.py -k cannot_forge",
    ),
    Mutant(
        "a repeated rotation makes a third secret",
        secrets,
        "if rotation.rotate and (rotation.expire_previous or not overlaps):\n            number",
        "if rotation.rotate:\n            number",
        test="tests/integration/test_webhooks.py -k rotation",
    ),
    Mutant(
        "a stored secret without bytes is taken for a secret",
        documents_of_secrets,
        "if not decoded:",
        "if False:",
        test="tests/integration/test_unreadable.py -k unreadable_secret",
    ),
    # The ledger
    Mutant("a deduction adds credits", ledger, "-1 if self in TAKING else 1", "1"),
    Mutant("an entry has the number of the previous entry", ledger, "seq=self.seq + 1", "seq=self.seq"),
    Mutant(
        "an entry states the balance before it",
        ledger,
        "balance_after=balance.total",
        "balance_after=self.credits.total",
    ),
    Mutant("an entry's hash does not cover the previous entry", ledger, ").sealed(self.head)", ").sealed(GENESIS)"),
    Mutant(
        "the hash leaves out the previous hash",
        ledger,
        "            previous_hash,\n",
        "",
        test="tests/unit/test_ledger.py",
    ),
    # Trial credits, which the simulation's users have from the start
    Mutant(
        "each account of a person gets trial credits",
        accounts,
        "any(not claim.exists for claim in claims)",
        "bool(claims)",
        test=TRIAL_TESTS,
    ),
    Mutant(
        "an account gets trial credits again for another address",
        accounts,
        "is_first_claim and not welcome.exists",
        "is_first_claim",
        test=TRIAL_TESTS,
    ),
    Mutant(
        "trial credits are claimed before they are granted",
        accounts,
        "writes.append(create_trial_claim(claim_id, user_id, now))",
        "self.database.commit(create_trial_claim(claim_id, user_id, now))",
        test=TRIAL_TESTS,
    ),
    Mutant(
        "an account from before the claims is not claimed",
        accounts,
        "(granted.total or welcome.exists)",
        "granted.total",
        test=TRIAL_TESTS,
    ),
    Mutant(
        "an unverified address claims trial credits",
        auth,
        "if self.email and self.email_verified:",
        "if self.email:",
        test=TRIAL_TESTS,
    ),
    Mutant("an alias is another person", people, 'name.partition("+")[0]', "name", test="tests/unit/test_people.py"),
    Mutant(
        "each instance has a key of its own",
        server_keys,
        "self._keys = self._load()",
        "self._keys = [self._rng.randbytes(KEY_BYTES)]",
        test=TRIAL_TESTS,
    ),
    # API keys and the REST API
    Mutant(
        "a grant is not counted in its API key",
        accounts,
        "create_entry(entry), *counted)",
        "create_entry(entry))",
        test="tests/integration/test_api_keys.py -k each_day",
    ),
    Mutant(
        "an API key calls functions of other scopes",
        operation,
        "caller.check_scope(self.scope)",
        "pass",
        test="tests/integration/test_access.py -k getCatalog",
    ),
    Mutant(
        "a revoked API key goes on",
        api_keys,
        "key is None or key.revoked_at is not None else key",
        "key is None else key",
        test="tests/integration/test_api_keys.py -k revoked_key",
    ),
    Mutant(
        "an API key outlives its owner's account",
        auth,
        "return key, active_account(key.user_id)",
        "from firebase_admin import auth\n\n    return key, auth.get_user(key.user_id)",
        test="tests/integration/test_api_keys.py -k stops_with_its_owner",
    ),
    Mutant(
        "a repeated call of the REST API waits",
        generations,
        "if not created.is_replay:\n        request",
        "if True:\n        request",
        test="tests/integration/test_rest.py -k repeat_under",
    ),
    # Recovery
    Mutant(
        "a rerun reconciles its week again",
        weekly,
        "reconciliation=reconciliation\n            or self",
        "reconciliation=self",
        test="tests/integration/test_weekly_report_runs.py",
    ),
    Mutant(
        "an entry of an earlier week that is deleted is not missed",
        reconciliation,
        "earlier - before.ledger",
        "0",
        test="tests/integration/test_weekly_report_runs.py",
    ),
    Mutant(
        "a deleted account is opened again over its ledger",
        accounts,
        "if not self.database.find(Query(ledger_path(user_id), limit=1)):",
        "if True:",
        test="tests/integration/test_runbook.py",
    ),
    Mutant(
        "a replaced key is not accepted",
        server_keys,
        "for key in self._loaded()",
        "for key in self._loaded()[:1]",
        test="tests/integration/test_queue.py",
    ),
    # Images
    Mutant(
        "an image of another user is reused",
        create,
        'Where("userId", "==", order.user_id),\n            Where("status", "=="',
        'Where("status", "=="',
        test="tests/integration/test_reuse.py",
    ),
    Mutant("a request is completed before its image is stored", storage, "for item in encoded:", "for item in []:"),
    Mutant(
        "a request whose image was not stored is completed",
        execution,
        'return Failed(FailureReason.IMAGE_NOT_STORED, "The image could not be stored.")',
        'return Succeeded("https://images.example.com/lost.png")',
        test="tests/integration/test_images.py",
    ),
    Mutant(
        "the files of a user's other requests are deleted too",
        storage,
        "self.store.delete(folder_of(request.user_id, request.id))",
        'self.store.delete(folder_of(request.user_id, request.id).rpartition("/")[0])',
    ),
    Mutant(
        "the files of an abandoned request are kept",
        generation,
        "MAY_LEAVE_FILES = (FailureReason.ABANDONED, ",
        "MAY_LEAVE_FILES = (",
    ),
    Mutant(
        "a refused request is not refunded",
        settlement,
        "if not user.exists:",
        "if not user.exists or outcome.reason is FailureReason.CONTENT_REFUSED:",
    ),
    Mutant(
        "a document that cannot be read ends a sweep",
        sweeper,
        "logged.add(error.path)",
        "raise",
    ),
    # The adapter, which the simulation replaces by its in-memory Firestore
    Mutant(
        "the adapter forgets the version",
        firestore_messages,
        "case Update(fields=fields, version=version):\n"
        "            _set_timestamp(message.current_document.update_time, version)",
        "case Update(fields=fields):\n            message.current_document.exists = True",
        test="tests/simulation/test_contract.py",
    ),
    Mutant(
        "the adapter lets a new document replace an existing one",
        firestore_messages,
        "message.current_document.exists = False",
        "pass",
        test="tests/simulation/test_contract.py",
    ),
    Mutant(
        "the adapter replaces whole maps",
        firestore_messages,
        "paths.append(canonical)",
        'paths.append(canonical.split(".")[0])',
        test="tests/integration/test_firestore.py",
    ),
    Mutant(
        "the adapter sends a commit again after a lost answer",
        firestore,
        "answer = self._commit(request,",
        'answer = self._read_options["retry"](self._commit)(request,',
        test="tests/integration/test_firestore.py",
    ),
    # The catalog
    Mutant(
        "an option is changed although someone else has changed it",
        catalog_options,
        "if option.version is None or version_of(option.version) != version:",
        "if False:",
        test="tests/integration/test_catalog_options.py",
    ),
    Mutant(
        "a change of a price is not recorded",
        catalog_options,
        "self.database.commit(update, create_change(change))",
        "self.database.commit(update)",
        test="tests/integration/test_catalog_options.py",
    ),
    # Deleted accounts
    Mutant(
        "a deletion leaves the pictures",
        deletions,
        "pictures = self._done(user_id, until, self._delete_pictures)",
        "pictures = True",
    ),
    Mutant(
        "a deletion leaves the prompts",
        deletions,
        "erase, self._delete_deliveries",
        "self._delete_deliveries",
    ),
    Mutant(
        "a request that cannot be settled keeps all others from being erased",
        deletions,
        "erased = self._done(",
        "erased = settled and self._done(",
        test=f"{DELETION_TESTS}/test_deletion_failures.py",
    ),
    Mutant(
        "a request that was repaired after the others were erased keeps its prompt",
        deletions,
        "replace(deletion, ended_erased_up_to=last) if leave_open else",
        "replace(deletion, ended_erased_up_to=last, erased_up_to=last) if leave_open else",
        test=f"{DELETION_TESTS}/test_deletion_failures.py",
    ),
    Mutant(
        "a deletion leaves the deliveries",
        deletions,
        "erase, self._delete_deliveries",
        "erase",
    ),
    Mutant(
        "a deletion leaves the e-mails",
        deletions,
        "*map(Delete, mails), write_deletion",
        "write_deletion",
        test=f"{DELETION_TESTS}/test_deletion.py",
    ),
    Mutant(
        "a deletion settles no requests",
        deletions,
        "settled = self._done(user_id, until, self._settle_requests)",
        "settled = True",
    ),
    Mutant(
        "a deletion leaves open purchases",
        deletions,
        "self._close_purchases, self._refund_purchases",
        "self._refund_purchases",
        test=f"{DELETION_TESTS}/test_deletion_purchases.py",
    ),
    Mutant(
        "a deletion ends while an open purchase could not be closed",
        deletions,
        "done=ended and",
        "done=",
        test=f"{DELETION_TESTS}/test_deletion_purchases.py",
    ),
    Mutant(
        "a purchase whose session is still open counts as closed",
        reconcile,
        'raise PaymentsRefused("session_open")',
        "pass",
        test=f"{DELETION_TESTS}/test_deletion_purchases.py",
    ),
    Mutant(
        "a deletion erases requests that have not ended",
        deletions,
        "[request for request in requests if not (leave_open and is_open(request))]",
        "requests",
        test=f"{DELETION_TESTS}/test_deletion_failures.py",
    ),
    Mutant(
        "a forfeit has no entry",
        deletions,
        "end_balance(user, wallet, self.clock.now()), *entries",
        "update_wallet(user, wallet)",
    ),
    Mutant(
        "a deletion forfeits twice",
        deletions,
        "wallet = wallet_of(user)\n",
        "wallet = vars(self).setdefault(user_id, wallet_of(user))\n",
        test=f"{DELETION_TESTS}/test_deletion_failures.py",
    ),
    Mutant(
        "a deletion loses the weekly counters",
        documents_of_accounts,
        '    "usage",\n    "debts",',
        '    "debts",',
    ),
    Mutant(
        "a deletion loses the tombstone",
        documents_of_accounts,
        "    DELETED_AT,\n    BALANCE_ENDED_AT,",
        "    BALANCE_ENDED_AT,",
    ),
    Mutant(
        "a deletion loses the end of the balance",
        documents_of_accounts,
        "    DELETED_AT,\n    BALANCE_ENDED_AT,",
        "    DELETED_AT,",
        test=f"{DELETION_TESTS}/test_deletion.py",
    ),
    Mutant(
        "a deletion leaves the profile",
        documents_of_accounts,
        "if name in KEPT_OF_DELETED}",
        "}",
        test=f"{DELETION_TESTS}/test_deletion.py",
    ),
    Mutant(
        "a deletion ends before the calls that began earlier",
        deletions,
        "may_finish = done and self.clock.now() >= deletion.may_finish_at",
        "may_finish = done",
        test=f"{DELETION_TESTS}/test_deletion.py",
    ),
    Mutant(
        "a deletion ends although the account to sign in with is not deleted",
        deletions,
        "                may_finish = False",
        "                pass",
        test=f"{DELETION_TESTS}/test_deletion.py",
    ),
    Mutant(
        "a deletion ends although a step has failed",
        deletions,
        "done=ended and erased and pictures and all(others)",
        "done=True",
    ),
    Mutant(
        "a deletion limits the canceled runs",
        bootstrap,
        "canceled_runs_per_day=UNLIMITED",
        "canceled_runs_per_day=1",
        test=f"{DELETION_TESTS}/test_deletion.py",
    ),
    Mutant(
        "a deleted account can be registered again",
        accounts,
        "            refuse_deleted(user)\n            now",
        "            now",
        test=f"{DELETION_TESTS}/test_deletion.py",
    ),
    Mutant(
        "a call of a deleted account is answered",
        operation,
        "        self._refuse_deleted(backend, call)\n",
        "",
        test=f"{DELETION_TESTS}/test_refusals.py",
    ),
    Mutant(
        "an export contains the ids of API keys",
        collections,
        '"The id is a hash of the key, and is not exported.",\n        withholds_id=True',
        '"The id is a hash of the key, and is not exported.",\n        withholds_id=False',
        test=f"{DELETION_TESTS}/test_export.py",
    ),
    Mutant(
        "the files of an export stay",
        exports,
        "            self._delete_files(export)\n            self.database.commit(Delete(",
        "            self.database.commit(Delete(",
        test=f"{DELETION_TESTS}/test_export.py",
    ),
    # The daily audit
    Mutant(
        "the daily audit moves on before it has checked a user",
        daily_audit,
        ENTRIES_OF_THE_PERIOD,
        ENTRIES_OF_THE_PERIOD + "\n            progress.run = replace("
        "progress.run, entries_checked=entry.data['timestamp'], entries_number=number + 1)",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit never checks users without new entries",
        daily_audit,
        "rotation_left=ceil(users.count / ROTATION)",
        "rotation_left=0",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit checks the same thirtieth each day",
        daily_audit,
        "rotation_after=user.id, rotation_left=left",
        "rotation_left=left",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit misses an entry that is committed late",
        daily_audit,
        "now - COMMITTED_WITHIN",
        "now",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit skips entries of the moment at which it stopped",
        daily_audit,
        "number = number if at == since else 0",
        "number = number if at == since else 1",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit takes a change between two reads for a finding",
        daily_audit,
        "if user.version == version:",
        "if True:",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit does not compare the sums",
        daily_audit,
        "if balances.balances != balances.ledgers:",
        "if False:",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit forgets the users with findings",
        daily_audit,
        "else _users_in(last.findings)",
        "else ()",
        test=DAILY_AUDIT,
    ),
    Mutant(
        "the daily audit does not look for overdue deletions",
        daily_audit,
        ", *(deletion.id for deletion in overdue)",
        "",
        test=f"{DELETION_TESTS}/test_deletion_failures.py",
    ),
    Mutant(
        "an admin whose account was deleted acts on other users",
        operation,
        "dict.fromkeys((named, call.caller.uid))",
        "dict.fromkeys((named or call.caller.uid,))",
        test=f"{DELETION_TESTS}/test_refusals.py",
    ),
    Mutant(
        "an unexpected error of one query ends a sweep",
        sweeper,
        "except Exception as error:  # noqa: BLE001 - logged, raised at the end",
        "except ZeroDivisionError as error:  # logged, raised at the end",
        test="tests/integration/test_unreadable.py",
    ),
    Mutant(
        "a deletion that only Firebase Auth stops is never overdue",
        deletions,
        "due_at = current.may_finish_at",
        "due_at = max(now, current.may_finish_at)",
        test=f"{DELETION_TESTS}/test_deletion_failures.py",
    ),
    Mutant(
        "a repeated daily audit replaces the findings of the first",
        daily_audit,
        "last.scheduled_for == scheduled_for",
        "False",
        test=DAILY_AUDIT,
    ),
    # Purchases
    Mutant(
        "a purchase is granted before it is paid",
        purchases,
        "if session.state is not SessionState.PAID:",
        "if session.state is SessionState.OPEN:",
    ),
    Mutant(
        "each paid event grants the credits",
        purchases,
        "if not purchase.credits_granted:",
        "if True:",
    ),
    Mutant(
        "a session with another amount is granted",
        purchases,
        "return Discrepancy.AMOUNT if session.amount != self.amount else None",
        "return None",
        test=f"{PURCHASE_RULES}::test_session_that_differs_grants_nothing",
    ),
    Mutant(
        "each partial refund is rounded for itself",
        purchases,
        "due = purchase.credits_granted * returned // purchase.amount",
        "due = self.credits_due + purchase.credits_granted * amount // purchase.amount",
    ),
    Mutant(
        "a reversal takes more than there is",
        ledger,
        "taken = min(credits, self.credits.paid)",
        "taken = credits",
    ),
    Mutant(
        "a reversal forgets what it could not take",
        ledger,
        "wallet = self._owing(purchase_id, self.debt_of(purchase_id) + credits - taken)",
        "wallet = self",
    ),
    Mutant(
        "a debt takes trial credits",
        ledger,
        "wallet, left, reversals = self, entry.amount.paid, []",
        "wallet, left, reversals = self, entry.amount.total, []",
        test=f"{PURCHASE_RULES}::test_refund_of_a_generation_settles_no_more_than_it_returns",
    ),
    Mutant(
        "the refund of a generation settles no debt",
        account,
        "wallet.settle_debts(entry) if wallet.debts else (wallet, [])",
        "(wallet, [])",
        test="tests/unit/test_purchase_reversals.py::test_spent_credits_are_taken_from_the_refunds_of_generations",
    ),
    Mutant(
        "a won dispute reinstates what is still owed",
        ledger,
        "canceled = min(owed, credits)",
        "canceled = 0",
        test=f"{PURCHASE_RULES}::test_won_dispute_cancels_the_debt_and_reinstates_the_rest",
    ),
    Mutant(
        "a record that was read before another commit is applied",
        reconcile,
        "if version != document.version:",
        "if version is None:",
        test="tests/unit/test_payment_events.py::test_older_record_does_not_undo_a_newer_one",
    ),
    Mutant(
        "a record that changes nothing does not refuse an older one",
        reconcile,
        "reconciliations=purchase.reconciliations + 1",
        "reconciliations=purchase.reconciliations",
        test="tests/unit/test_payment_events.py::test_older_record_does_not_undo_a_newer_one",
    ),
    Mutant(
        "an event is dropped if its id was seen, also after a failure",
        payment_events,
        "ignored = self._handle(event)",
        "ignored = None if vars(self).setdefault(event.id, event) is not event else self._handle(event)",
        test="tests/unit/test_payment_events.py::test_event_is_accepted_only_after_the_commit",
    ),
    Mutant(
        "an event of the other mode is handled",
        payment_events,
        "if event.livemode is not self.payments.is_live:",
        "if False:",
        test="tests/unit/test_payment_events.py::test_event_of_the_other_mode_is_ignored",
    ),
    Mutant(
        "a test purchase is reconciled with live keys",
        reconcile,
        "if purchase.livemode is not self.payments.is_live:",
        "if False:",
        test="tests/unit/test_payment_events.py::test_test_purchase_is_not_granted_with_live_keys",
    ),
    Mutant(
        "an event is accepted although nothing was committed",
        payment_webhook,
        "return _refused(HTTPStatus.SERVICE_UNAVAILABLE, ServiceUnavailable.reason)",
        "return _refused(HTTPStatus.OK, ServiceUnavailable.reason)",
        test="tests/unit/test_payment_events.py::test_event_is_accepted_only_after_the_commit",
    ),
    Mutant(
        "a refund is looked up by its charge",
        stripe_payments,
        'about.get("payment_intent")',
        'about.get("charge")',
        test="tests/unit/test_stripe_payments.py::test_refund_leads_to_its_payment_intent_and_not_to_its_charge",
    ),
    Mutant(
        "an event needs no signature",
        stripe_payments,
        "if not any(map(is_signed_with, self._secrets)):",
        "if False:",
        test="tests/unit/test_stripe_payments.py::test_forged_signature_is_refused",
    ),
    Mutant(
        "an inquiry takes the credits back",
        stripe_payments,
        'dispute.status == "won" or dispute.status.startswith("warning_")',
        'dispute.status == "won"',
        test="tests/unit/test_stripe_payments.py::test_inquiry_that_has_withdrawn_money_before_is_not_in_effect",
    ),
    Mutant(
        "a second session is created after the key is forgotten",
        purchase_create,
        "if purchase.is_unanswered(self.clock.now()) or purchase.livemode is not self.payments.is_live:",
        "if False:",
        test="tests/unit/test_purchase_creation.py::test_purchase_without_an_answered_session_expires_after_23_hours",
    ),
    Mutant(
        "a purchase stays expired although its session was created",
        purchase_create,
        "if purchase.status is PurchaseStatus.EXPIRED:",
        "if False:",
        test="tests/unit/test_purchase_creation.py::test_purchase_that_expired_while_its_session_was_created_is_open_again",
    ),
    Mutant(
        "a buyer can make the provider be asked at any rate",
        reconcile,
        "if self._may_look(document, purchase):",
        "if True:",
        test="tests/unit/test_purchase_recovery.py::test_landing_page_looks_once_in_a_while",
    ),
    Mutant(
        "a buyer returns to any site",
        purchases_api,
        "if _origin(url) not in",
        "if _origin(url) is None and _origin(url) not in",
        test="tests/unit/test_purchase_creation.py::test_buyer_returns_only_to_allowed_sites",
    ),
    Mutant("the sweeper checks no purchases", sweeper, "if self.reconciliation is not None:", "if False:"),
    Mutant(
        "a deleted account keeps what a purchase grants",
        reconcile,
        "if is_forfeited:",
        "if False:",
    ),
    Mutant(
        "a repeated refund has no stored target",
        unspent,
        "missing = refunding.target - purchase.amount_refunded",
        "missing = refunding.target",
        test=f"{UNSPENT}::test_crash_after_the_refund_refunds_nothing_again",
    ),
    Mutant(
        "an unspent purchase is refunded before its plan is stored",
        unspent,
        "        self._commit(document, deletion, planned)\n        return False",
        "        return self._refund(document, deletion, planned)",
        test=f"{UNSPENT}::test_plan_is_stored_before_the_refund",
    ),
    Mutant(
        "a reconciliation forfeits before the balance has ended",
        reconcile,
        "is_deleted(user) and self._has_ended(user)",
        "is_deleted(user)",
        test=f"{UNSPENT}::test_buyer_who_was_faster_is_refunded",
    ),
    Mutant(
        "a purchase and the credits that it grants are two commits",
        reconcile,
        "self.database.commit(update_purchase(document, after), *writes)",
        "self.database.commit(update_purchase(document, after)); writes and self.database.commit(*writes)",
    ),
    Mutant(
        "a checkout session is created before its purchase",
        purchase_create,
        "self.database.commit(create_purchase(purchase), paced)",
        "self.payments.create_session(new_session(purchase)); self.database.commit(create_purchase(purchase), paced)",
    ),
]

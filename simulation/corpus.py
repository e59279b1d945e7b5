"""The mutants: plausible one-line faults in the money path and on the way of webhooks, each to be caught by a check."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from imagegen.adapters import firestore
from imagegen.domain import account, generation, ledger, limits, webhooks
from imagegen.services import retry, sweeper
from imagegen.services.generations import cancellation, create, execution, settlement, worker
from imagegen.services.webhooks import deliveries, delivery_worker, outbox, secrets


@dataclass(frozen=True)
class Mutant:
    """A fault: ``old``, which stands once in the source of ``module``, is replaced by ``new``.

    ``test`` is what catches it where the simulation cannot: arguments of pytest.
    """

    name: str
    module: ModuleType
    old: str
    new: str
    test: str | None = None

    @property
    def path(self) -> Path:
        """The module's source file."""
        assert self.module.__file__ is not None, "modules of the product have a file"
        return Path(self.module.__file__)


READ_BOTH = "self.database.read(user_path(order.user_id), request_path(request_id))"
READ_USER = "self.database.read(user_path(request.user_id))"
RESERVATION = "create_request(request), update_account(user, account, request.week), create_entry(deduction)"

MUTANTS = [
    # Reserving
    Mutant(
        "the balance is not checked",
        create,
        "_payment(order, account.wallet.credits)",
        "Credits(paid=order.cost)",
    ),
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
        READ_BOTH,
        f"vars(self).setdefault(reservation_id, {READ_BOTH})",
    ),
    Mutant("an existing request is not looked for", create, "if document.exists:", "if False:"),
    # The queue
    Mutant(
        "a worker does not look at the ticket",
        worker,
        ".request.reservation_id != ticket",
        ".request is None",
        test="tests/integration/test_queue.py::test_request_runs_only_with_its_ticket",
    ),
    Mutant("a worker runs a claimed or ended request", worker, "current.request.status is not Status.PENDING", "False"),
    Mutant(
        "a worker takes any claim for its own",
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
    Mutant("a request whose task was lost is forgotten", sweeper, "for status in OPEN", "for status in OPEN[1:]"),
    Mutant(
        "a request waits indefinitely",
        sweeper,
        "_has_waited_too_long(request, now)",
        "False",
        test="tests/integration/test_queue.py::test_expired_request_is_refunded",
    ),
    Mutant("a request waits for no time", sweeper, "request.give_up_at <= now", "request.created_at <= now"),
    Mutant("a swept request is not enqueued again", sweeper, "        enqueue(self.tasks, again, model)\n", ""),
    # Cancellation
    Mutant(
        "a cancellation does not look who settled first", cancellation, "settled.status is not Status.CANCELED", "False"
    ),
    Mutant("a cancellation is no failure but counts as one", account, "(reason is not FailureReason.CANCELED)", "1"),
    Mutant("a canceled request is failed", generation, "failure.reason is FailureReason.CANCELED", "False"),
    Mutant(
        "a stranger may cancel",
        cancellation,
        "not may_cancel((stored := StoredRequest.of(document)).request)",
        "not (stored := StoredRequest.of(document))",
        test="tests/integration/test_queue.py::test_only_the_owner_may_cancel",
    ),
    # Limits
    Mutant("nobody is too fast", create, "_paced(account.activity, self.limits, now)", "account.activity"),
    Mutant("a pause earns any number of requests", limits, "max(self.earned_at or now, now)", "self.earned_at or now"),
    Mutant(
        "nobody has too many unfinished requests", create, "len(activity.running) >= self.limits.concurrent", "False"
    ),
    Mutant(
        "whatever seems to run has ended",
        create,
        "not request_of(document).is_open",
        "True",
    ),
    Mutant(
        "a request's start is not noted",
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
    Mutant("the same key of two users is one", generation, "json.dumps([user_id, idempotency_key])", "idempotency_key"),
    Mutant("a replay ignores the fingerprint", create, "request.fingerprint != order.fingerprint", "False"),
    Mutant(
        "a call does not recognise its own reservation", create, "request.reservation_id == reservation_id", "False"
    ),
    Mutant("a call takes any reservation for its own", create, "request.reservation_id == reservation_id", "True"),
    # Commits of unknown outcome
    Mutant("an unknown outcome is taken for a refusal", retry, "isinstance(error, OutcomeUnknown)", "False"),
    Mutant(
        "an unknown outcome is not retried",
        retry,
        "except (CommitRefused, OutcomeUnknown, DatabaseUnavailable)",
        "except (CommitRefused, DatabaseUnavailable)",
        test="tests/unit/test_retry.py",
    ),
    # Settling
    Mutant(
        "a settlement does not look at the status",
        settlement,
        "not current.request.is_open",
        "False",
    ),
    Mutant(
        "a settlement is no compare-and-set",
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
        "a completion and a refund may both happen",
        settlement,
        "self.database.commit(ending, *refund, *webhooks)",
        "self.database.commit(*refund, *webhooks, *([] if refund else [ending]))",
    ),
    Mutant(
        "the refund is a commit of its own",
        settlement,
        "self.database.commit(ending, *refund, *webhooks)",
        "self.database.commit(ending, *webhooks); refund and self.database.commit(*refund)",
    ),
    Mutant(
        "a loser tells its own outcome",
        settlement,
        "return current.request\n",
        "return self._settled(current.request, outcome)[0]\n",
    ),
    Mutant(
        "a pending refund is said to be done",
        execution,
        "raise SettlementPending(",
        "raise __import__('imagegen.errors').errors.GenerationFailed(",
    ),
    Mutant("an answer without an image is paid", execution, "if not url:", "if False:"),
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
        "the answer states the balance before the refund",
        settlement,
        "request.cost, account.wallet.credits.total)",
        "request.cost, account_of(user).wallet.credits.total)",
    ),
    # Leases
    Mutant("the sweeper ignores the lease", sweeper, 'Where("leaseExpiresAt", "<", self.clock.now()),', ""),
    Mutant("a lease lasts for days", generation, "timedelta(minutes=3)", "timedelta(days=3)"),
    Mutant("a lease does not last for the generation", generation, "timedelta(minutes=3)", "timedelta(seconds=-60)"),
    Mutant("one that cannot be settled ends the sweep", sweeper, "return False", "raise"),
    # Webhooks
    Mutant(
        "an event is written after its request has ended",
        settlement,
        "self.database.commit(ending, *refund, *webhooks)",
        "self.database.commit(ending, *refund); webhooks and self.database.commit(*webhooks)",
    ),
    Mutant(
        "every end is told as a completion",
        webhooks,
        'type=f"generation.{request.status}"',
        'type="generation.completed"',
    ),
    Mutant("a webhook is left to a sweep", settlement, "self.outbox.enqueue(event)", "pass"),
    Mutant("a next attempt is left to a sweep", delivery_worker, "self.outbox.enqueue(recorded)", "pass"),
    Mutant(
        "the queue is not told when an attempt is due", outbox, "not_before=delivery.next_attempt_at", "not_before=None"
    ),
    Mutant(
        "a delivery worker does not look when an attempt is due",
        delivery_worker,
        "now < delivery.next_attempt_at",
        "False",
    ),
    Mutant(
        "a delivery worker claims nothing before it sends",
        delivery_worker,
        "self.database.commit(update_delivery(document, claimed))",
        "pass",
    ),
    Mutant(
        "a delivery worker claims a webhook without compare-and-set",
        delivery_worker,
        "update_delivery(document, claimed)",
        "update_delivery(self._read(delivery_id)[0], claimed)",
    ),
    Mutant(
        "a delivery worker takes any claim for its own",
        delivery_worker,
        "delivery.claimed_by == worker",
        "delivery.claimed_by",
    ),
    Mutant("a delivery's lease ends at once", webhooks, "next_attempt_at=at + SENDING_LEASE", "next_attempt_at=at"),
    Mutant(
        "a delivery worker that was too slow records over another",
        delivery_worker,
        "delivery.claimed_by != worker",
        "False",
    ),
    Mutant(
        "an attempt is recorded without compare-and-set",
        delivery_worker,
        "update_delivery(document, attempted)",
        "update_delivery(self._read(attempted.id)[0], attempted)",
    ),
    Mutant("an attempt is recorded over those before", webhooks, "(*self.attempts, attempt)", "(attempt,)"),
    Mutant("an attempt is not counted", webhooks, "self.attempt_count + 1", "self.attempt_count"),
    Mutant(
        "an accepted webhook is sent again",
        webhooks,
        "status = DeliveryStatus.DELIVERED",
        "status = DeliveryStatus.PENDING",
    ),
    Mutant("whoever is gone is asked again", webhooks, "attempt.status_code == HTTPStatus.GONE", "False"),
    Mutant("a webhook is given up when it fails", delivery_worker, "return made, False", "return made, True"),
    Mutant("a webhook is never given up", webhooks, "next_attempt_at > self.give_up_at", "False"),
    Mutant("a lost webhook is forgotten", sweeper, " + self._each(overdue, self.outbox.enqueue_again)", ""),
    Mutant(
        "an overdue webhook stays overdue",
        webhooks,
        "replace(self, claimed_by=None, next_attempt_at=at)",
        "replace(self, claimed_by=None)",
    ),
    Mutant(
        "a webhook being sent is resent",
        webhooks,
        "self.is_pending and self.claimed_by is not None and at < self.next_attempt_at",
        "False",
    ),
    Mutant(
        "a resend counts from zero",
        webhooks,
        "next_attempt_at=at, give_up_at=at + RETRY_WINDOW",
        "next_attempt_at=at, give_up_at=at + RETRY_WINDOW, attempt_count=0",
    ),
    Mutant(
        "a resend does not recognise its own",
        deliveries,
        "tries and delivery.was_resent(since=now)",
        "False",
        test="tests/unit/test_deliveries.py",
    ),
    Mutant("each webhook is signed with another secret", secrets, "secret is None or rotate", "True"),
    # The ledger
    Mutant("a deduction adds", ledger, "-1 if self is EntryType.DEDUCTION else 1", "1"),
    Mutant("an entry has its predecessor's number", ledger, "seq=self.seq + 1", "seq=self.seq"),
    Mutant(
        "an entry states the balance before it",
        ledger,
        "balance_after=balance.total",
        "balance_after=self.credits.total",
    ),
    Mutant("an entry is not sealed to the one before", ledger, ").sealed(self.head)", ").sealed(GENESIS)"),
    Mutant(
        "a seal leaves out the predecessor",
        ledger,
        "            previous_hash,\n",
        "",
        test="tests/unit/test_ledger.py",
    ),
    # The adapter, which the stand-in stands in for
    Mutant(
        "the adapter forgets the version",
        firestore,
        "self._client.write_option(last_update_time=version)",
        "self._client.write_option(exists=True)",
        test="tests/simulation/test_contract.py",
    ),
]

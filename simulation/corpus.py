"""The mutants: plausible one-line faults in the money path and on the way of webhooks, each to be caught by a check."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``old`` stands once in ``file`` (below ``functions/imagegen``) and is replaced by ``new``.

    ``test`` is what catches it where the simulation cannot: arguments of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    test: str | None = None


RESERVE = "services/generations/create.py"
EXECUTE = "services/generations/execution.py"
DISPATCH = "services/generations/worker.py"
CANCEL = "services/generations/cancellation.py"
SETTLE = "services/generations/settlement.py"
SWEEP = "services/sweeper.py"
COURIER = "services/webhooks/delivery_worker.py"
OUTBOX = "services/webhooks/outbox.py"
RESEND = "services/webhooks/deliveries.py"
SECRETS = "services/webhooks/secrets.py"
REQUEST = "domain/generation.py"
ACCOUNT = "domain/account.py"
LEDGER = "domain/ledger.py"
LIMITS = "domain/limits.py"
WEBHOOK = "domain/webhooks.py"

READ_BOTH = "self.database.read(user_path(order.user_id), request_path(request_id))"
READ_USER = "self.database.read(user_path(request.user_id))"
RESERVATION = "create_request(request), update_account(user, account, request.week), create_entry(deduction)"

MUTANTS = [
    # Reserving
    Mutant(
        "the balance is not checked",
        RESERVE,
        "_payment(order, account.wallet.credits), now)",
        "Credits(paid=order.cost), now)",
    ),
    Mutant(
        "the balance is checked before the transaction",
        RESERVE,
        "update_account(user, account, request.week)",
        "update_account(self.database.read(user.path)[0], account, request.week)",
    ),
    Mutant(
        "the request and its deduction are two commits",
        RESERVE,
        "version, *_ = self.database.commit(\n                " + RESERVATION,
        "version, *_ = self.database.commit(create_request(request))\n            self.database.commit(\n"
        "                update_account(user, account, request.week), create_entry(deduction)",
    ),
    Mutant(
        "a retry reuses the account that it read first",
        RESERVE,
        READ_BOTH,
        f"vars(self).setdefault(execution, {READ_BOTH})",
    ),
    Mutant("an existing request is not looked for", RESERVE, "if document.exists:", "if False:"),
    # The queue
    Mutant(
        "a worker does not look at the ticket",
        DISPATCH,
        ".request.execution != ticket",
        ".request is None",
        test="tests/integration/test_queue.py::test_only_the_queue_may_run_a_request",
    ),
    Mutant("a worker runs what is not pending", DISPATCH, "current.request.status is not Status.PENDING", "False"),
    Mutant(
        "a worker takes any other's for its own", DISPATCH, "current.request.worker == worker", "current.request.worker"
    ),
    Mutant(
        "a worker does not recognise its own",
        DISPATCH,
        "current.request.worker == worker",
        "False",
        test="tests/integration/test_queue.py::test_a_worker_survives_a_lost_or_refused_commit",
    ),
    Mutant(
        "a worker takes a request without compare-and-set",
        DISPATCH,
        "progress_fields(taken), current.version)",
        "progress_fields(taken), self.database.read(request_path(taken.id))[0].version)",
    ),
    Mutant(
        "a taken request keeps the lease of the queue",
        REQUEST,
        "lease_expires_at=at + lease)",
        "lease_expires_at=at)",
    ),
    Mutant("what never reached the queue is forgotten", SWEEP, "for status in OPEN", "for status in OPEN[1:]"),
    Mutant(
        "a request waits for ever",
        SWEEP,
        "_has_waited_too_long(request, now)",
        "False",
        test="tests/integration/test_queue.py::test_what_has_waited_too_long_is_refunded",
    ),
    Mutant("a request waits for no time", SWEEP, "request.give_up_at <= now", "request.created_at <= now"),
    Mutant("a swept task is not queued again", SWEEP, "        self.dispatcher.queue(again, model)\n", ""),
    # Cancellation
    Mutant("a cancellation does not look who settled first", CANCEL, "settled.status is not Status.CANCELED", "False"),
    Mutant("a cancellation is no failure but counts as one", ACCOUNT, "(reason is not FailureReason.CANCELED)", "1"),
    Mutant("a canceled request is failed", REQUEST, "failure.reason is FailureReason.CANCELED", "False"),
    Mutant(
        "a stranger may cancel",
        CANCEL,
        "not may_cancel((held := Held.of(document)).request)",
        "not (held := Held.of(document))",
        test="tests/integration/test_queue.py::test_a_request_is_canceled_by_its_owner_alone",
    ),
    # Limits
    Mutant("nobody is too fast", RESERVE, "_paced(account.activity, self.limits, now)", "account.activity"),
    Mutant("a pause earns any number of requests", LIMITS, "max(self.earned_at or now, now)", "self.earned_at or now"),
    Mutant(
        "nobody has too many unfinished requests", RESERVE, "len(activity.running) >= self.limits.concurrent", "False"
    ),
    Mutant(
        "whatever seems to run has ended",
        RESERVE,
        "not request_of(document).is_open",
        "True",
    ),
    Mutant(
        "a request's start is not noted",
        ACCOUNT,
        "self.activity.started(request.id)",
        "self.activity",
    ),
    # Idempotency
    Mutant(
        "the request id is random despite the key",
        RESERVE,
        "self.new_id() if key is None else keyed_request_id(order.user_id, key)",
        "self.new_id()",
    ),
    Mutant("the same key of two users is one", REQUEST, "json.dumps([user_id, idempotency_key])", "idempotency_key"),
    Mutant("a replay ignores the fingerprint", RESERVE, "request.fingerprint != order.fingerprint", "False"),
    Mutant("a call does not recognise its own execution", RESERVE, "request.execution == execution", "False"),
    Mutant("a call takes any execution for its own", RESERVE, "request.execution == execution", "True"),
    # Commits of unknown outcome
    Mutant(
        "an unknown outcome is taken for a refusal", "services/retry.py", "isinstance(error, OutcomeUnknown)", "False"
    ),
    Mutant(
        "an unknown outcome is not retried",
        "services/retry.py",
        "except (CommitRefused, OutcomeUnknown, DatabaseUnavailable)",
        "except (CommitRefused, DatabaseUnavailable)",
        test="tests/unit/test_retry.py",
    ),
    # Settling
    Mutant(
        "a settlement does not look at the status",
        SETTLE,
        "not current.request.is_open",
        "False",
    ),
    Mutant(
        "a settlement is no compare-and-set",
        SETTLE,
        "settlement_fields(settled), current.version)",
        "settlement_fields(settled), self.database.read(request_path(settled.id))[0].version)",
    ),
    Mutant(
        "a settlement retries on what it saw first",
        SETTLE,
        "Held.of(*self.database.read(request_path(held.request.id))) if tries else held",
        "held",
    ),
    Mutant(
        "a settlement reuses an account that it read before",
        SETTLE,
        READ_USER,
        f"vars(self).setdefault(request.user_id, {READ_USER})",
    ),
    Mutant(
        "a completion and a refund may both happen",
        SETTLE,
        "self.database.commit(ending, *refund, *told)",
        "self.database.commit(*refund, *told, *([] if refund else [ending]))",
    ),
    Mutant(
        "the refund is a commit of its own",
        SETTLE,
        "self.database.commit(ending, *refund, *told)",
        "self.database.commit(ending, *told); refund and self.database.commit(*refund)",
    ),
    Mutant(
        "a loser tells its own outcome",
        SETTLE,
        "return current.request\n",
        "return self._settled(current.request, outcome)[0]\n",
    ),
    Mutant(
        "a pending refund is said to be done",
        EXECUTE,
        "raise SettlementPending(",
        "raise __import__('imagegen.errors').errors.GenerationFailed(",
    ),
    Mutant("an answer without an image is paid", EXECUTE, "if not url:", "if False:"),
    # Refunds
    Mutant(
        "a refund goes to the wrong bucket",
        ACCOUNT,
        "request.paid_from,\n            entry_id=entry_id(request.id, EntryType.REFUND)",
        "Credits(paid=request.cost),\n            entry_id=entry_id(request.id, EntryType.REFUND)",
    ),
    Mutant(
        "a refund's id is not derived from its request",
        ACCOUNT,
        "entry_id=entry_id(request.id, EntryType.REFUND)",
        "entry_id=entry_id(request.id, EntryType.REFUND) + at.isoformat()",
    ),
    Mutant("a failure is not counted", ACCOUNT, "used.failed + (reason is not FailureReason.CANCELED)", "used.failed"),
    Mutant(
        "a refund counts in the week in which it is made",
        SETTLE,
        ".refund(request, outcome.reason, now)",
        ".refund(__import__('dataclasses').replace(request, created_at=now), outcome.reason, now)",
    ),
    Mutant(
        "the answer states the balance before the refund",
        SETTLE,
        "request.cost, account.wallet.credits.total)",
        "request.cost, account_of(user).wallet.credits.total)",
    ),
    # Leases
    Mutant("the sweeper ignores the lease", SWEEP, 'Where("leaseExpiresAt", "<", self.clock.now()),', ""),
    Mutant("a lease lasts for days", REQUEST, "timedelta(minutes=3)", "timedelta(days=3)"),
    Mutant("a lease does not last for the generation", REQUEST, "timedelta(minutes=3)", "timedelta(seconds=-60)"),
    Mutant("one that cannot be settled ends the sweep", SWEEP, "return False", "raise"),
    # Webhooks
    Mutant(
        "an event is written after what it tells of",
        SETTLE,
        "self.database.commit(ending, *refund, *told)",
        "self.database.commit(ending, *refund); told and self.database.commit(*told)",
    ),
    Mutant(
        "every end is told as a completion",
        WEBHOOK,
        'type=f"generation.{request.status}"',
        'type="generation.completed"',
    ),
    Mutant("a webhook is left to a sweep", SETTLE, "self.outbox.queue(event)", "pass"),
    Mutant("a next attempt is left to a sweep", COURIER, "self.outbox.queue(recorded)", "pass"),
    Mutant(
        "the queue is not told when an attempt is due", OUTBOX, "not_before=delivery.next_attempt_at", "not_before=None"
    ),
    Mutant("a courier does not look when an attempt is due", COURIER, "now < delivery.next_attempt_at", "False"),
    Mutant(
        "a courier takes nothing before it sends",
        COURIER,
        "self.database.commit(update_delivery(document, taken))",
        "pass",
    ),
    Mutant(
        "a courier takes a webhook without compare-and-set",
        COURIER,
        "update_delivery(document, taken)",
        "update_delivery(self._read(delivery_id)[0], taken)",
    ),
    Mutant("a courier takes any other for itself", COURIER, "delivery.worker == worker", "delivery.worker"),
    Mutant("a courier's lease ends at once", WEBHOOK, "next_attempt_at=at + SENDING_LEASE", "next_attempt_at=at"),
    Mutant("a courier that was too slow records over another", COURIER, "delivery.worker != worker", "False"),
    Mutant(
        "an attempt is recorded without compare-and-set",
        COURIER,
        "update_delivery(document, attempted)",
        "update_delivery(self._read(attempted.id)[0], attempted)",
    ),
    Mutant("an attempt is recorded over those before", WEBHOOK, "(*self.attempts, attempt)", "(attempt,)"),
    Mutant("an attempt is not counted", WEBHOOK, "self.attempt_count + 1", "self.attempt_count"),
    Mutant(
        "what was taken is sent again", WEBHOOK, "status = DeliveryStatus.DELIVERED", "status = DeliveryStatus.PENDING"
    ),
    Mutant("whoever is gone is asked again", WEBHOOK, "attempt.status_code == HTTPStatus.GONE", "False"),
    Mutant("a webhook is given up when it fails", COURIER, "return made, False", "return made, True"),
    Mutant("a webhook is never given up", WEBHOOK, "next_attempt_at > self.give_up_at", "False"),
    Mutant("a lost webhook is forgotten", SWEEP, " + self._each(overdue, self.outbox.queue_again)", ""),
    Mutant(
        "an overdue webhook stays overdue",
        WEBHOOK,
        "replace(self, worker=None, next_attempt_at=at)",
        "replace(self, worker=None)",
    ),
    Mutant(
        "what is being sent is resent",
        WEBHOOK,
        "self.is_pending and self.worker is not None and at < self.next_attempt_at",
        "False",
    ),
    Mutant(
        "a resend counts from zero", WEBHOOK, "give_up_at=at + PATIENCE)", "give_up_at=at + PATIENCE, attempt_count=0)"
    ),
    Mutant(
        "a resend does not recognise its own",
        RESEND,
        "tries and delivery.was_resent(since=now)",
        "False",
        test="tests/unit/test_deliveries.py",
    ),
    Mutant("each webhook is signed with another secret", SECRETS, "secret is None or rotate", "True"),
    # The ledger
    Mutant("a deduction adds", LEDGER, "-1 if self is EntryType.DEDUCTION else 1", "1"),
    Mutant("an entry has its predecessor's number", LEDGER, "seq=self.seq + 1", "seq=self.seq"),
    Mutant(
        "an entry states the balance before it",
        LEDGER,
        "balance_after=balance.total",
        "balance_after=self.credits.total",
    ),
    Mutant("an entry is not sealed to the one before", LEDGER, ").sealed(self.head)", ").sealed(GENESIS)"),
    Mutant(
        "a seal leaves out the predecessor",
        LEDGER,
        "            previous_hash,\n",
        "",
        test="tests/unit/test_ledger.py",
    ),
    # The adapter, which the stand-in stands in for
    Mutant(
        "the adapter forgets the version",
        "adapters/firestore.py",
        "self._client.write_option(last_update_time=version)",
        "self._client.write_option(exists=True)",
        test="tests/simulation/test_contract.py",
    ),
]

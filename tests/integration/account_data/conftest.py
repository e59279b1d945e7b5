"""Fixtures for tests of the export and deletion of accounts.

The backend runs on an in-memory Firestore, so that tests can search all of its documents.
"""

import itertools
import random
from datetime import timedelta

import pytest

from imagegen import settings
from imagegen.bootstrap import Backend, with_retries_and_deadlines
from imagegen.domain.grants import Bucket
from imagegen.domain.ledger import Credits
from imagegen.domain.weeks import Week
from imagegen.ports.database import Put
from imagegen.services.images.storage import Images
from simulation.payments import FakePayments
from tests.support.account_data import MARK, TRIAL, USER, Account, FailingSender, ProcessDied, die, fail, picture
from tests.support.api import Api
from tests.support.backend import Provider
from tests.support.faults import FaultyDatabase
from tests.support.orders import order
from tests.support.stored import ThreadSafeStore
from tests.support.times import NOON
from tools.fakes import NO_LIMITS, AuthAccountList, FileStore, ManualClock, TaskList
from tools.seed import history


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def database() -> ThreadSafeStore:
    store = ThreadSafeStore()
    store.commit(*(Put(path, data) for path, data in history.documents()))
    store.edit("models/model-a", failureRate=0, takesSeed=True)
    return store


@pytest.fixture
def queue() -> TaskList:
    return TaskList()


@pytest.fixture
def receiver(clock: ManualClock) -> FailingSender:
    return FailingSender(clock)


@pytest.fixture
def provider() -> Provider:
    return Provider(lambda _options: None, picture)


@pytest.fixture
def backend(
    faulty: FaultyDatabase,
    queue: TaskList,
    receiver: FailingSender,
    provider: Provider,
    clock: ManualClock,
    files: FileStore,
    auth_accounts: AuthAccountList,
) -> Backend:
    ids = itertools.count(1)
    return Backend.on(
        faulty,
        queue,
        receiver,
        with_retries_and_deadlines(clock, {"mock": provider}),
        Images(files),
        clock,
        random.Random(1),
        lambda: f"id-{next(ids)}",
        NO_LIMITS,
        mail_collection="mail",
        payments=FakePayments(clock.now),
        auth_accounts=auth_accounts,
    )


@pytest.fixture
def new_account(
    api: Api, backend: Backend, database: ThreadSafeStore, queue: TaskList, clock: ManualClock, provider: Provider
) -> Account:
    """Return an account that is registered, and has been granted 50 credits."""
    account = Account(api, backend, database, queue, clock, provider)
    assert account.register() == TRIAL.total
    backend.accounts.grant(USER, Bucket.PAID, 50, reason=f"bought for {MARK}", key="grant", granted_by="admin")
    return account


@pytest.fixture
def account(new_account: Account) -> Account:
    """Return an account with data in every collection: ended, running and waiting requests, webhooks, keys and more."""
    account = new_account
    hook = f"https://{MARK}.example.com/hook"
    account.call("createWebhookEndpoint", url=f"https://{MARK}-2.example.com/")
    account.call("getWebhookSecret")
    account.call("createApiKey", name=MARK, scopes=["read"])
    account.create(webhookUrl=hook, input={"type": "address", "address": f"{MARK} street"})
    account.create(mode="async")
    account.run_tasks()
    account.provider.generate = fail
    account.api.error("createGenerationRequest", order(userId=USER, prompt=MARK))
    account.provider.generate = die
    with pytest.raises(ProcessDied):
        account.create()
    account.provider.generate = picture
    account.create(mode="async", webhookUrl=hook, idempotencyKey="waiting")
    account.call("createPurchase", package="starter", returnUrl=f"{settings.public_base_url()}/{MARK}?name={MARK}")
    account.database.commit(Put("catalogChanges/change", {"changedBy": USER}))
    account.backend.corrections.correct(USER, Credits(paid=1), reason=MARK, key="correction")
    # As earlier versions stored them.
    account.database.edit(f"users/{USER}/creditTransactions/welcome-grant", reason=f"welcome {MARK}")
    account.database.edit(f"users/{USER}", webhookSecret=None, note=MARK)
    account.backend.reports.run(Week.of(account.clock.now() - timedelta(weeks=1)))
    account.call("exportAccount")
    [task] = [task for task in account.queue.put_so_far if task[0] == "writeAccountExport"]
    account.queue.put_so_far.remove(task)
    assert account.api.http.post(f"/{task[0]}", json={"data": task[1]}).status_code == 200
    return account

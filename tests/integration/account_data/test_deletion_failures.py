"""Tests of deletions that crash, fail or compete with other calls: each ends, and nothing comes back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from imagegen.domain.grants import Bucket
from imagegen.errors import AccountDeleted
from imagegen.services.account_data.reading import PAGE_SIZE
from tests.support.account_data import MARK, USER, Account, FailingSender, ProcessDied, picture
from tests.support.backend import Provider
from tests.support.faults import FaultyDatabase, Lost, refuse
from tools.fakes import FileStore, TaskList


@pytest.fixture
def again(account: Account, files: FileStore) -> Callable[[], None]:
    """Return a function that restores the account as it was before the test."""
    collections = {name: dict(documents) for name, documents in account.database.collections.items()}
    stored, at = dict(files.files), account.clock.at

    def restore() -> None:
        account.database.collections.clear()
        account.database.collections.update({name: dict(documents) for name, documents in collections.items()})
        files.files, account.clock.at = dict(stored), at

    return restore


def assert_gone(account: Account, files: FileStore) -> None:
    assert (account.paths_with(MARK), files.files, account.findings()) == ([], {}, [])


def die() -> None:
    raise ProcessDied


@pytest.mark.parametrize("fault", [die, refuse, Lost.BEFORE, Lost.AFTER])
def test_deletion_ends_whatever_commit_fails(
    account: Account, again: Callable[[], None], faulty: FaultyDatabase, files: FileStore, fault: Any
) -> None:
    """A crash before a commit is also a crash after the commit before it."""
    for number in range(100):
        again()
        faulty.faults = [*[None] * number, fault]
        try:
            account.delete()
        except ProcessDied:
            assert account.findings() == []
        if faulty.faults:
            break  # there are no more commits
        if account.document(f"users/{USER}").get("deletedAt") is None:
            account.delete()
        account.sweep()
        account.sweep(timedelta(minutes=20))
        assert account.delete() == "finished"
        assert_gone(account, files)
    assert number > 10


def test_deletion_waits_for_the_files(account: Account, files: FileStore) -> None:
    files.down = True
    account.delete()
    account.sweep(timedelta(minutes=20))
    assert account.delete() == "running"
    assert [path for path in account.paths_with(MARK) if not path.startswith("accountExports")] == []
    files.down = False
    account.sweep()
    assert account.delete() == "finished"
    assert_gone(account, files)


def test_slow_deletion_goes_on_in_sweeps(account: Account, files: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call spends 20 seconds on a deletion, and a sweep 40 seconds."""
    account.copies("generationRequests", 5 * PAGE_SIZE)
    commit = account.database.commit

    def slow(*writes: Any) -> Any:
        account.clock.sleep(8)
        return commit(*writes)

    monkeypatch.setattr(account.database, "commit", slow)
    began = account.clock.at
    account.delete()
    assert account.clock.at - began < timedelta(seconds=100)
    sweeps = 0
    while account.delete() == "running":
        account.sweep()
        sweeps += 1
        assert sweeps < 20
    assert (account.paths_with(MARK), files.files) == ([], {})


def test_request_that_cannot_be_read_keeps_only_the_requests(account: Account, files: FileStore) -> None:
    """Its credits cannot be refunded, so the balance is not ended. The audit reports it after a day."""
    [waiting] = [found for found in account.database.scan("generationRequests") if found.data["status"] == "pending"]
    account.database.edit(waiting.path, cost="three")
    account.delete()
    account.sweep(timedelta(minutes=20))
    assert account.delete() == "running"
    left = {path.partition("/")[0] for path in account.paths_with(MARK)}
    assert left == {"generationRequests", "mail", "webhookDeliveries"}
    assert files.files == {}
    account.clock.at += timedelta(days=2)
    assert any(finding.startswith("DELETION") for finding in account.findings())
    account.database.edit(waiting.path, cost=1)
    account.sweep()
    assert account.delete() == "finished"
    assert_gone(account, files)


# Calls and tasks that began before


def test_result_of_a_run_that_is_late_is_not_kept(account: Account, provider: Provider, files: FileStore) -> None:
    def generate(job: Any) -> Any:
        account.delete()
        return picture(job)

    provider.generate = generate
    request = {"userId": USER, "model": "Model A", "style": "anime", "color": "neon", "size": "512x512", "prompt": MARK}
    assert account.api.error("createGenerationRequest", request)["details"]["reason"] == "CANCELED"
    assert files.files != {}
    account.sweep(timedelta(minutes=20))
    assert account.delete() == "finished"
    assert_gone(account, files)


def test_queued_task_of_a_deleted_account_does_nothing(
    account: Account, provider: Provider, queue: TaskList, receiver: FailingSender, files: FileStore
) -> None:
    account.delete()
    provider.generate = lambda _job: pytest.fail("the model runs")
    receiver.sent.clear()
    account.run_tasks()
    assert receiver.sent == []
    assert_gone(account, files)


def test_webhook_is_not_sent_once_the_account_is_marked(
    account: Account, faulty: FaultyDatabase, queue: TaskList, receiver: FailingSender, files: FileStore
) -> None:
    faulty.faults = [None, die]
    with pytest.raises(ProcessDied):
        account.delete()
    receiver.sent.clear()
    account.clock.at += timedelta(hours=2)
    queue.put_so_far += [
        ("retryWebhook", {"deliveryId": found.id, "attempt": str(found.data["attemptCount"])})
        for found in account.database.scan("webhookDeliveries")
    ]
    account.run_tasks()
    assert receiver.sent == []
    account.sweep(timedelta(minutes=20))
    assert_gone(account, files)


def test_webhook_in_flight_leaves_nothing(
    account: Account, queue: TaskList, receiver: FailingSender, files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = receiver.send

    def send_and_delete(*sent: Any) -> Any:
        account.delete()
        return send(*sent)

    monkeypatch.setattr(receiver, "send", send_and_delete)
    account.clock.at += timedelta(hours=2)
    [delivery, *_] = account.database.scan("webhookDeliveries")
    task = {"deliveryId": delivery.id, "attempt": str(delivery.data["attemptCount"])}
    assert account.api.http.post("/retryWebhook", json={"data": task}).status_code == 200
    account.sweep(timedelta(minutes=20))
    assert_gone(account, files)


@pytest.mark.parametrize(
    ("function", "data"),
    [
        ("createApiKey", {"name": MARK, "scopes": ["read"]}),
        ("getWebhookSecret", {"webhookUrl": f"https://{MARK}.example.org/", "rotate": True}),
        ("createWebhookEndpoint", {"url": f"https://{MARK}.example.org/"}),
        ("exportAccount", {}),
    ],
)
def test_call_that_commits_late_leaves_nothing(
    account: Account, faulty: FaultyDatabase, files: FileStore, function: str, data: dict[str, Any]
) -> None:
    """The call has read the account before it was marked, and commits after all data is gone."""
    account.clock.at += timedelta(hours=1)

    def delete_meanwhile() -> None:
        faulty.faults = []
        account.delete()

    faulty.faults = [delete_meanwhile]
    account.api.call(function, {"userId": USER, **data})
    account.run_tasks()
    account.sweep(timedelta(minutes=20))
    assert account.delete() == "finished"
    assert_gone(account, files)


def test_grant_during_a_deletion_is_refused(account: Account, faulty: FaultyDatabase, files: FileStore) -> None:
    faulty.faults = [account.delete]
    with pytest.raises(AccountDeleted):
        account.backend.accounts.grant(USER, Bucket.PAID, 5, reason=MARK, key="late", granted_by="admin")
    account.sweep(timedelta(minutes=20))
    assert_gone(account, files)

"""Tests of deletions that crash, fail or compete with other calls: each ends, and nothing comes back."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from imagegen.domain.audit import Invariant
from imagegen.domain.grants import Bucket
from imagegen.errors import AccountDeleted
from imagegen.ports.auth_accounts import AuthUnavailable
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.ports.payments import PaymentsDown
from imagegen.services.account_data.reading import PAGE_SIZE
from tests.support.account_data import MARK, USER, Account, FailingSender, ProcessDied, picture
from tests.support.backend import Provider
from tests.support.faults import FaultyDatabase, Lost, refuse
from tools.fakes import AuthAccountList, FileStore, TaskList


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


@pytest.mark.parametrize("answer", ["never", "lost", "died before", "died after"])
def test_deletion_ends_whatever_call_of_another_service_fails(
    account: Account,
    again: Callable[[], None],
    files: FileStore,
    auth_accounts: AuthAccountList,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
) -> None:
    calls: list[str] = []
    failing = 0

    def watch(service: Any, name: str, error: type[Exception]) -> None:
        method = getattr(service, name)

        def call(*given: Any) -> Any:
            calls.append(name)
            fails = len(calls) == failing
            if fails and answer in ("never", "died before"):
                raise error("down") if answer == "never" else ProcessDied
            result = method(*given)
            if fails:
                raise error("lost") if answer == "lost" else ProcessDied
            return result

        monkeypatch.setattr(service, name, call)

    watch(files, "delete", ObjectStoreUnavailable)
    watch(auth_accounts, "delete", AuthUnavailable)
    watch(account.backend.payments, "expire_session", PaymentsDown)
    while len(calls) >= failing:
        again()
        calls.clear()
        failing += 1
        for step in (account.delete, lambda: account.sweep(timedelta(minutes=16))):
            with suppress(ProcessDied):
                step()
        account.sweep(timedelta(minutes=16))
        assert account.delete() == "finished"
        assert_gone(account, files)
    assert failing > 5


@pytest.mark.parametrize("other", ["delete", "sweep", "register", "register another"])
def test_deletion_ends_whatever_runs_between_its_commits(
    account: Account, again: Callable[[], None], faulty: FaultyDatabase, files: FileStore, other: str
) -> None:
    def meanwhile() -> None:
        match other:
            case "delete":
                account.delete()
            case "sweep":
                account.sweep(timedelta(minutes=16))
            case "register":
                with suppress(AccountDeleted):
                    account.register()
            case _:
                assert account.register("person-8") == 0
                account.database.edit("users/person-8", displayName="", email="", searchName="")

    for number in range(100):
        again()
        faulty.faults = [*[None] * number, meanwhile]
        account.delete()
        has_run, faulty.faults = not faulty.faults, []
        for _ in range(2):
            account.sweep(timedelta(minutes=16))
        assert account.delete() == "finished"
        assert_gone(account, files)
        if not has_run:
            break
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


@pytest.mark.parametrize("service", ["files", "auth"])
def test_both_audits_report_a_deletion_that_does_not_end(
    account: Account, files: FileStore, auth_accounts: AuthAccountList, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    def refuse(_user_id: str) -> None:
        raise AuthUnavailable("the permission to delete accounts is missing")

    account.api.result("registerUser", {"userId": "zoe"})
    if service == "files":
        files.down = True
    else:
        monkeypatch.setattr(auth_accounts, "delete", refuse)
    account.delete()
    account.sweep(timedelta(hours=23))
    assert account.findings() == []
    assert account.backend.daily_audit.run(account.clock.now()).findings == ()  # the next run goes on with zoe
    account.sweep(timedelta(days=1, hours=1))
    [finding] = account.findings()
    assert finding.startswith("DELETION")
    [daily] = account.backend.daily_audit.run(account.clock.now()).findings
    assert (daily.user_id, daily.invariant) == (USER, Invariant.DELETION)


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


def damaged(account: Account) -> str:
    """Damage the request that waits, and return its path. Its credits cannot be refunded then."""
    [waiting] = [found for found in account.database.scan("generationRequests") if found.data["status"] == "pending"]
    account.database.edit(waiting.path, cost="three")
    return waiting.path


def test_request_that_cannot_be_read_keeps_only_itself(account: Account, files: FileStore) -> None:
    """The balance is not ended meanwhile. The audit reports it after a day."""
    path = damaged(account)
    account.delete()
    account.sweep(timedelta(minutes=20))
    assert account.delete() == "running"
    assert (account.paths_with(MARK), files.files) == ([path], {})
    account.clock.at += timedelta(days=2)
    assert any(finding.startswith("DELETION") for finding in account.findings())
    account.database.edit(path, cost=1)
    account.sweep()
    assert account.delete() == "finished"
    assert_gone(account, files)


def test_many_requests_are_erased_beside_one_that_cannot_be_read(account: Account) -> None:
    path = damaged(account)
    account.copies("generationRequests", 2 * PAGE_SIZE)
    account.delete()
    assert account.paths_with(MARK) == [path]
    account.database.edit(path, cost=1)
    account.sweep()
    assert account.paths_with(MARK) == []


@pytest.mark.parametrize("status", ["processing", "pending"])
def test_request_that_cannot_be_read_leaves_no_other_running(account: Account, status: str) -> None:
    unended = {found.data["status"]: found.path for found in account.database.scan("generationRequests")}
    account.database.edit(unended[status], cost="three")
    account.delete()
    [other] = {"processing", "pending"} - {status}
    assert account.document(unended[other])["status"] == "canceled"


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

"""Tests of exports: everything about a user, without secrets, in bounded files that are deleted."""

import json
from datetime import timedelta
from typing import Any

import pytest

from imagegen.domain.account_data import CALLS_END_AFTER, FILES_KEPT
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.services.account_data import exports
from imagegen.services.account_data.collections import EXPORTED, MAIL, USER_DATA
from imagegen.services.account_data.reading import AUTH
from tests.support.account_data import MARK, USER, Account
from tests.support.faults import FaultyDatabase, Lost, refuse
from tools.fakes import AuthAccountList, FileStore, TaskList


def files_of(files: FileStore) -> dict[str, bytes]:
    return {path: content for path, (content, _) in files.files.items() if path.startswith("exports/")}


def lines(files: FileStore) -> list[dict[str, Any]]:
    return [json.loads(line) for _, content in sorted(files_of(files).items()) for line in content.splitlines()]


def run(account: Account) -> None:
    """Run the tasks of exports that wait."""
    tasks = [task for task in account.queue.put_so_far if task[0] == exports.QUEUE]
    for function, task in tasks:
        account.queue.put_so_far.remove((function, task))
        account.api.http.post(f"/{function}", json={"data": task})


def test_export_has_everything_that_names_the_user(account: Account, files: FileStore) -> None:
    exported = lines(files)
    names = {data.name for data in EXPORTED}
    assert {line["collection"] for line in exported} == (names - {MAIL}) | {"mail", AUTH}
    assert exported[-1] == {
        "collection": AUTH,
        "id": USER,
        "data": {"email": f"{USER}@example.com", "phoneNumber": None},
    }
    stored = {path.split("/")[-2]: 0 for path in account.paths_with(USER) if path.split("/")[-2] in names}
    for path in account.paths_with(USER):
        if (collection := path.split("/")[-2]) in stored:
            stored[collection] += 1
    counts = {name: sum(line["collection"] == name for line in exported) for name in stored}
    assert counts == stored
    assert sum(MARK in json.dumps(line) for line in exported) > 15


def test_answer_has_a_url_for_each_file(account: Account, files: FileStore) -> None:
    export = account.call("getAccountExport")
    [(path, (content, token))] = [item for item in files.files.items() if item[0].startswith("exports/")]
    quoted = path.replace("/", "%2F")
    assert export.pop("files") == [
        {
            "url": f"https://storage.example.com/v0/b/bucket/o/{quoted}?alt=media&token={token}",
            "bytes": len(content),
            "lines": len(content.splitlines()),
        }
    ]
    assert export["status"] == "ready"
    assert export["filesDeletedAt"] > export["finishedAt"] >= export["requestedAt"]


def test_export_contains_no_secrets(account: Account, files: FileStore) -> None:
    account.database.edit(f"users/{USER}", webhookSecret="whsec_earlier")
    key = account.call("createApiKey", name=MARK, scopes=["read"])
    secret = account.call("getWebhookSecret")["webhookSecret"]
    account.clock.at += CALLS_END_AFTER
    token = account.call("exportAccount") and account.document(f"accountExports/{USER}")["token"]
    run(account)
    text = "".join(content.decode() for content in files_of(files).values())
    claim = next(iter(account.database.scan("trialClaims"))).id
    for hidden in (key["apiKey"], key["keyId"], secret, "whsec_", token, claim):
        assert hidden not in text
    assert MARK in text


@pytest.mark.parametrize("size", [1, 3_000])
def test_large_account_has_several_files(
    account: Account, files: FileStore, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    once = lines(files)
    account.copies("generationRequests", 250)
    monkeypatch.setattr(exports, "FILE_BYTES", size)
    monkeypatch.setattr(exports, "TASK_SECONDS", 0)
    account.clock.at += CALLS_END_AFTER
    account.call("exportAccount")
    for _ in range(60):
        run(account)
    assert account.call("getAccountExport")["status"] == "ready"
    listed = account.call("getAccountExport")["files"]
    assert len(listed) == len(files_of(files)) > 3
    assert len(lines(files)) == len(once) + 250
    assert len({json.dumps(line) for line in lines(files)}) == len(lines(files))


def test_one_export_at_a_time_and_three_a_day(account: Account, queue: TaskList) -> None:
    requested = account.call("getAccountExport")["requestedAt"]
    assert account.call("exportAccount")["requestedAt"] == requested  # it has just ended
    for _ in range(2):
        account.clock.at += CALLS_END_AFTER
        started = account.call("exportAccount")
        assert account.call("exportAccount") == started
        run(account)
    account.clock.at += CALLS_END_AFTER
    assert account.refusal("exportAccount") == "RATE_LIMITED"
    account.clock.at += timedelta(hours=8)
    assert account.call("exportAccount")["status"] == "running"


def test_files_are_deleted_after_a_week(account: Account, files: FileStore) -> None:
    account.sweep(FILES_KEPT - timedelta(minutes=10))
    assert len(files_of(files)) == 1
    account.sweep(timedelta(minutes=20))
    assert files_of(files) == {}
    assert account.refusal("getAccountExport") == "EXPORT_NOT_FOUND"


def test_new_export_replaces_the_files(account: Account, files: FileStore) -> None:
    before = files_of(files)
    account.clock.at += CALLS_END_AFTER
    account.call("exportAccount")
    assert files_of(files) == {}
    run(account)
    assert len(files_of(files)) == 1
    assert not files_of(files).keys() & before.keys()


@pytest.mark.parametrize("fault", [Lost.BEFORE, Lost.AFTER, refuse])
def test_export_goes_on_after_a_lost_commit(
    account: Account, faulty: FaultyDatabase, files: FileStore, fault: Any
) -> None:
    account.clock.at += CALLS_END_AFTER
    account.call("exportAccount")
    faulty.faults = [fault]
    run(account)
    for _ in range(3):
        account.sweep(timedelta(minutes=11))
        run(account)
    listed = account.call("getAccountExport")
    assert listed["status"] == "ready"
    assert sum(file["lines"] for file in listed["files"]) > 25
    account.sweep(FILES_KEPT)
    assert files_of(files) == {}


def test_export_whose_files_cannot_be_stored_fails_after_a_day(
    account: Account, files: FileStore, queue: TaskList
) -> None:
    account.clock.at += CALLS_END_AFTER
    account.call("exportAccount")
    files.down = True
    for _ in range(3):
        run(account)
        account.sweep(timedelta(minutes=11))
    files.down = False
    queue.put_so_far.clear()
    account.sweep(timedelta(days=1))
    export = account.call("getAccountExport")
    assert (export["status"], export["files"]) == ("failed", [])
    assert files_of(files) == {}


def test_export_waits_for_firebase_auth(account: Account, files: FileStore, auth_accounts: AuthAccountList) -> None:
    account.clock.at += CALLS_END_AFTER
    account.call("exportAccount")
    auth_accounts.down = True
    [(function, task)] = [task for task in account.queue.put_so_far if task[0] == exports.QUEUE]
    assert account.api.http.post(f"/{function}", json={"data": task}).status_code == 503
    auth_accounts.down = False
    run(account)
    assert account.call("getAccountExport")["status"] == "ready"
    assert lines(files)[-1]["collection"] == AUTH


def test_lost_task_is_replaced(account: Account, files: FileStore, queue: TaskList) -> None:
    account.clock.at += CALLS_END_AFTER
    queue.down = True
    assert account.call("exportAccount")["status"] == "running"
    queue.down = False
    account.sweep(timedelta(minutes=11))
    run(account)
    assert account.call("getAccountExport")["status"] == "ready"


def test_without_a_bucket_there_are_no_exports(account: Account, files: FileStore, monkeypatch: Any) -> None:
    def no_bucket() -> str:
        raise ObjectStoreUnavailable("There is no bucket.")

    account.clock.at += CALLS_END_AFTER
    monkeypatch.setattr(files, "bucket_url", no_bucket)
    assert account.refusal("exportAccount") == "SERVICE_UNAVAILABLE"


def test_task_of_another_export_writes_nothing(account: Account, files: FileStore) -> None:
    before = files_of(files)
    for task in ({"userId": USER, "exportId": "other"}, {"userId": "other", "exportId": "other"}):
        assert account.api.http.post(f"/{exports.QUEUE}", json={"data": task}).status_code == 200
    assert files_of(files) == before


def test_withheld_fields_are_documented() -> None:
    assert all(data.why for data in USER_DATA if data.withheld or data.withholds_id or not data.export)

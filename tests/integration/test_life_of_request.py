"""Tests of `make logs` for requests that are damaged, missing or hostile. `tests/e2e` prints a real life."""

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.orders import order
from tests.support.wire import ObservedClient
from tools import logs
from tools.emulators.log_file import LogFile


@pytest.fixture
def request_id(api: Api, add_user: AddUser) -> str:
    add_user(paid=20)
    made = api.result("createGenerationRequest", order(webhookUrl="https://hooks.example.com/"))
    return str(made["generationRequestId"])


def printed(client: ObservedClient, request_id: str, monkeypatch: pytest.MonkeyPatch, directory: Path) -> str:
    output = StringIO()
    log = LogFile(directory)
    log.clear()
    monkeypatch.setattr(logs, "operator_client", lambda _project: client)
    monkeypatch.setattr(logs, "LogFile", lambda _directory: log)
    assert logs.main([request_id], Console(file=output, force_terminal=True)) == 0
    return output.getvalue()


@pytest.mark.parametrize(
    ("collection", "change"),
    [
        ("generationRequests", {"userId": None}),
        ("generationRequests", {"createdAt": "today"}),
        ("generationRequests", {"error": "failed"}),
        ("generationRequests", {"traceparent": "zebra"}),
        ("generationRequests", {"cost": "three", "leaseExpiresAt": None}),
        ("webhookDeliveries", {"url": 7}),
        ("webhookDeliveries", {"attempts": [{}]}),
        ("users/user/creditTransactions", {"timestamp": None}),
    ],
)
def test_life_of_a_damaged_request_is_printed(
    client: ObservedClient,
    request_id: str,
    collection: str,
    change: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    [document] = [one for one in client.collection(collection).stream() if request_id in one.id]
    document.reference.update(change)
    assert f"Request {request_id}" in printed(client, request_id, monkeypatch, tmp_path)
    document.reference.set(document.to_dict() or {})  # the audit after the test


def test_terminal_obeys_nothing_that_a_document_holds(
    client: ObservedClient, request_id: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client.document(f"generationRequests/{request_id}").update({"model": "\x1b[2J\x07\u202eA [red]"})
    text = printed(client, request_id, monkeypatch, tmp_path)
    assert "model=\\x1b[2J\\x07\\u202eA [red]" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("name", ["", ".", "a/b", "__a__", "a" * 2_000, "\x1b[2J"])
def test_what_is_no_id_is_refused(name: str) -> None:
    output = StringIO()
    assert logs.main([name], Console(file=output, width=20)) == 2
    assert output.getvalue() == "Name one request: make logs REQUEST=ID\n"


def test_unknown_request_is_not_found(client: ObservedClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    output = StringIO()
    monkeypatch.setattr(logs, "operator_client", lambda _project: client)
    monkeypatch.setattr(logs, "LogFile", lambda _directory: LogFile(tmp_path))
    assert logs.main(["[red]"], Console(file=output)) == 2
    assert "There is no request '[red]'" in output.getvalue()


def test_only_times_are_sorted() -> None:
    assert logs.Moment(datetime.now(UTC), "document", "")
    with pytest.raises(TypeError, match="not a time"):
        logs.Moment("today", "document", "")  # type: ignore[arg-type]

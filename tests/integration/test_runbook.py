"""Tests of the repairs in docs/runbook.md, each on a corrupted database, with an audit before and after."""

import re
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from imagegen.domain.audit import Invariant
from imagegen.domain.ledger import Credits
from imagegen.errors import UserNotFound
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.corruptions import (
    LEDGER,
    audit_findings,
    change_an_amount,
    complete_a_refunded_request,
    delete_an_entry,
    edit_a_balance,
    fail_without_a_refund,
    forge_the_head,
)
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools import repair
from tools.emulators.project import ROOT
from tools.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def test_runbook_has_a_line_for_every_invariant() -> None:
    lines = re.findall(r"^\| `([A-Z]+)` \|", (ROOT / "docs" / "runbook.md").read_text("utf-8"), re.MULTILINE)
    assert lines == [invariant.name for invariant in Invariant]


@pytest.mark.parametrize("corruption", [edit_a_balance, forge_the_head])
def test_rebuild_restores_an_edited_wallet(
    backend: Backend, client: ObservedClient, request_ids: dict[str, Any], corruption: Any
) -> None:
    before = client.document("users/user").get().to_dict()
    corruption(client, request_ids)
    assert audit_findings(backend)
    backend.corrections.rebuild("user")
    assert audit_findings(backend) == []
    assert client.document("users/user").get().to_dict() == before


@pytest.mark.parametrize("corruption", [change_an_amount, delete_an_entry])
def test_rebuild_refuses_a_corrupt_ledger_which_a_backup_restores(
    backend: Backend, client: ObservedClient, request_ids: dict[str, Any], corruption: Any
) -> None:
    entry = client.document(f"{LEDGER}/{request_ids['first']}-deduction")
    backup = entry.get().to_dict() or {}
    corruption(client, request_ids)
    with pytest.raises(ValueError, match="Restore the ledger of user first"):
        backend.corrections.rebuild("user")
    entry.set(backup)
    assert audit_findings(backend) == []


@pytest.mark.parametrize("trial_credits", ["10", "0"])
def test_deleted_account_is_refused_at_once_and_rebuilt_from_its_ledger(
    api: Api,
    backend: Backend,
    client: ObservedClient,
    request_ids: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    trial_credits: str,
) -> None:
    monkeypatch.setenv("TRIAL_CREDITS", trial_credits)
    user = client.document("users/user")
    before = user.get().to_dict() or {}
    user.delete()
    api.result("registerUser", {"userId": "other"})  # reads the key of the claims, once per instance
    client.wire.reset()
    error = api.error("registerUser", {"userId": "user"})
    assert (error["status"], error["details"]) == (
        "FAILED_PRECONDITION",
        {"reason": "ACCOUNT_LOST", "userId": "user"},
    )
    assert (client.wire.round_trips, client.wire.writes) == (3, 0)
    assert not user.get().exists

    backend.corrections.rebuild("user")
    assert audit_findings(backend) == []
    after = user.get().to_dict() or {}
    assert {name: after[name] for name in ("credits", "ledger", "lifetime", "usage")} == {
        name: before[name] for name in ("credits", "ledger", "lifetime", "usage")
    }
    assert api.result("registerUser", {"userId": "user"})["totalAvailable"] == sum(before["credits"].values())
    api.result("createGenerationRequest", order())
    assert audit_findings(backend) == []


def test_refund_missed_by_a_deleted_account_is_corrected(
    api: Api, backend: Backend, client: ObservedClient, request_ids: dict[str, Any]
) -> None:
    user = client.document("users/user")
    request = client.document(f"generationRequests/{request_ids['first']}")
    request.update({"status": "processing", "imageUrl": None, "finishedAt": None})
    user.delete()
    assert api.result("cancelGenerationRequest", {"generationRequestId": request_ids["first"]})["refundedCredits"] == 0
    backend.corrections.rebuild("user")
    assert settlement_findings(backend) == 1
    backend.corrections.correct(
        "user", Credits(trial=2, paid=1), reason="test", key="1", request_id=request_ids["first"]
    )
    assert audit_findings(backend) == []


def settlement_findings(backend: Backend) -> int:
    return sum(finding.invariant is Invariant.SETTLEMENT for finding in audit_findings(backend))


def test_correction_charges_a_completed_request_that_was_refunded(
    backend: Backend, client: ObservedClient, request_ids: dict[str, Any]
) -> None:
    complete_a_refunded_request(client, request_ids)
    assert settlement_findings(backend) == 1
    backend.corrections.correct("user", Credits(paid=-3), reason="test", key="1", request_id=request_ids["failed"])
    assert settlement_findings(backend) == 0


def test_correction_refunds_a_failed_request(
    backend: Backend, client: ObservedClient, request_ids: dict[str, Any]
) -> None:
    fail_without_a_refund(client, request_ids)
    balance = backend.histories.page("user", 1).wallet.credits.total
    backend.corrections.correct(
        "user", Credits(trial=2, paid=1), reason="test", key="1", request_id=request_ids["first"]
    )
    assert settlement_findings(backend) == 0
    assert backend.histories.page("user", 1).wallet.credits.total == balance + 3


def test_correction_takes_back_a_second_refund(
    backend: Backend, client: ObservedClient, request_ids: dict[str, Any]
) -> None:
    """The second refund is a valid ledger entry, as a bug in the code would have written it."""
    backend.corrections.correct(
        "user", Credits(paid=3), reason="stands for it", key="0", request_id=request_ids["failed"]
    )
    assert settlement_findings(backend) == 1
    backend.corrections.correct("user", Credits(paid=-3), reason="test", key="1", request_id=request_ids["failed"])
    assert audit_findings(backend) == []


def test_key_corrects_once(backend: Backend, client: ObservedClient, request_ids: dict[str, Any]) -> None:
    balance = backend.histories.page("user", 1).wallet.credits.total
    first = backend.corrections.correct("user", Credits(paid=5), reason="a gift", key="1")
    assert backend.corrections.correct("user", Credits(paid=5), reason="a gift", key="1") == first
    with pytest.raises(ValueError, match="another correction"):
        backend.corrections.correct("user", Credits(paid=6), reason="a gift", key="1")
    assert backend.histories.page("user", 1).wallet.credits.total == balance + 5
    assert "a gift" not in str(client.document(f"{LEDGER}/{first.id}").get().to_dict())
    assert client.document(f"grants/{first.id}").get().to_dict() == {
        "schemaVersion": 1,
        "userId": "user",
        "reason": "a gift",
        "entryId": first.id,
    }
    assert audit_findings(backend) == []


@pytest.mark.parametrize(
    ("request_id", "user_id"), [("typo", "user"), ("first", "other")], ids=["no request", "another user's"]
)
def test_correction_of_a_request_that_the_user_does_not_have_raises(
    backend: Backend, add_user: AddUser, request_ids: dict[str, Any], request_id: str, user_id: str
) -> None:
    add_user("other", paid=10)
    with pytest.raises(ValueError, match="has no request"):
        backend.corrections.correct(
            user_id, Credits(paid=-3), reason="test", key="1", request_id=request_ids.get(request_id, request_id)
        )
    assert audit_findings(backend) == []


@pytest.mark.parametrize(("amount", "reason"), [(Credits(), "test"), (Credits(paid=1), " ")])
def test_correction_without_an_amount_or_a_reason_raises(
    backend: Backend, request_ids: dict[str, Any], amount: Credits, reason: str
) -> None:
    with pytest.raises(ValueError, match="an amount other than 0, and a reason"):
        backend.corrections.correct("user", amount, reason=reason, key="1")
    backend.corrections.correct("user", Credits(paid=2), reason="test", key="1")  # the key is not used up


@pytest.mark.parametrize("arguments", [["rebuild", "a/b"], ["reconcile", ".."], ["correct", "__x__"]])
def test_repair_refuses_what_cannot_be_an_id(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        repair.main(arguments)
    assert "is not the id of a document" in capsys.readouterr().err


def test_correction_below_zero_raises(backend: Backend, request_ids: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="below zero"):
        backend.corrections.correct("user", Credits(trial=-1, paid=5), reason="test", key="1")
    assert audit_findings(backend) == []


def test_correction_of_unknown_user_raises(backend: Backend, request_ids: dict[str, Any]) -> None:
    with pytest.raises(UserNotFound):
        backend.corrections.correct("nobody", Credits(paid=1), reason="test", key="1")
    with pytest.raises(UserNotFound):
        backend.corrections.rebuild("nobody")
    assert audit_findings(backend) == []


def test_get_user_credits_does_not_list_corrections(api: Api, backend: Backend, request_ids: dict[str, Any]) -> None:
    listed = api.result("getUserCredits", {"userId": "user"})["transactions"]
    backend.corrections.correct("user", Credits(paid=5), reason="a gift", key="1")
    assert api.result("getUserCredits", {"userId": "user"})["transactions"] == listed

"""docs/runbook.md: each repair that it promises, done on a planted corruption, with the audit before and after."""

import re
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from imagegen.domain.ledger import Credits
from imagegen.errors import UserNotFound
from imagegen.services.credits.audit import Invariant
from tests.support.corruptions import (
    LEDGER,
    change_an_amount,
    complete_what_was_refunded,
    delete_an_entry,
    edit_a_balance,
    fail_without_a_refund,
    forge_the_head,
    found,
)
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.emulators.project import ROOT
from tools.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def test_the_runbook_has_a_line_for_every_finding() -> None:
    lines = re.findall(r"^\| `([A-Z]+)` \|", (ROOT / "docs" / "runbook.md").read_text("utf-8"), re.MULTILINE)
    assert lines == [invariant.name for invariant in Invariant]


@pytest.mark.parametrize("corruption", [edit_a_balance, forge_the_head])
def test_a_wallet_that_was_edited_is_rebuilt_from_its_ledger(
    backend: Backend, client: ObservedClient, books: dict[str, Any], corruption: Any
) -> None:
    before = client.document("users/user").get().to_dict()
    corruption(client, books)
    assert found(backend)
    backend.corrections.rebuild("user")
    assert found(backend) == []
    assert client.document("users/user").get().to_dict() == before


@pytest.mark.parametrize("corruption", [change_an_amount, delete_an_entry])
def test_a_ledger_that_was_tampered_with_is_not_made_the_truth_and_comes_back_from_a_backup(
    backend: Backend, client: ObservedClient, books: dict[str, Any], corruption: Any
) -> None:
    entry = client.document(f"{LEDGER}/{books['first']}-deduction")
    backup = entry.get().to_dict() or {}
    corruption(client, books)
    with pytest.raises(ValueError, match="Restore the ledger of user first"):
        backend.corrections.rebuild("user")
    entry.set(backup)
    assert found(backend) == []


def settlement_findings(backend: Backend) -> int:
    return sum(finding.invariant is Invariant.SETTLEMENT for finding in found(backend))


def test_a_completed_request_that_was_refunded_is_charged_again(
    backend: Backend, client: ObservedClient, books: dict[str, Any]
) -> None:
    complete_what_was_refunded(client, books)
    assert settlement_findings(backend) == 1
    backend.corrections.correct("user", Credits(paid=-3), reason="test", key="1", request_id=books["failed"])
    assert settlement_findings(backend) == 0


def test_a_failed_request_without_a_refund_gets_it(
    backend: Backend, client: ObservedClient, books: dict[str, Any]
) -> None:
    fail_without_a_refund(client, books)
    balance = backend.histories.page("user", 1).wallet.credits.total
    backend.corrections.correct("user", Credits(trial=2, paid=1), reason="test", key="1", request_id=books["first"])
    assert settlement_findings(backend) == 0
    assert backend.histories.page("user", 1).wallet.credits.total == balance + 3


def test_a_second_refund_is_taken_back(backend: Backend, client: ObservedClient, books: dict[str, Any]) -> None:
    """As a broken program would have booked it: sealed, numbered, and wrong."""
    backend.corrections.correct("user", Credits(paid=3), reason="stands for it", key="0", request_id=books["failed"])
    assert settlement_findings(backend) == 1
    backend.corrections.correct("user", Credits(paid=-3), reason="test", key="1", request_id=books["failed"])
    assert found(backend) == []


def test_a_correction_is_booked_once_under_its_key(
    backend: Backend, client: ObservedClient, books: dict[str, Any]
) -> None:
    balance = backend.histories.page("user", 1).wallet.credits.total
    first = backend.corrections.correct("user", Credits(paid=5), reason="a gift", key="1")
    assert backend.corrections.correct("user", Credits(paid=5), reason="a gift", key="1") == first
    with pytest.raises(ValueError, match="another correction"):
        backend.corrections.correct("user", Credits(paid=6), reason="a gift", key="1")
    assert backend.histories.page("user", 1).wallet.credits.total == balance + 5
    assert client.document(f"{LEDGER}/{first.id}").get().get("reason") == "a gift"
    assert found(backend) == []


def test_a_correction_takes_no_bucket_below_zero(backend: Backend, books: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="below zero"):
        backend.corrections.correct("user", Credits(trial=-1, paid=5), reason="test", key="1")
    assert found(backend) == []


def test_nobody_is_corrected_who_does_not_exist(backend: Backend, books: dict[str, Any]) -> None:
    with pytest.raises(UserNotFound):
        backend.corrections.correct("nobody", Credits(paid=1), reason="test", key="1")
    with pytest.raises(UserNotFound):
        backend.corrections.rebuild("nobody")
    assert found(backend) == []


def test_corrections_are_not_listed_in_the_history(backend: Backend, books: dict[str, Any]) -> None:
    listed = len(backend.histories.page("user", 50).entries.items)
    backend.corrections.correct("user", Credits(paid=5), reason="a gift", key="1")
    assert len(backend.histories.page("user", 50).entries.items) == listed

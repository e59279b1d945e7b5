"""The audit finds what went wrong, and nothing where nothing did."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from imagegen.services.credits.audit import Invariant
from tests.support.api import Api
from tests.support.backend import set_models
from tests.support.corruptions import (
    break_a_document,
    change_an_amount,
    charge_another_user,
    complete_what_was_refunded,
    deduct_without_a_request,
    delete_an_entry,
    edit_a_balance,
    fail_without_a_refund,
    forge_the_head,
    found,
    make_a_balance_negative,
    miscount_usage,
    refund_twice,
    refund_what_completed,
    request_without_a_deduction,
    swap_a_pair,
)
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def invariants(backend: Backend) -> set[Invariant]:
    return {finding.invariant for finding in found(backend)}


def test_books_that_balance_have_no_findings(backend: Backend, books: dict[str, Any]) -> None:
    assert found(backend) == []


@pytest.mark.parametrize(
    ("corruption", "invariant"),
    [
        (change_an_amount, Invariant.CHAIN),
        (change_an_amount, Invariant.BALANCE),
        (delete_an_entry, Invariant.SEQUENCE),
        (delete_an_entry, Invariant.SETTLEMENT),
        (swap_a_pair, Invariant.CHAIN),
        (edit_a_balance, Invariant.BALANCE),
        (make_a_balance_negative, Invariant.READABLE),
        (forge_the_head, Invariant.CHAIN),
        (deduct_without_a_request, Invariant.OWNERSHIP),
        (request_without_a_deduction, Invariant.SETTLEMENT),
        (refund_twice, Invariant.SETTLEMENT),
        (refund_what_completed, Invariant.SETTLEMENT),
        (complete_what_was_refunded, Invariant.SETTLEMENT),
        (fail_without_a_refund, Invariant.SETTLEMENT),
        (charge_another_user, Invariant.OWNERSHIP),
        (miscount_usage, Invariant.USAGE),
        (break_a_document, Invariant.READABLE),
    ],
    ids=lambda value: value.name if isinstance(value, Invariant) else value.__name__,
)
def test_a_planted_corruption_is_found_with_the_documents_that_show_it(
    backend: Backend,
    client: ObservedClient,
    books: dict[str, Any],
    corruption: Callable[[ObservedClient, dict[str, Any]], None],
    invariant: Invariant,
) -> None:
    corruption(client, books)
    findings = [finding for finding in found(backend) if finding.invariant is invariant]
    assert findings
    for finding in findings:
        assert finding.message
        assert any(document.startswith(("users/user", "generationRequests/")) for document in finding.documents)


def test_a_request_that_outlived_its_lease_is_a_finding_and_one_at_work_is_none(
    api: Api, backend: Backend, client: ObservedClient, clock: ManualClock, books: dict[str, Any]
) -> None:
    path = f"generationRequests/{books['first']}"
    client.document(path).update({"status": "processing", "imageUrl": None})
    assert found(backend) == []
    clock.at += timedelta(minutes=10)
    assert [(finding.invariant, finding.documents) for finding in found(backend)] == [(Invariant.END, (path,))]
    assert backend.sweeper.sweep() == 1
    assert found(backend) == []


def test_a_database_larger_than_a_page_is_audited_whole(
    api: Api, backend: Backend, client: ObservedClient, books: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.adapters.firestore.SCAN_PAGE_SIZE", 2)
    monkeypatch.setattr("imagegen.services.credits.audit.READ_AT_ONCE", 2)
    set_models(client, failureRate=0)
    for _ in range(5):
        api.result("createGenerationRequest", order(size="512x512"))
    assert found(backend) == []
    for request in client.collection("generationRequests").list_documents():
        request.update({"status": "odd"})
    assert len([finding for finding in found(backend) if "request cannot be read" in finding.message]) == 8

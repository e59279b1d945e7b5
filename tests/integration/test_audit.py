"""Tests of the audit: it finds each corruption, and nothing in a consistent database."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from imagegen.bootstrap import Backend
from imagegen.domain.audit import Invariant
from imagegen.domain.times import rfc3339
from tests.support.accounts import Accounts
from tests.support.api import Api
from tests.support.backend import set_models
from tests.support.console import as_admin
from tests.support.corruptions import (
    audit_findings,
    break_a_document,
    change_an_amount,
    charge_another_user,
    claim_without_a_grant,
    claim_without_a_user,
    complete_a_refunded_request,
    deduct_without_a_request,
    delete_an_entry,
    edit_a_balance,
    fail_without_a_refund,
    forge_the_head,
    make_a_balance_negative,
    miscount_usage,
    refund_a_completed_request,
    refund_twice,
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
    return {finding.invariant for finding in audit_findings(backend)}


def test_consistent_database_has_no_findings(backend: Backend, request_ids: dict[str, Any]) -> None:
    assert audit_findings(backend) == []


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
        (refund_a_completed_request, Invariant.SETTLEMENT),
        (complete_a_refunded_request, Invariant.SETTLEMENT),
        (fail_without_a_refund, Invariant.SETTLEMENT),
        (charge_another_user, Invariant.OWNERSHIP),
        (miscount_usage, Invariant.USAGE),
        (break_a_document, Invariant.READABLE),
        (claim_without_a_grant, Invariant.TRIAL),
        (claim_without_a_user, Invariant.READABLE),
    ],
    ids=lambda value: value.name if isinstance(value, Invariant) else value.__name__,
)
def test_corruption_is_found_with_its_documents(
    backend: Backend,
    client: ObservedClient,
    request_ids: dict[str, Any],
    corruption: Callable[[ObservedClient, dict[str, Any]], None],
    invariant: Invariant,
) -> None:
    corruption(client, request_ids)
    findings = [finding for finding in audit_findings(backend) if finding.invariant is invariant]
    assert findings
    for finding in findings:
        assert finding.message
        assert any(
            document.startswith(("users/user", "generationRequests/", "trialClaims/")) for document in finding.documents
        )


@pytest.mark.parametrize("user_id", ["a/b", "__x__", ".", "", 5, ["other"], {"id": "other"}], ids=repr)
def test_claim_of_a_user_who_cannot_exist_stops_only_itself(
    backend: Backend, client: ObservedClient, request_ids: dict[str, Any], user_id: object
) -> None:
    claim_without_a_grant(client, request_ids)
    client.document("trialClaims/bad").set({"userId": user_id})
    assert {(finding.invariant, finding.documents[0]) for finding in audit_findings(backend)} == {
        (Invariant.READABLE, "trialClaims/bad"),
        (Invariant.TRIAL, "trialClaims/claim"),
    }


def test_processing_request_is_a_finding_only_after_its_lease(
    api: Api, backend: Backend, client: ObservedClient, clock: ManualClock, request_ids: dict[str, Any]
) -> None:
    path = f"generationRequests/{request_ids['first']}"
    client.document(path).update({"status": "processing", "imageUrl": None})
    assert audit_findings(backend) == []
    clock.at += timedelta(minutes=10)
    assert [(finding.invariant, finding.documents) for finding in audit_findings(backend)] == [(Invariant.END, (path,))]
    assert backend.sweeper.sweep() == 1
    assert audit_findings(backend) == []


def test_audit_reads_more_than_one_page(
    api: Api, backend: Backend, client: ObservedClient, request_ids: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagegen.adapters.firestore.SCAN_PAGE_SIZE", 2)
    monkeypatch.setattr("imagegen.services.credits.audit.READ_PAGE_SIZE", 2)
    set_models(client, failureRate=0)
    for _ in range(5):
        api.result("createGenerationRequest", order(size="512x512"))
    assert audit_findings(backend) == []
    for request in client.collection("generationRequests").list_documents():
        request.update({"status": "odd"})
    assert len([finding for finding in audit_findings(backend) if "request cannot be read" in finding.message]) == 8


# The daily audit, which tests/unit/test_daily_audit.py tests on an in-memory Firestore


def test_daily_audit_is_stored_for_admins(
    api: Api,
    backend: Backend,
    client: ObservedClient,
    clock: ManualClock,
    accounts: Accounts,
    request_ids: dict[str, Any],
) -> None:
    assert as_admin(api, "getAudit") == {}
    clock.at += timedelta(hours=1)
    at = clock.at
    answer = api.http.post("/auditLedgers", headers={"X-CloudScheduler-ScheduleTime": at.isoformat()})
    assert answer.get_json() == {"ended": True, "usersChecked": 1, "findings": 0}
    clock.at += timedelta(hours=23)
    edit_a_balance(client, request_ids)
    again = api.http.post("/auditLedgers", headers={"X-CloudScheduler-ScheduleTime": at.isoformat()})
    assert again.get_json() == answer.get_json()
    audit = as_admin(api, "getAudit")["audit"]
    assert audit == {
        "kind": "daily",
        "startedAt": rfc3339(at),
        "endedAt": rfc3339(at),
        "updatedAt": rfc3339(at),
        "secondsSince": 23 * 3600,
        "isOver": True,
        "covered": {"users": 1, "entries": 5, "requests": 3},
        "entriesSince": rfc3339(at - timedelta(days=1)),
        "entriesUntil": rfc3339(at - timedelta(minutes=5)),
        "balances": {"balances": 16, "ledgers": 16},
        "findings": [],
        "findingCount": 0,
        "leftOut": [],
        "leftOutCount": 0,
    }
    clock.at += timedelta(hours=1)
    api.result("createGenerationRequest", order(size="512x512"))
    next_day = api.http.post("/auditLedgers", headers={"X-CloudScheduler-ScheduleTime": clock.at.isoformat()})
    assert next_day.get_json()["findings"] == 3
    total, balance, _ = as_admin(api, "getAudit")["audit"]["findings"]
    assert (total["rule"], "userId" in total) == ("TOTAL", False)
    assert (balance["rule"], balance["userId"], balance["documents"]) == ("BALANCE", "user", ["users/user"])
    assert balance["message"].startswith("The balance is ")
    assert balance["ruleDescription"] == Invariant.BALANCE.value


def test_daily_audit_checks_a_user_like_a_full_audit(
    backend: Backend, client: ObservedClient, clock: ManualClock, request_ids: dict[str, Any]
) -> None:
    """Two corruptions at once, one of them among the requests that no entry names."""
    clock.at += timedelta(hours=1)
    fail_without_a_refund(client, request_ids)
    request_without_a_deduction(client, request_ids)
    daily = {(finding.invariant, finding.documents) for finding in backend.daily_audit.run(clock.at).findings}
    full = {(finding.invariant, finding.documents) for finding in audit_findings(backend)}
    assert daily == full
    assert len(full) == 3

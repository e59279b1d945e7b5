"""The audit finds what went wrong, and nothing where nothing did."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend
from imagegen.domain.ledger import Credits
from imagegen.services.credits.audit import Finding, Invariant
from tests.integration.conftest import set_models
from tests.integration.test_money_path import ORDER, order
from tests.support.api import Api
from tests.support.wire import ObservedClient
from tools.fakes import ManualClock
from tools.seed import export

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
LEDGER = "users/user/creditTransactions"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def books(api: Api, client: ObservedClient, database: FirestoreDatabase) -> dict[str, Any]:
    """A user with a grant, two completed requests and a failed one: the ids of the first and of the failed."""
    client.document("models/model-b").update({"failureRate": 1})
    export.write_user(database, "user", "User", Credits(2, 18), NOON)
    first = api.result("createGenerationRequest", ORDER)["generationRequestId"]
    second = api.result("createGenerationRequest", order(size="512x512"))["generationRequestId"]
    failed = api.error("createGenerationRequest", order(model="Model B"))["details"]["generationRequestId"]
    return {"first": first, "second": second, "failed": failed}


def found(backend: Backend) -> list[Finding]:
    return list(backend.audit.findings())


def invariants(backend: Backend) -> set[Invariant]:
    return {finding.invariant for finding in found(backend)}


def copy(client: ObservedClient, source: str, target: str, **changes: object) -> None:
    client.document(target).set({**(client.document(source).get().to_dict() or {}), **changes})


def test_books_that_balance_have_no_findings(backend: Backend, books: dict[str, Any]) -> None:
    assert found(backend) == []


def change_an_amount(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document(f"{LEDGER}/{books['first']}-deduction").update({"credits": 1, "buckets": {"trial": 1, "paid": 0}})


def delete_an_entry(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document(f"{LEDGER}/{books['first']}-deduction").delete()


def swap_a_pair(client: ObservedClient, books: dict[str, Any]) -> None:
    one, other = (client.document(f"{LEDGER}/{books[name]}-deduction") for name in ("first", "second"))
    numbers = one.get().get("seq"), other.get().get("seq")
    one.update({"seq": numbers[1]})
    other.update({"seq": numbers[0]})


def edit_a_balance(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document("users/user").update({"credits.paid": 1000})


def make_a_balance_negative(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document("users/user").update({"credits.paid": -1})


def forge_the_head(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document("users/user").update({"ledger.head": "f" * 64})


def deduct_without_a_request(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document(f"generationRequests/{books['first']}").delete()


def request_without_a_deduction(client: ObservedClient, books: dict[str, Any]) -> None:
    copy(client, f"generationRequests/{books['first']}", "generationRequests/free")


def refund_twice(client: ObservedClient, books: dict[str, Any]) -> None:
    copy(client, f"{LEDGER}/{books['failed']}-refund", f"{LEDGER}/again", seq=6)


def refund_what_completed(client: ObservedClient, books: dict[str, Any]) -> None:
    copy(
        client,
        f"{LEDGER}/{books['failed']}-refund",
        f"{LEDGER}/{books['first']}-refund",
        generationRequestId=books["first"],
        seq=6,
    )


def complete_what_was_refunded(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document(f"generationRequests/{books['failed']}").update({"status": "completed", "imageUrl": "https://x"})


def fail_without_a_refund(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document(f"generationRequests/{books['first']}").update({"status": "failed"})


def charge_another_user(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document(f"generationRequests/{books['first']}").update({"userId": "other"})


def miscount_usage(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document("users/user").update({"usage.`2026-W47`.requests": 7})


def break_a_document(client: ObservedClient, books: dict[str, Any]) -> None:
    client.document(f"generationRequests/{books['first']}").update({"status": "odd"})


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

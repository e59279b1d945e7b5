"""Corruptions of a database, each of which the audit must find."""

from typing import Any

from imagegen.bootstrap import Backend
from imagegen.domain.audit import Finding
from tests.support.wire import ObservedClient

LEDGER = "users/user/creditTransactions"


def audit_findings(backend: Backend) -> list[Finding]:
    return list(backend.audit.findings())


def copy(client: ObservedClient, source: str, target: str, **changes: object) -> None:
    client.document(target).set({**(client.document(source).get().to_dict() or {}), **changes})


def change_an_amount(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document(f"{LEDGER}/{request_ids['first']}-deduction").update(
        {"credits": 1, "buckets": {"trial": 1, "paid": 0}}
    )


def delete_an_entry(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document(f"{LEDGER}/{request_ids['first']}-deduction").delete()


def swap_a_pair(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    one, other = (client.document(f"{LEDGER}/{request_ids[name]}-deduction") for name in ("first", "second"))
    numbers = one.get().get("seq"), other.get().get("seq")
    one.update({"seq": numbers[1]})
    other.update({"seq": numbers[0]})


def edit_a_balance(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document("users/user").update({"credits.paid": 1000})


def make_a_balance_negative(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document("users/user").update({"credits.paid": -1})


def forge_the_head(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document("users/user").update({"ledger.head": "f" * 64})


def deduct_without_a_request(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document(f"generationRequests/{request_ids['first']}").delete()


def request_without_a_deduction(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    copy(client, f"generationRequests/{request_ids['first']}", "generationRequests/free")


def refund_twice(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    copy(client, f"{LEDGER}/{request_ids['failed']}-refund", f"{LEDGER}/again", seq=6)


def refund_a_completed_request(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    copy(
        client,
        f"{LEDGER}/{request_ids['failed']}-refund",
        f"{LEDGER}/{request_ids['first']}-refund",
        generationRequestId=request_ids["first"],
        seq=6,
    )


def complete_a_refunded_request(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document(f"generationRequests/{request_ids['failed']}").update(
        {"status": "completed", "imageUrl": "https://x"}
    )


def fail_without_a_refund(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document(f"generationRequests/{request_ids['first']}").update({"status": "failed"})


def charge_another_user(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document(f"generationRequests/{request_ids['first']}").update({"userId": "other"})


def miscount_usage(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document("users/user").update({"usage.`2026-W47`.requests": 7})


def break_a_document(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document(f"generationRequests/{request_ids['first']}").update({"status": "odd"})


def claim_without_a_grant(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document("users/other").set({})
    client.document("trialClaims/claim").set({"userId": "other"})


def claim_without_a_user(client: ObservedClient, request_ids: dict[str, Any]) -> None:
    client.document("trialClaims/claim").set({})

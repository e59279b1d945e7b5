"""Corruptions of a database, each of which the audit must find."""

from typing import Any

from imagegen.bootstrap import Backend
from imagegen.services.credits.audit import Finding
from tests.support.wire import ObservedClient

LEDGER = "users/user/creditTransactions"


def found(backend: Backend) -> list[Finding]:
    return list(backend.audit.findings())


def copy(client: ObservedClient, source: str, target: str, **changes: object) -> None:
    client.document(target).set({**(client.document(source).get().to_dict() or {}), **changes})


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

"""Tests of credits, wallets and the hash chain."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from imagegen.domain.ledger import GENESIS, Credits, EntryType, LedgerEntry, NotEnoughCredits, Wallet

AT = datetime(2026, 11, 9, 12, tzinfo=UTC)


def post(wallet: Wallet, type_: EntryType, amount: Credits) -> tuple[Wallet, LedgerEntry]:
    return wallet.post(type_, amount, entry_id="entry", generation_request_id="request", timestamp=AT)


@pytest.mark.parametrize(
    ("balance", "credits", "part"),
    [
        (Credits(3, 7), 1, Credits(1, 0)),
        (Credits(3, 7), 3, Credits(3, 0)),
        (Credits(3, 7), 4, Credits(3, 1)),
        (Credits(3, 7), 10, Credits(3, 7)),
        (Credits(0, 7), 4, Credits(0, 4)),
    ],
)
def test_trial_credits_are_spent_first(balance: Credits, credits: int, part: Credits) -> None:
    assert balance.part(credits) == part


def test_spending_more_than_the_balance_raises() -> None:
    with pytest.raises(NotEnoughCredits):
        Credits(3, 7).part(11)


def test_bucket_cannot_go_below_zero() -> None:
    with pytest.raises(AssertionError):
        post(Wallet("user", Credits(1, 9)), EntryType.DEDUCTION, Credits(2, 0))


def test_entries_are_numbered_and_carry_the_balance_after_them() -> None:
    wallet, granted = post(Wallet("user"), EntryType.GRANT, Credits(2, 8))
    wallet, taken = post(wallet, EntryType.DEDUCTION, Credits(2, 1))
    wallet, returned = post(wallet, EntryType.REFUND, Credits(2, 1))
    assert [(entry.seq, entry.balance_after) for entry in (granted, taken, returned)] == [(1, 10), (2, 7), (3, 10)]
    in_all = {EntryType.GRANT: 10, EntryType.DEDUCTION: 3, EntryType.REFUND: 3}
    assert wallet == Wallet("user", Credits(2, 8), 3, returned.hash, in_all)


def test_each_entry_is_sealed_to_the_previous_one() -> None:
    wallet, first = post(Wallet("user"), EntryType.GRANT, Credits(0, 5))
    _, second = post(wallet, EntryType.DEDUCTION, Credits(0, 1))
    assert first.sealed(GENESIS) == first
    assert second.sealed(first.hash) == second
    assert second.sealed(GENESIS) != second


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"user_id": "other"},
        {"type": EntryType.REFUND},
        {"amount": Credits(1, 4)},
        {"balance_after": 6},
        {"seq": 2},
        {"generation_request_id": None},
        {"timestamp": datetime(2026, 11, 9, 12, 0, 0, 1, tzinfo=UTC)},
    ],
)
def test_changing_any_field_changes_the_hash(change: dict[str, object]) -> None:
    _, entry = post(Wallet("user"), EntryType.GRANT, Credits(0, 5))
    assert replace(entry, **change).sealed(GENESIS).hash != entry.hash  # type: ignore[arg-type]

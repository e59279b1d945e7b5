"""Tests of open purchases of deleted accounts: each is closed, or booked and forfeited if the buyer was faster."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from imagegen.domain.purchases import OPEN_MAX
from simulation.payments import FakePayments
from tests.support.account_data import MARK, USER, Account
from tests.support.purchases import down

LEDGER = f"users/{USER}/creditTransactions"


@pytest.fixture
def payments(new_account: Account) -> FakePayments:
    return cast(FakePayments, new_account.backend.payments)


def buy(account: Account) -> str:
    """Create a purchase. Return its id."""
    purchase_id: str = account.call("createPurchase", package="starter")["purchaseId"]
    return purchase_id


def stored(account: Account, purchase_id: str) -> Any:
    return account.document(f"purchases/{purchase_id}")


def states(account: Account) -> set[str]:
    return {purchase.data["status"] for purchase in account.database.scan("purchases")}


def assert_finished(account: Account) -> None:
    account.sweep(timedelta(minutes=20))
    assert account.delete() == "finished"
    assert account.findings() == []


def test_open_purchases_are_closed(new_account: Account, payments: FakePayments) -> None:
    bought = [buy(new_account), buy(new_account)]
    new_account.delete()
    assert [stored(new_account, one)["status"] for one in bought] == ["expired", "expired"]
    assert {session.state for session in payments.sessions.values()} == {"expired"}
    calls = len(payments.calls)
    assert_finished(new_account)
    assert len(payments.calls) == calls


def test_buyer_who_was_faster_has_paid(new_account: Account, payments: FakePayments) -> None:
    """The event has not arrived. The credits are booked, and forfeited with the others."""
    purchase_id = buy(new_account)
    payments.pay(stored(new_account, purchase_id)["sessionId"])
    new_account.delete()
    assert stored(new_account, purchase_id)["status"] == "paid"
    booked = [entry.data["type"] for entry in new_account.database.scan(LEDGER)]
    assert (booked.count("purchase"), booked.count("forfeit")) == (1, 1)
    assert new_account.document(f"users/{USER}")["credits"] == {"trial": 0, "paid": 0}
    assert_finished(new_account)


def test_lost_answer_is_repeated(new_account: Account, payments: FakePayments, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call had an effect. Its repetition finds a session that is not open any more."""
    expire_session = payments.expire_session

    def lost(session_id: str) -> None:
        expire_session(session_id)
        down(session_id)

    monkeypatch.setattr(payments, "expire_session", lost)
    purchase_id = buy(new_account)
    new_account.delete()
    assert stored(new_account, purchase_id)["status"] == "open"
    monkeypatch.setattr(payments, "expire_session", expire_session)
    new_account.database.edit(f"purchases/{purchase_id}", checkAt=None)  # so that only the deletion looks at it
    new_account.sweep()
    assert stored(new_account, purchase_id)["status"] == "expired"
    assert_finished(new_account)


def test_deletion_waits_for_the_provider_and_does_the_rest(account: Account) -> None:
    payments = cast(FakePayments, account.backend.payments)
    payments.before = down
    account.delete()
    assert account.paths_with(MARK) == []
    account.sweep(timedelta(minutes=20))
    assert (account.delete(), states(account)) == ("running", {"open"})
    payments.before = lambda _call: None
    account.sweep()
    assert (account.delete(), states(account)) == ("finished", {"expired"})
    assert account.findings() == []


def test_replay_of_a_purchase_makes_no_session(new_account: Account, payments: FakePayments) -> None:
    order = {"package": "starter", "idempotencyKey": "key"}
    payments.before = lambda call: down(call) if call == "create_session" else None
    assert new_account.refusal("createPurchase", **order) == "SERVICE_UNAVAILABLE"
    new_account.delete()
    payments.before = lambda _call: None
    assert new_account.refusal("createPurchase", **order) == "ACCOUNT_DELETED"
    assert payments.sessions == {}


def test_session_that_stays_open_keeps_the_deletion_running(
    new_account: Account, payments: FakePayments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops no other purchase."""
    first, second = buy(new_account), buy(new_account)
    expire_session, kept = payments.expire_session, stored(new_account, min(first, second))["sessionId"]
    monkeypatch.setattr(payments, "expire_session", lambda id: None if id == kept else expire_session(id))
    new_account.delete()
    assert sorted([stored(new_account, first)["status"], stored(new_account, second)["status"]]) == ["expired", "open"]
    new_account.sweep(timedelta(minutes=20))
    assert new_account.delete() == "running"
    monkeypatch.setattr(payments, "expire_session", expire_session)
    new_account.sweep()
    assert (new_account.delete(), states(new_account)) == ("finished", {"expired"})


def test_purchase_that_cannot_be_read_stops_only_itself(new_account: Account) -> None:
    first, second = sorted([buy(new_account), buy(new_account)])
    new_account.database.edit(f"purchases/{first}", amount="five")
    new_account.delete()
    assert stored(new_account, second)["status"] == "expired"
    new_account.sweep(timedelta(minutes=20))
    assert new_account.delete() == "running"
    new_account.database.edit(f"purchases/{first}", amount=500)
    assert_finished(new_account)
    assert states(new_account) == {"expired"}


def test_more_open_purchases_than_a_page_are_closed(new_account: Account) -> None:
    """A user cannot have so many, but the documents may."""
    for _ in range(2):
        bought = [buy(new_account) for _ in range(OPEN_MAX)]
        for purchase_id in bought:
            new_account.database.edit(f"purchases/{purchase_id}", status="failed")
    for purchase in new_account.database.scan("purchases"):
        new_account.database.edit(purchase.path, status="open")
    new_account.delete()
    assert states(new_account) == {"expired"}
    assert_finished(new_account)


@pytest.mark.parametrize("fault", [None, down])
def test_purchase_that_is_made_meanwhile_is_closed_later(
    new_account: Account, payments: FakePayments, fault: Any
) -> None:
    """A session whose answer is lost has no page to pay on, and the sweeper closes its purchase a day later."""

    def delete_meanwhile(call: str) -> None:
        if call == "create_session":
            payments.before = lambda _call: None
            new_account.delete()
            if fault:
                fault(call)

    payments.before = delete_meanwhile
    new_account.api.call("createPurchase", {"userId": USER, "package": "starter"})
    assert states(new_account) == {"open"}
    assert_finished(new_account)
    if fault:
        new_account.sweep(timedelta(days=1))
    assert states(new_account) == {"expired"}


@pytest.mark.parametrize("is_off", [True, False])
def test_purchases_stay_where_payments_are_off_or_of_the_other_mode(
    new_account: Account, payments: FakePayments, is_off: bool
) -> None:
    buy(new_account)
    payments.calls.clear()
    payments.is_live = True
    backend = replace(new_account.backend, payments=None if is_off else payments)
    deletions = backend.account_data.deletions
    deletions.delete(USER, None)
    new_account.clock.at += timedelta(minutes=20)
    backend.sweeper.sweep()
    assert new_account.delete() == "finished"
    assert (payments.calls, states(new_account)) == ([], {"open"})

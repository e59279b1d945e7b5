"""Tests of deleted accounts: what goes, what stays, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagegen import tracing
from imagegen.domain.account_data import CALLS_END_AFTER
from imagegen.domain.ledger import EntryType
from imagegen.domain.people import by_email
from imagegen.domain.weeks import Week
from imagegen.errors import AccountDeleted
from imagegen.services.account_data.reading import PAGE_SIZE
from tests.support.account_data import MARK, TRIAL, USER, Account, ProcessDied, die
from tests.support.accounts import Accounts
from tests.support.backend import Provider
from tests.support.times import NOON
from tools.fakes import NO_LIMITS, AuthAccountList, FileStore

END_OF_CALENDAR = datetime(9999, 12, 31, 12, tzinfo=UTC)
LEDGER = f"users/{USER}/creditTransactions"


def test_nothing_that_the_user_wrote_is_left(account: Account, files: FileStore) -> None:
    assert len(account.paths_with(MARK)) > 15
    assert len(files.files) > 3
    account.delete_to_the_end()
    assert account.paths_with(MARK) == []
    assert files.files == {}
    assert account.findings() == []


def test_most_goes_during_the_call(account: Account, files: FileStore) -> None:
    assert account.delete() == "running"
    assert account.paths_with(MARK) == []
    assert files.files == {}
    assert account.findings() == []


def test_ledger_stays_with_its_hashes_and_ends_with_a_forfeit(account: Account) -> None:
    before = {entry.id: dict(entry.data) for entry in account.database.scan(LEDGER)}
    balance = account.call("getCreditBalance")["totalAvailable"]
    account.delete_to_the_end()
    after = {entry.id: dict(entry.data) for entry in account.database.scan(LEDGER)}
    added = sorted((after[id]["type"], after[id]["credits"]) for id in after.keys() - before.keys())
    # A running and a waiting request were refunded.
    assert added == [("forfeit", balance + 2), ("refund", 1), ("refund", 1)]
    before["welcome-grant"]["reason"] = None  # the only field of an entry that may change
    assert {id: after[id] for id in before} == before
    last = max(after.values(), key=lambda entry: entry["seq"])
    assert (last["type"], last["balanceAfter"]) == ("forfeit", 0)


def test_account_without_credits_ends_without_a_forfeit(account: Account) -> None:
    account.delete_to_the_end()
    entries = [entry.data["type"] for entry in account.database.scan(LEDGER)]
    account.delete_to_the_end()
    assert [entry.data["type"] for entry in account.database.scan(LEDGER)] == entries
    assert entries.count("forfeit") == 1


def test_user_document_keeps_only_what_the_audit_and_the_report_need(account: Account) -> None:
    before = account.document(f"users/{USER}")
    account.delete_to_the_end()
    after = account.document(f"users/{USER}")
    assert after.keys() == {
        "schemaVersion",
        "createdAt",
        "credits",
        "ledger",
        "lifetime",
        "usage",
        "deletedAt",
        "balanceEndedAt",
    }
    assert after["credits"] == {"trial": 0, "paid": 0}
    assert after["lifetime"]["forfeit"] > 0
    assert after["usage"].keys() == before["usage"].keys()


def test_report_counts_the_same_before_and_after(account: Account) -> None:
    """The id stays as a pseudonym. The forfeit is a part of the reconciliation."""
    account.sweep(timedelta(hours=2))  # ends all requests
    account.clock.at = NOON + timedelta(weeks=1)
    before = account.backend.reports.run(Week.of(NOON))
    account.delete_to_the_end()
    account.clock.at += timedelta(weeks=1)
    after = account.backend.reports.run(Week.of(NOON))
    assert (after.total, after.top_users, after.days) == (before.total, before.top_users, before.days)
    assert [user_id for user_id, _ in after.top_users] == [USER]
    reconciliation = account.backend.reports.run(Week.of(NOON) + 1).reconciliation
    assert reconciliation is not None
    assert reconciliation.booked[EntryType.FORFEIT] < 0
    assert (reconciliation.closing, reconciliation.difference) == (0, 0)


def test_account_to_sign_in_with_is_deleted_last(account: Account, auth_accounts: AuthAccountList) -> None:
    assert account.delete() == "running"
    account.sweep(CALLS_END_AFTER - timedelta(seconds=20))
    assert auth_accounts.deleted == []
    auth_accounts.down = True
    account.sweep()
    assert account.delete() == "running"
    auth_accounts.down = False
    account.sweep()
    assert auth_accounts.deleted == [USER]
    assert account.delete() == "finished"


def test_wrong_confirmation_changes_nothing(account: Account) -> None:
    before = account.paths_with(MARK)
    for confirmation in ("person-8", MARK):
        assert account.refusal("deleteAccount", confirmUserId=confirmation) == "INVALID_INPUT"
    assert account.refusal("deleteAccount") == "INVALID_INPUT"
    assert account.paths_with(MARK) == before
    assert account.call("getCreditBalance")["totalAvailable"] > 0


def test_unknown_user_is_not_found(account: Account) -> None:
    error = account.api.error("deleteAccount", {"userId": "nobody", "confirmUserId": "nobody"})
    assert error["details"]["reason"] == "USER_NOT_FOUND"
    assert account.paths_with("nobody") == []


def test_same_person_gets_no_second_trial_credits(account: Account) -> None:
    account.delete_to_the_end()
    assert account.register("person-8") == 0
    with pytest.raises(AccountDeleted):
        account.register()


@pytest.mark.parametrize(("caller", "claimed"), [(USER, [USER]), ("admin", [])])
def test_account_from_before_the_claims_is_claimed_by_its_owner(
    account: Account, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, caller: str, claimed: list[str]
) -> None:
    """Its person would get the trial credits again. An admin who deletes it is not its person."""
    monkeypatch.setenv("REQUIRE_AUTH", "true")
    account.database.collections["trialClaims"].clear()
    data = {"userId": USER, "confirmUserId": USER}
    assert account.api.call("deleteAccount", data, Authorization=f"Bearer {caller}").status_code == 200
    for person in (USER, "admin"):
        trial = account.backend.accounts.register(f"new-{person}", {}, by_email(f"{person}@example.com"), TRIAL)
        assert trial.credits.trial == (0 if person in claimed else TRIAL.total)
    assert account.findings() == []


def test_account_without_trial_credits_is_not_claimed(
    new_account: Account, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "true")
    new_account.backend.accounts.register("other", {}, None, TRIAL)
    data = {"userId": "other", "confirmUserId": "other"}
    assert new_account.api.call("deleteAccount", data, Authorization="Bearer other").status_code == 200
    again = new_account.backend.accounts.register("other-2", {}, by_email("other@example.com"), TRIAL)
    assert again.credits.trial == TRIAL.total
    assert new_account.findings() == []


def test_account_of_many_requests_is_erased_page_by_page(account: Account, files: FileStore) -> None:
    account.copies("generationRequests", 2 * PAGE_SIZE + 30)
    account.copies("webhookDeliveries", 2 * PAGE_SIZE + 30)
    for number in range(350):
        files.files[f"images/{USER}/many/{number}.webp"] = (b"", "")
    account.delete()
    assert account.paths_with(MARK) == []
    assert files.files == {}


def test_operator_can_rebuild_the_wallet_of_a_deleted_account(account: Account) -> None:
    account.delete_to_the_end()
    account.database.edit(f"users/{USER}", credits={"trial": 3, "paid": 0})
    assert any(finding.startswith("DELETION") for finding in account.findings())
    account.backend.corrections.rebuild(USER)
    assert account.findings() == []
    with pytest.raises(AccountDeleted):
        account.backend.corrections.correct(USER, TRIAL, reason="test", key="late")


def test_later_lines_of_the_log_are_not_about_a_settled_request(account: Account) -> None:
    tracing.begin(None)
    account.backend.account_data.deletions.delete(USER, USER)
    assert tracing.current().request_id is None


def test_repeated_call_only_answers(account: Account) -> None:
    account.delete()
    version, queries = account.database.version, account.database.queries
    assert account.delete() == "running"
    assert (account.database.version, account.database.queries) == (version, queries)


def test_deletion_without_its_document_is_found_and_repaired(account: Account) -> None:
    account.database.edit(f"users/{USER}", deletedAt=account.clock.now())
    assert any(finding.startswith("DELETION") for finding in account.findings())
    account.delete_to_the_end()
    assert account.findings() == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"deletedAt": None}, "The deletion has finished, but the account is in use."),
        ({"displayName": "Ada"}, "The deletion has left credits or a profile."),
        ({"credits": {"trial": 0, "paid": 1}}, "The deletion has left credits or a profile."),
    ],
)
def test_account_that_was_restored_after_its_deletion_is_found(
    account: Account, changes: dict[str, Any], problem: str
) -> None:
    account.delete_to_the_end()
    account.database.edit(f"users/{USER}", **changes)
    assert [finding for finding in account.findings() if "DELETION" in finding] == [f"DELETION: {problem}"]


@pytest.mark.parametrize("credits", [None, 5, "none", [5], {"trial": "0"}, {"paid": None}], ids=str)
def test_deleted_user_with_unreadable_credits_is_found(account: Account, credits: object) -> None:
    account.delete_to_the_end()
    account.register("other")
    account.database.edit(f"users/{USER}", credits=credits)
    account.database.edit("users/other", credits={"trial": 0, "paid": 7})
    found = [(finding.invariant.name, finding.documents[0]) for finding in account.backend.audit.findings()]
    assert found == [("BALANCE", "users/other"), ("READABLE", f"users/{USER}")]


@pytest.mark.parametrize("changes", [{"requestedAt": END_OF_CALENDAR}, {"requestedAt": 7}, {"finishedAt": "soon"}])
def test_unreadable_deletion_is_found(account: Account, changes: dict[str, object]) -> None:
    account.delete()
    account.database.edit(f"accountDeletions/{USER}", **changes)
    found = [(finding.invariant.name, finding.documents[0]) for finding in account.backend.audit.findings()]
    assert found == [("READABLE", f"accountDeletions/{USER}")]


def test_deletion_cancels_more_runs_than_a_user_may(account: Account, provider: Provider) -> None:
    provider.generate = die
    for _ in range(3):
        with pytest.raises(ProcessDied):
            account.create()
    settlements = account.backend.account_data.settlements
    limited = replace(settlements, limits=replace(NO_LIMITS, canceled_runs_per_day=1))
    replace(account.backend.account_data, settlements=limited).deletions.delete(USER, None)
    assert {request.data["status"] for request in account.database.scan("generationRequests")} <= {
        "canceled",
        "completed",
        "failed",
    }
    assert account.findings() == []

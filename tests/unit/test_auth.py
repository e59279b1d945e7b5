"""Closed unless it is switched off in so many words."""

from typing import Any, cast

import pytest
from firebase_functions.https_fn import CallableRequest

from imagegen.api.auth import Caller
from imagegen.domain.ledger import Credits
from imagegen.errors import AppCheckRequired, EmailNotVerified, PermissionDenied, Unauthenticated
from imagegen.settings import limits, welcome_credits

ANYONE: CallableRequest[Any] = CallableRequest(data={}, raw_request=cast("Any", None))
SLIPS = ["true", "True", "1", "yes", "on", "", "flase", "0", "no"]


@pytest.mark.parametrize("setting", [None, *SLIPS])
def test_nothing_but_false_opens_the_backend(monkeypatch: pytest.MonkeyPatch, setting: str | None) -> None:
    monkeypatch.delenv("REQUIRE_AUTH", raising=False)
    if setting is not None:
        monkeypatch.setenv("REQUIRE_AUTH", setting)
    with pytest.raises(Unauthenticated):
        Caller.of(ANYONE)


@pytest.mark.parametrize("setting", ["false", " False\n"])
def test_without_required_auth_anyone_may_act_for_anyone(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", setting)
    caller = Caller.of(ANYONE)
    caller.check_acts_for("user")
    caller.check_may_read("user")
    caller.check_may_spend()


def test_even_without_required_auth_nobody_is_an_admin_without_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    with pytest.raises(PermissionDenied):
        Caller.of(ANYONE).check_is_admin()


def test_a_user_acts_and_reads_for_themselves_and_an_admin_reads_for_all() -> None:
    user, admin = Caller("user"), Caller("admin", is_admin=True)
    user.check_acts_for("user")
    admin.check_may_read("user")
    assert admin.check_is_admin() == "admin"
    for forbidden in (
        lambda: user.check_acts_for("other"),
        lambda: user.check_may_read("other"),
        lambda: admin.check_acts_for("user"),
        user.check_is_admin,
    ):
        with pytest.raises(PermissionDenied):
            forbidden()


@pytest.mark.parametrize("setting", SLIPS)
def test_nothing_but_false_lets_the_unverified_spend(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", setting)
    Caller("user", email_verified=True).check_may_spend()
    with pytest.raises(EmailNotVerified):
        Caller("user").check_may_spend()
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "false")
    Caller("user").check_may_spend()


def test_app_check_is_enforced_where_it_is_on_but_never_in_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    Caller.of(ANYONE)
    monkeypatch.setenv("ENFORCE_APP_CHECK", "true")
    with pytest.raises(AppCheckRequired):
        Caller.of(ANYONE)
    monkeypatch.setenv("FUNCTIONS_EMULATOR", "true")
    Caller.of(ANYONE)


def test_limits_and_welcome_credits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("RATE_LIMIT_BURST", "2"),
        ("RATE_LIMIT_PER_MINUTE", "3"),
        ("MAX_RUNNING_REQUESTS", "4"),
        ("TRIAL_CREDITS", "5"),
    ):
        monkeypatch.setenv(name, value)
    found = limits()
    assert (found.burst, found.per_minute, found.concurrent) == (2, 3, 4)
    assert welcome_credits() == Credits(trial=5)


@pytest.mark.parametrize("name", ["RATE_LIMIT_BURST", "RATE_LIMIT_PER_MINUTE", "MAX_RUNNING_REQUESTS"])
def test_a_limit_that_would_admit_nobody_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(ValueError, match="1 or more"):
        limits()


def test_nobody_is_welcomed_with_a_debt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAL_CREDITS", "-1")
    with pytest.raises(ValueError, match="0 or more"):
        welcome_credits()

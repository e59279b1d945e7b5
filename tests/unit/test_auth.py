"""Tests of authentication and access: the settings, and which callers each access allows."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from werkzeug.datastructures import Headers

from imagegen.api.auth import Access, Caller
from imagegen.api.firebase import callable_function
from imagegen.api.operation import Call, Operation, Received, operation
from imagegen.api.requests import Repeat
from imagegen.api.responses import Response
from imagegen.api.transactions import GetUserCredits
from imagegen.bootstrap import Backend
from imagegen.domain.ledger import Credits
from imagegen.domain.limits import Limits
from imagegen.errors import AppCheckRequired, EmailNotVerified, InvalidInput, PermissionDenied, Unauthenticated
from imagegen.ports.clock import SystemClock
from imagegen.services.call_rates import CallRates
from imagegen.settings import limits, trial_credits
from tests.support.access import ALLOWED, CallerKind
from tools.docs import openapi
from tools.fakes import NO_LIMITS

FUNCTIONS = openapi.operations()

ANYONE = Headers()
UNLIMITED = CallRates(NO_LIMITS.calls, SystemClock())
CALLERS = {
    CallerKind.ANONYMOUS: Caller(),
    CallerKind.OWNER: Caller("owner", email="owner@example.com", email_verified=True),
    CallerKind.UNVERIFIED: Caller("owner", email="owner@example.com"),
    CallerKind.OTHER_USER: Caller("stranger", email="stranger@example.com", email_verified=True),
    CallerKind.ADMIN: Caller("admin", is_admin=True, email="admin@example.com", email_verified=True),
}
NOT_FALSE = ["true", "True", "1", "yes", "on", "", "flase", "0", "no"]


@pytest.mark.parametrize("setting", [None, *NOT_FALSE])
def test_only_false_turns_off_authentication(monkeypatch: pytest.MonkeyPatch, setting: str | None) -> None:
    monkeypatch.delenv("REQUIRE_AUTH", raising=False)
    if setting is not None:
        monkeypatch.setenv("REQUIRE_AUTH", setting)
    with pytest.raises(Unauthenticated):
        Caller.of(ANYONE, UNLIMITED.admit)


@pytest.mark.parametrize("setting", ["false", " False\n"])
def test_without_required_auth_anonymous_caller_may_spend(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", setting)
    caller = Caller.of(ANYONE, UNLIMITED.admit)
    assert caller == CALLERS[CallerKind.ANONYMOUS]
    caller.check_may_spend()


# Access


@pytest.mark.parametrize("kind", CallerKind)
@pytest.mark.parametrize("access", Access)
def test_access_allows_the_callers_in_the_table(access: Access, kind: CallerKind) -> None:
    assert access.allows(CALLERS[kind], "owner") == (kind in ALLOWED[access])


class Answer(Response):
    text: str


def handle(_backend: Backend, call: Call[GetUserCredits]) -> Answer:
    return Answer(text=f"page size {call.params.page_size}")


def replay(_backend: Backend, call: Call[Repeat]) -> Answer:
    return Answer(text=f"again {call.params.idempotency_key}")


CallAs = Callable[..., object]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> CallAs:
    """Return a function that calls an operation as a kind of caller."""

    def call(operation: Operation[Any, Any], kind: CallerKind, **data: object) -> object:
        monkeypatch.setattr(Caller, "of", lambda *_: CALLERS[kind])
        backend = SimpleNamespace(catalogs=SimpleNamespace(current=None), call_rates=UNLIMITED, accounts=Mock())
        received = Received(data, Headers())
        return operation(cast("Any", backend), received)["text"]

    return call


@pytest.mark.parametrize("kind", CallerKind)
@pytest.mark.parametrize("access", Access)
def test_call_is_handled_only_if_its_access_allows_it(call: CallAs, access: Access, kind: CallerKind) -> None:
    declared = operation(access=access)(handle)
    if kind in ALLOWED[access]:
        assert call(declared, kind, userId="owner", pageSize=7) == "page size 7"
    else:
        with pytest.raises(PermissionDenied):
            call(declared, kind, userId="owner", pageSize=7)
    with pytest.raises(InvalidInput):
        call(declared, kind, userId="owner", pageSize=-1)


def test_spending_operation_requires_a_verified_owner(call: CallAs) -> None:
    spending = operation(access=Access.OWNER, spends=True)(handle)
    assert call(spending, CallerKind.OWNER, userId="owner") == "page size 50"
    with pytest.raises(EmailNotVerified):
        call(spending, CallerKind.UNVERIFIED, userId="owner")
    with pytest.raises(PermissionDenied):
        call(spending, CallerKind.UNVERIFIED, userId="stranger")


def test_repeated_invalid_call_is_answered_only_for_its_owner(call: CallAs) -> None:
    spending = operation(access=Access.OWNER, spends=True, repeated=replay)(handle)
    invalid: dict[str, Any] = {"userId": "owner", "idempotencyKey": "key", "pageSize": -1}
    for kind in CallerKind:
        if kind in ALLOWED[Access.OWNER]:
            assert call(spending, kind, **invalid) == "again key"  # a replay spends nothing
        else:
            with pytest.raises(PermissionDenied):
                call(spending, kind, **invalid)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_for_everyone_names_no_owner_and_spends_nothing(name: str) -> None:
    function = FUNCTIONS[name]
    assert not (function.names_owner and function.access is Access.SIGNED_IN)
    assert not function.spends or function.access is Access.OWNER


def test_operation_without_access_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="access"):
        operation()(handle)  # type: ignore[call-arg]
    monkeypatch.setenv("FUNCTION_TARGET", "headerKey")
    with pytest.raises(TypeError, match="who may call"):
        callable_function("idempotency.header_key")


@pytest.mark.parametrize("setting", NOT_FALSE)
def test_only_false_lets_unverified_callers_spend(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", setting)
    CALLERS[CallerKind.OWNER].check_may_spend()
    with pytest.raises(EmailNotVerified):
        CALLERS[CallerKind.UNVERIFIED].check_may_spend()
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "false")
    CALLERS[CallerKind.UNVERIFIED].check_may_spend()


EMAIL_UNVERIFIED: dict[str, Any] = {"email": "grace@example.com"}
EMAIL_VERIFIED: dict[str, Any] = {**EMAIL_UNVERIFIED, "email_verified": True}
PHONE: dict[str, Any] = {"phone_number": "+15555550100"}
NOTHING: dict[str, Any] = {}

VERIFY = "Verify your e-mail address to spend"
ADD_EMAIL = "Add an e-mail address to your account and verify it to spend"
ADD_EITHER = "Add an e-mail address or a phone number to your account and verify it to spend"


@pytest.mark.parametrize(
    ("setting", "account", "outcome"),
    [
        ("none", EMAIL_VERIFIED, "email:grace@example.com"),
        ("none", EMAIL_UNVERIFIED, VERIFY),
        ("none", PHONE, ADD_EMAIL),
        ("none", NOTHING, ADD_EMAIL),
        ("none", {"email_verified": True}, ADD_EMAIL),  # the address was removed after its verification
        ("none", {**EMAIL_UNVERIFIED, **PHONE}, VERIFY),
        ("phone", EMAIL_VERIFIED, "email:grace@example.com"),
        ("phone", EMAIL_UNVERIFIED, VERIFY),
        ("phone", PHONE, "phone:+15555550100"),
        ("phone", {**EMAIL_VERIFIED, **PHONE}, "email:grace@example.com"),
        ("phone", {**EMAIL_UNVERIFIED, **PHONE}, "phone:+15555550100"),
        ("phone", NOTHING, ADD_EITHER),
        ("phone", {"email": "", "phone_number": ""}, ADD_EITHER),
        (None, PHONE, "phone:+15555550100"),
        (None, NOTHING, ADD_EITHER),
        (" All ", NOTHING, "user:uid"),
        ("all", PHONE, "phone:+15555550100"),
        ("all", EMAIL_VERIFIED, "email:grace@example.com"),
        ("all", EMAIL_UNVERIFIED, VERIFY),
    ],
    ids=str,
)
def test_accounts_that_may_spend_are_those_that_get_trial_credits(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, account: dict[str, Any], outcome: str
) -> None:
    monkeypatch.delenv("ACCOUNTS_WITHOUT_EMAIL", raising=False)
    if setting is not None:
        monkeypatch.setenv("ACCOUNTS_WITHOUT_EMAIL", setting)
    caller = Caller("uid", **account)
    if " " not in outcome:
        caller.check_may_spend()
        assert caller.person("uid") == outcome
    else:
        with pytest.raises(EmailNotVerified, match=f"^{outcome}.*registerUser"):
            caller.check_may_spend()
        assert caller.person("uid") is None


@pytest.mark.parametrize("account", [PHONE, NOTHING], ids=str)
def test_email_that_need_not_be_verified_does_not_let_other_accounts_spend(
    monkeypatch: pytest.MonkeyPatch, account: dict[str, Any]
) -> None:
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "false")
    monkeypatch.setenv("ACCOUNTS_WITHOUT_EMAIL", "none")
    with pytest.raises(EmailNotVerified):
        Caller("uid", **account).check_may_spend()


def test_email_that_need_not_be_verified_gets_no_trial_credits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_VERIFIED_EMAIL", "false")
    assert Caller("uid", email="grace@example.com").person("uid") is None


@pytest.mark.parametrize("setting", ["", "phones", "true", "any"])
def test_unknown_accounts_without_email_let_nobody_spend(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("ACCOUNTS_WITHOUT_EMAIL", setting)
    for account in (PHONE, NOTHING):
        with pytest.raises(ValueError, match="ACCOUNTS_WITHOUT_EMAIL must be"):
            Caller("uid", **account).check_may_spend()
    Caller("uid", **EMAIL_VERIFIED).check_may_spend()


def test_without_required_authentication_the_user_is_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    assert Caller().person("ada") == Caller("uid", **EMAIL_VERIFIED).person("ada") == "user:ada"


def test_app_check_is_enforced_if_on_but_never_in_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    Caller.of(ANYONE, UNLIMITED.admit)
    monkeypatch.setenv("ENFORCE_APP_CHECK", "true")
    with pytest.raises(AppCheckRequired):
        Caller.of(ANYONE, UNLIMITED.admit)
    monkeypatch.setenv("FUNCTIONS_EMULATOR", "true")
    Caller.of(ANYONE, UNLIMITED.admit)


def test_limits_and_welcome_credits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("RATE_LIMIT_BURST", "2"),
        ("RATE_LIMIT_PER_MINUTE", "3"),
        ("MAX_RUNNING_REQUESTS", "4"),
        ("CANCELED_RUNS_PER_DAY", "6"),
        ("CALLS_PER_MINUTE", "7"),
        ("RESENT_WEBHOOKS_PER_HOUR", "8"),
        ("TRIAL_CREDITS", "5"),
    ):
        monkeypatch.setenv(name, value)
    assert limits() == Limits(2, 3, 4, 6, 7, 8)
    assert trial_credits() == Credits(trial=5)


@pytest.mark.parametrize(
    "name",
    [
        "RATE_LIMIT_BURST",
        "RATE_LIMIT_PER_MINUTE",
        "MAX_RUNNING_REQUESTS",
        "CANCELED_RUNS_PER_DAY",
        "CALLS_PER_MINUTE",
        "RESENT_WEBHOOKS_PER_HOUR",
    ],
)
def test_limit_of_zero_raises(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(ValueError, match="1 or more"):
        limits()


def test_negative_trial_credits_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAL_CREDITS", "-1")
    with pytest.raises(ValueError, match="0 or more"):
        trial_credits()

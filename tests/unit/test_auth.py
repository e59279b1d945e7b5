"""Closed unless it is switched off in so many words."""

from typing import Any, cast

import pytest
from firebase_functions.https_fn import AuthData, CallableRequest

from imagegen.entry import auth
from imagegen.errors import PermissionDenied, Unauthenticated


def call(uid: str | None) -> CallableRequest[Any]:
    signed_in = None if uid is None else AuthData(uid, {})
    return CallableRequest(data={}, raw_request=cast("Any", None), auth=signed_in)


@pytest.mark.parametrize("setting", [None, "true", "True", "1", "yes", "on", "", "flase", "0", "no"])
def test_nothing_but_false_opens_the_backend(monkeypatch: pytest.MonkeyPatch, setting: str | None) -> None:
    monkeypatch.delenv("REQUIRE_AUTH", raising=False)
    if setting is not None:
        monkeypatch.setenv("REQUIRE_AUTH", setting)
    with pytest.raises(Unauthenticated):
        auth.require_caller(call(None))
    auth.require_caller(call("user"))


@pytest.mark.parametrize("setting", ["true", "false"])
def test_a_signed_in_user_acts_for_nobody_else(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", setting)
    auth.require_owner(call("user"), "user")
    with pytest.raises(PermissionDenied):
        auth.require_owner(call("user"), "someone-else")


def test_without_required_auth_anyone_may_call_for_anyone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")
    auth.require_caller(call(None))
    auth.require_owner(call(None), "user")

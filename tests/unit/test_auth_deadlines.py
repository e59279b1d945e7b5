"""Tests of identifying callers while a service of Google hangs. A real local server stands for the service."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import firebase_admin
import jwt
import pytest
from firebase_admin import app_check
from google.auth.credentials import AnonymousCredentials
from werkzeug.datastructures import Headers

from imagegen import admin_sdk  # noqa: F401 - initializes the SDK, which the tests initialize again
from imagegen.api import auth
from imagegen.api.auth import Caller
from imagegen.deadlines import LATE_CALLS_MAX, Deadlines
from imagegen.errors import ServiceUnavailable
from tests.support.progress import eventually
from tests.support.servers import HangingServer, hanging_server
from tests.support.tokens import unsigned

PROJECT = "demo-hanging"
CALLERS = 16
DEADLINE_SECONDS = 0.05
TIMEOUT_SECONDS = 0.2
"""The SDK's timeout of a step. It is many times the time between two bytes of a server that drips."""
BOUND_SECONDS = 10
"""Far more than the deadline of the tests, and far less than the SDK's own timeouts, one after the other."""


@pytest.fixture(params=[False, True], ids=["never answers", "answers byte by byte"])
def server(request: pytest.FixtureRequest) -> Iterator[HangingServer]:
    with hanging_server(drips=request.param) as server:
        yield server


@pytest.fixture(autouse=True)
def _new_sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the tests short deadlines, and a new Admin SDK, which reads the addresses of services on first use."""
    monkeypatch.setattr(auth, "CHECK_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr(auth, "_deadlines", Deadlines())
    monkeypatch.setenv("REQUIRE_AUTH", "true")
    monkeypatch.setattr("firebase_admin._http_client.DEFAULT_RETRY_CONFIG.backoff_factor", 0)
    firebase_admin.delete_app(firebase_admin.get_app())
    options = {"projectId": PROJECT, "httpTimeout": TIMEOUT_SECONDS}
    app = firebase_admin.initialize_app(AnonymousCredentials(), options)  # type: ignore[no-untyped-call]
    yield
    eventually(lambda: not auth._deadlines._still_late())  # so that they do not log during other tests
    firebase_admin.delete_app(app)
    firebase_admin.initialize_app()


def token() -> str:
    now = int(time.time())
    claims = {"iss": f"https://securetoken.google.com/{PROJECT}", "aud": PROJECT, "sub": "user", "user_id": "user"}
    return unsigned({**claims, "auth_time": now - 60, "iat": now - 60, "exp": now + 3_600})


def hang_lookups(server: HangingServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", server.host)
    return {"Authorization": f"Bearer {token()}"}


def hang_app_check_keys(server: HangingServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("ENFORCE_APP_CHECK", "true")
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", server.host)
    monkeypatch.setattr(app_check._AppCheckService, "_JWKS_URL", f"http://{server.host}/jwks")
    return {"X-Firebase-AppCheck": jwt.encode({}, "k" * 32, "HS256", {"kid": "key"})}


HANGING = {"the account": hang_lookups, "the keys of App Check": hang_app_check_keys}


def is_refused(headers: dict[str, str]) -> bool:
    with pytest.raises(ServiceUnavailable):
        Caller.of(Headers(headers), lambda _: None)
    return True


@pytest.mark.parametrize("hang", HANGING.values(), ids=HANGING)
def test_simultaneous_callers_are_refused_in_time(
    hang: Callable[[HangingServer, pytest.MonkeyPatch], dict[str, str]],
    server: HangingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = hang(server, monkeypatch)
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        assert all(pool.map(is_refused, [headers] * CALLERS))
    assert time.monotonic() - began < BOUND_SECONDS
    eventually(lambda: server.reached > 0)


@pytest.mark.parametrize("hang", HANGING.values(), ids=HANGING)
def test_callers_are_refused_at_once_while_too_many_checks_hang(
    hang: Callable[[HangingServer, pytest.MonkeyPatch], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with hanging_server(drips=True) as server:
        headers = hang(server, monkeypatch)
        assert all(is_refused(headers) for _ in range(LATE_CALLS_MAX + CALLERS))
        eventually(lambda: server.reached > 0)
        assert server.reached <= LATE_CALLS_MAX


def test_lookups_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging_server() as server:
        headers = hang_lookups(server, monkeypatch)
        eventually(lambda: is_refused(headers) and server.reached > 3 * LATE_CALLS_MAX)

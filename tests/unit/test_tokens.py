"""Tests of ID tokens and App Check tokens as a deployed function checks them.

The Admin SDK verifies the tokens as it does in production. Only Google is a fake: its certificates, and its answers
about accounts.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import firebase_admin
import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID
from firebase_admin import credentials
from jwt.algorithms import RSAAlgorithm
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from imagegen import admin_sdk  # noqa: F401 - initializes the SDK, which the tests initialize again
from imagegen.api.auth import Caller
from imagegen.domain.limits import Rate
from imagegen.errors import EmailNotVerified
from imagegen.ports.clock import SystemClock
from imagegen.services.call_rates import CallRates
from tests.support.api import CALLABLES, Api
from tests.support.times import NOON
from tests.support.tokens import encoded
from tools.fakes import NO_LIMITS, ManualClock
from tools.seed import history

PROJECT = "imagegen-production"
USER = "user-100"
KEY_ID = "key of today"
KEY, OTHER_KEY = (generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def account(**fields: object) -> dict[str, Any]:
    """Return an account as Firebase Auth describes it."""
    return {"localId": USER, "validSince": "0", **fields}


@dataclass
class FakeGoogle:
    """A fake of the Google services that the SDK calls. ``account`` is None if it was deleted."""

    account: dict[str, Any] | None = field(default_factory=account)
    is_down: bool = False
    lookups: int = 0

    def answer(self, url: str) -> Any:
        match url.partition("?")[0]:
            case "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com":
                return {KEY_ID: certificate(KEY)}
            case "https://oauth2.googleapis.com/token":
                return {"access_token": "of the backend", "expires_in": 3600}
            case "https://identitytoolkit.googleapis.com/v1/projects/imagegen-production/accounts:lookup":
                self.lookups += 1
                return {"users": [self.account]} if self.account else {}
        raise AssertionError(f"unexpected call of {url}")

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        assert request.url is not None
        response = requests.Response()
        response.status_code = 503 if self.is_down and "accounts:lookup" in request.url else 200
        response._content = json.dumps(self.answer(request.url)).encode()
        response.request = request
        response.url = request.url
        return response


def certificate(key: RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.system.gserviceaccount.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """Connect the functions' Admin SDK to the fake Google, without emulators."""
    google = FakeGoogle()
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
    monkeypatch.setattr(requests.Session, "send", lambda _self, request, **_options: google.send(request))
    monkeypatch.setattr(
        jwt.PyJWKClient,
        "fetch_data",
        lambda _self: {"keys": [{**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": KEY_ID}]},
    )
    backends_own = credentials.Certificate(
        {
            "type": "service_account",
            "project_id": PROJECT,
            "client_email": f"functions@{PROJECT}.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
            "private_key": OTHER_KEY.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        }
    )
    firebase_admin.delete_app(firebase_admin.get_app())
    app = firebase_admin.initialize_app(backends_own)
    yield google
    firebase_admin.delete_app(app)
    firebase_admin.initialize_app()


@pytest.fixture
def backend() -> SimpleNamespace:
    """Return a backend that has only a catalog and no limits, since refused calls need no more."""
    call_rates = CallRates(NO_LIMITS.calls, SystemClock())
    return SimpleNamespace(catalogs=SimpleNamespace(current=history.catalog), call_rates=call_rates)


@pytest.fixture
def api(google: FakeGoogle, backend: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.delenv("REQUIRE_AUTH", raising=False)
    monkeypatch.setattr("imagegen.bootstrap.backend", lambda: backend)
    return Api()


def token(key: RSAPrivateKey = KEY, *, key_id: str | None = KEY_ID, **others: object) -> str:
    """Return a token like one of Firebase Auth, with ``others`` as changed claims. A claim of None is left out."""
    now = int(time.time())
    token_claims = {
        "iss": f"https://securetoken.google.com/{PROJECT}",
        "aud": PROJECT,
        "sub": USER,
        "user_id": USER,
        "auth_time": now - 60,
        "iat": now - 60,
        "exp": now + 3540,
        **others,
    }
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.encode({name: value for name, value in token_claims.items() if value is not None}, key, "RS256", headers)


def claims(token: str) -> dict[str, Any]:
    token_claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return token_claims


def with_other_claims(token: str) -> str:
    """Return the token with other claims and its old signature."""
    head, _, signature = token.split(".")
    changed = {**claims(token), "sub": "user-ada"}
    return ".".join([head, encoded(json.dumps(changed).encode()), signature])


def signed_with_the_certificate() -> str:
    """Return a token signed with the public certificate as an HMAC secret, a known attack."""
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    parts = [{"alg": "HS256", "typ": "JWT", "kid": KEY_ID}, claims(token())]
    message = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{message}.{encoded(algorithm.sign(message.encode(), certificate(KEY).encode()))}"


INVALID: dict[str, Callable[[], str]] = {
    "expired": lambda: token(iat=int(time.time()) - 7200, exp=int(time.time()) - 3600),
    "without an expiry": lambda: token(exp=None),
    "with an expiry that is not a number": lambda: token(exp=[]),
    "not yet valid": lambda: token(iat=int(time.time()) + 60, exp=int(time.time()) + 3600),
    "changed after it was signed": lambda: with_other_claims(token()),
    "signed with another key": lambda: token(OTHER_KEY),
    "signed with an unknown key": lambda: token(OTHER_KEY, key_id="unknown key"),
    "without a key id": lambda: token(key_id=None),
    "without a signature": lambda: token().rpartition(".")[0] + ".",
    "without an algorithm": lambda: jwt.encode(claims(token()), "", "none", {"kid": KEY_ID}),
    "signed with the public certificate": signed_with_the_certificate,
    "of another project": lambda: token(aud="other", iss="https://securetoken.google.com/other"),
    "for another audience": lambda: token(aud="other"),
    "of another issuer": lambda: token(iss=f"https://securetoken.google.com/{PROJECT}/"),
    "without a subject": lambda: token(sub=None),
    "with an empty subject": lambda: token(sub=""),
}
STATES: dict[str, Callable[[], dict[str, Any] | None]] = {
    "revoked": lambda: account(validSince=str(int(time.time()))),
    "disabled": lambda: account(disabled=True),
    "deleted": lambda: None,
}


def refusal(response: TestResponse) -> tuple[int, str, str]:
    error = (response.get_json() or {})["error"]
    return response.status_code, error["status"], error["details"]["reason"]


def call(api: Api, function: str, token: str, **headers: str) -> TestResponse:
    return api.call(function, {}, Authorization=f"Bearer {token}", **headers)


UNAUTHENTICATED = (401, "UNAUTHENTICATED", "UNAUTHENTICATED")


def test_valid_token_identifies_the_caller(api: Api) -> None:
    assert call(api, "getCatalog", token()).status_code == 200
    others = api.call("getUserCredits", {"userId": "user-ada"}, Authorization=f"Bearer {token()}")
    assert refusal(others) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")


def test_clocks_may_differ_by_seconds(api: Api) -> None:
    now = int(time.time())
    assert call(api, "getCatalog", token(iat=now + 5)).status_code == 200
    assert call(api, "getCatalog", token(iat=now - 3600, exp=now - 5)).status_code == 200


def test_call_costs_one_lookup_of_the_account(api: Api, google: FakeGoogle) -> None:
    assert call(api, "getCatalog", token()).status_code == 200
    assert google.lookups == 1


@pytest.mark.parametrize("function", CALLABLES)
def test_call_above_the_rate_is_refused_without_a_lookup(
    api: Api, google: FakeGoogle, backend: SimpleNamespace, function: str
) -> None:
    clock = ManualClock(NOON)
    backend.call_rates = CallRates(Rate(burst=2, interval=timedelta(seconds=30)), clock)
    google.account = None  # so that an admitted call ends with its look-up
    admitted = [refusal(call(api, function, token())) for _ in range(2)]
    assert (admitted, google.lookups) == ([UNAUTHENTICATED] * 2, 2)
    refused = call(api, function, token(), Origin="https://app.example.com")
    assert refusal(refused) == (429, "RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert refused.get_json()["error"]["details"]["retryAfterSeconds"] == 30
    assert refused.headers["Retry-After"] == "30"
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
    assert google.lookups == 2
    assert refusal(call(api, function, token(sub="user-ada"))) == UNAUTHENTICATED
    clock.at += timedelta(seconds=30)
    assert refusal(call(api, function, token())) == UNAUTHENTICATED
    assert google.lookups == 4


def test_invalid_token_uses_up_no_calls_of_its_user(api: Api, google: FakeGoogle, backend: SimpleNamespace) -> None:
    backend.call_rates = CallRates(Rate(burst=1, interval=timedelta(hours=1)), ManualClock(NOON))
    for _ in range(9):
        assert refusal(call(api, "getCatalog", token(OTHER_KEY))) == UNAUTHENTICATED
    assert google.lookups == 0
    assert call(api, "getCatalog", token()).status_code == 200


def test_admin_claim_counts_as_the_account_has_it_now(api: Api, google: FakeGoogle) -> None:
    refused = (403, "PERMISSION_DENIED", "PERMISSION_DENIED")
    assert refusal(call(api, "listWeeklyReports", token(admin=True))) == refused  # withdrawn since
    google.account = account(customAttributes='{"admin": true}')
    assert refusal(call(api, "runWeeklyReport", token()))[0] == 400  # an admin, who sent no week


def test_verified_email_counts_as_the_account_has_it_now(google: FakeGoogle) -> None:
    google.account = account(email="grace@example.com", emailVerified=True)
    Caller.of(Headers({"Authorization": f"Bearer {token(email_verified=False)}"}), lambda _: None).check_may_spend()
    google.account = account(email="grace@example.com", emailVerified=False)
    with pytest.raises(EmailNotVerified):
        Caller.of(Headers({"Authorization": f"Bearer {token(email_verified=True)}"}), lambda _: None).check_may_spend()


def test_phone_number_counts_as_the_account_has_it_now(google: FakeGoogle) -> None:
    google.account = account(phoneNumber="+15555550100")
    Caller.of(Headers({"Authorization": f"Bearer {token()}"}), lambda _: None).check_may_spend()
    google.account = account()
    with pytest.raises(EmailNotVerified, match="phone number"):
        Caller.of(
            Headers({"Authorization": f"Bearer {token(phone_number='+15555550100')}"}), lambda _: None
        ).check_may_spend()


def test_missing_token_is_refused_by_every_function(api: Api) -> None:
    for function in CALLABLES:
        assert refusal(api.call(function, {})) == UNAUTHENTICATED, function


@pytest.mark.parametrize("flaw", INVALID)
def test_invalid_token_is_refused_by_every_function(api: Api, flaw: str) -> None:
    flawed = INVALID[flaw]()
    assert call(api, "getCatalog", token()).status_code == 200
    for function in CALLABLES:
        assert refusal(call(api, function, flawed)) == UNAUTHENTICATED, function


@pytest.mark.parametrize("state", STATES)
def test_token_is_refused_if_it_is_revoked_or_its_account_is_disabled_or_deleted(
    api: Api, google: FakeGoogle, state: str
) -> None:
    google.account = STATES[state]()
    for function in CALLABLES:
        assert refusal(call(api, function, token())) == UNAUTHENTICATED, function


def test_failed_account_lookup_is_service_unavailable(api: Api, google: FakeGoogle) -> None:
    google.is_down = True
    assert refusal(call(api, "getCatalog", token())) == (503, "UNAVAILABLE", "SERVICE_UNAVAILABLE")


def app_check_token(key: RSAPrivateKey = KEY, **others: object) -> str:
    token_claims = {
        "iss": "https://firebaseappcheck.googleapis.com/1234",
        "aud": ["projects/1234", f"projects/{PROJECT}"],
        "sub": "1:1234:web:5678",
        "exp": int(time.time()) + 600,
        **others,
    }
    return jwt.encode(token_claims, key, "RS256", {"kid": KEY_ID})


def test_app_check_refuses_missing_and_invalid_tokens(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENFORCE_APP_CHECK", "true")
    refused = (401, "UNAUTHENTICATED", "APP_CHECK_REQUIRED")
    flawed = {
        "another key's": app_check_token(OTHER_KEY),
        "another project's": app_check_token(aud=["projects/other"]),
        "expired": app_check_token(exp=1_700_000_000),
        "garbage": "garbage",
        "an ID token": token(),
    }

    app_check = {"X-Firebase-AppCheck": app_check_token()}
    assert call(api, "getCatalog", token(), **app_check).status_code == 200
    assert refusal(api.call("getCatalog", {}, **app_check)) == UNAUTHENTICATED
    for function in CALLABLES:
        assert refusal(call(api, function, token())) == refused, function
        for flaw, sent in flawed.items():
            response = call(api, function, token(), **{"X-Firebase-AppCheck": sent})
            assert refusal(response) == refused, (function, flaw)

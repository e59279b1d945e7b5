"""Tests of authentication and access, in the demo project and in a project that requires authentication.

The Auth emulator does not sign its tokens, and the Admin SDK does not check their signatures there. These tests can
therefore forge any claim. ``tests/unit/test_tokens.py`` tests signatures.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from imagegen.api.auth import Access
from imagegen.documents.purchases import create_purchase, purchase_path
from tests.support.access import ALLOWED, CallerKind
from tests.support.live import Live, order, refusal, until
from tests.support.purchases import PURCHASE
from tests.support.receivers import Receiver, receiving
from tests.support.scale import scaled
from tests.support.tokens import altered, claims_of, encoded, unsigned
from tests.support.weeks import QUIET_WEEK
from tools.docs import openapi

T = TypeVar("T")

ORIGIN = "https://app.example.com"
UNAUTHENTICATED = (401, "UNAUTHENTICATED", "UNAUTHENTICATED")
PERMISSION_DENIED = (403, "PERMISSION_DENIED", "PERMISSION_DENIED")
NOT_VERIFIED = (403, "PERMISSION_DENIED", "EMAIL_NOT_VERIFIED")

SEEDED = "user-100"
FUNCTIONS = openapi.operations()
CALLS = {name: openapi.example(operation) for name, operation in FUNCTIONS.items()}
ELSEWHERE = {"exportAccount", "getAccountExport", "deleteAccount"}
"""The functions whose callers `tests/integration/account_data/test_refusals.py` tests, because one ends the account."""

ALIKE = {
    (operation.access, operation.names_owner, operation.spends): name
    for name, operation in FUNCTIONS.items()
    if name not in ELSEWHERE
}
CALLED = scaled([*ALIKE.values()], list(CALLS))
"""The functions to call: one of those whose callers are declared alike, or all with FULL=1.

`tests/integration/test_access.py` and `tests/unit/test_tokens.py` test all functions in their own process.
"""

SERVED = [name for name in CALLED if name not in ELSEWHERE]
FOR_OWNERS = [name for name in SERVED if FUNCTIONS[name].access in (Access.OWNER, Access.OWNER_OR_ADMIN)]
NAMING_OWNERS = [name for name in FOR_OWNERS if FUNCTIONS[name].names_owner]

CLOSED = scaled(["createGenerationRequest", "getUserCredits", "grantCredits"], list(CALLS))
"""The functions to call in the project that requires authentication. Each costs a cold start there."""

CALLS["runWeeklyReport"] = {"week": str(QUIET_WEEK)}

MALFORMED = {
    "garbage": "Bearer garbage",
    "nothing": "Bearer ",
    "another scheme": "Basic dXNlci0xMDA6aW1hZ2VnZW4=",
    "three parts of garbage": "Bearer a.b.c",
    "a list of claims": f"Bearer {unsigned([SEEDED])}",
    "claims that are not JSON": f"Bearer {encoded(b'{}')}.{encoded(b'{user-100')}.",
    "no claims": f"Bearer {unsigned({})}",
}

FORGED: dict[str, dict[str, object]] = {
    "of another project": {"aud": "demo-other", "iss": "https://securetoken.google.com/demo-other"},
    "for another audience": {"aud": "demo-other"},
    "of another issuer": {"iss": "https://accounts.example.com"},
    "with an empty subject": {"sub": ""},
    "without a subject": {"sub": None},
    "with a number as subject": {"sub": 100},
    "of a user who does not exist": {"sub": "user-nobody"},
    "expired": {"exp": 1_700_000_000},
    "without an expiry": {"exp": None},
    "with an expiry that is not a number": {"exp": "never"},
    "without an issue time": {"iat": None},
    "with an issue time that is not a number": {"iat": "always"},
    "issued before the account was created": {"iat": 1_500_000_000},
}


def _flaws_to_test(flaws: Mapping[str, T], function: str) -> dict[str, T]:
    """Return one of the flaws, a different one for each function, or all of them with FULL=1."""
    names = list(flaws)
    return {name: flaws[name] for name in scaled([names[list(CALLS).index(function) % len(names)]], names)}


def wallet_and_ledger(live: Live, user_id: str = SEEDED) -> object:
    """Return the data that a call in the user's name could change."""
    return live.user(user_id), live.ledger(user_id)


# Tokens


@pytest.mark.parametrize("function", CALLED)
def test_malformed_token_is_refused(live: Live, function: str) -> None:
    before = wallet_and_ledger(live)

    for flaw, authorization in _flaws_to_test(MALFORMED, function).items():
        response = live.send(function, json={"data": CALLS[function]}, headers={"Authorization": authorization})
        assert refusal(response) == UNAUTHENTICATED, flaw

    assert wallet_and_ledger(live) == before


@pytest.mark.parametrize("function", CALLED)
def test_forged_token_is_refused(live: Live, function: str) -> None:
    valid_token, before = live.sign_in(SEEDED), wallet_and_ledger(live)

    for flaw, claims in _flaws_to_test(FORGED, function).items():
        assert live.refusal(function, CALLS[function], token=altered(valid_token, **claims)) == UNAUTHENTICATED, flaw

    assert wallet_and_ledger(live) == before


def test_forged_token_with_valid_claims_is_accepted(live: Live) -> None:
    assert live.result("getUserCredits", {}, token=altered(live.sign_in(SEEDED)))


INVALIDATE: dict[str, Callable[[Live, str], object]] = {
    "revoked": lambda live, user: live.accounts.revoke_refresh_tokens(user),
    "disabled": lambda live, user: live.accounts.update_user(user, disabled=True),
    "deleted": lambda live, user: live.accounts.delete_user(user),
}


@pytest.mark.parametrize("state", INVALIDATE)
def test_token_is_refused_if_it_is_revoked_or_its_account_is_disabled_or_deleted(live: Live, state: str) -> None:
    user, token = live.sign_up()
    live.result("registerUser", {}, token=token)
    issued = claims_of(token)["iat"]
    until(lambda: datetime.now(UTC).timestamp() > issued + 1, seconds=5)  # revocation has a resolution of one second
    before = live.ledger(user)

    INVALIDATE[state](live, user)

    for function, data in CALLS.items():
        own = {**data, "userId": user} if "userId" in data else data
        assert live.refusal(function, own, token=token) == UNAUTHENTICATED, function
    assert live.ledger(user) == before


def test_new_token_after_revocation_is_accepted(live: Live) -> None:
    user, _ = live.sign_up()
    live.accounts.revoke_refresh_tokens(user)

    assert live.result("registerUser", {}, token=live.sign_in(user))["userId"] == user


def test_token_of_another_project_is_refused(live: Live, closed: Live) -> None:
    token = live.sign_in(SEEDED)

    for function in CLOSED:
        assert closed.refusal(function, CALLS[function], token=token) == UNAUTHENTICATED, function


# Access


@dataclass(frozen=True)
class OwnerData:
    """A user, the ids of the user's data by field name, a token for each kind of caller, and an endpoint to delete."""

    user_id: str
    ids: dict[str, str]
    tokens: dict[CallerKind, str | None]
    deletable_endpoint_id: str

    def data(self, function: str, **fields: object) -> dict[str, object]:
        """Return the example call of a function with the user's own ids."""
        example, ids = CALLS[function], self.ids
        if function == "deleteWebhookEndpoint":
            ids = {**ids, "endpointId": self.deletable_endpoint_id}
        return {**example, **{name: id for name, id in ids.items() if name in example}, **fields}


@pytest.fixture(scope="module")
def owner_data(live: Live) -> Iterator[OwnerData]:
    user, _ = live.sign_up()
    live.accounts.update_user(user, email_verified=True)
    owner, stranger, admin = (live.sign_in(id) for id in (user, "user-10", "user-admin"))
    live.result("registerUser", {}, token=owner)
    grant = {"userId": user, "credits": 100, "bucket": "paid", "reason": "tests", "idempotencyKey": "tests"}
    live.result("grantCredits", grant, token=admin)
    key_id = live.result("createApiKey", {"name": "tests", "scopes": ["read"]}, token=owner)["keyId"]
    hook = {"webhookUrl": "https://hooks.example.com/"}
    live.result("getWebhookSecret", hook, token=owner)  # otherwise, the first delivery creates the key later
    with receiving(Receiver()) as receiver:
        live.result("createGenerationRequest", order(user, webhookUrl=receiver.url()), token=owner)
        [delivery] = live.result("listWebhookDeliveries", {}, token=owner)["deliveries"]
        kept, deletable = (
            live.result("createWebhookEndpoint", {"url": f"https://hooks.example.com/{name}"}, token=owner)["endpoint"]
            for name in ("kept", "deletable")
        )
        live.operator.document(purchase_path(PURCHASE.id)).set(
            dict(create_purchase(replace(PURCHASE, user_id=user)).data)
        )
        yield OwnerData(
            user,
            {
                "purchaseId": PURCHASE.id,
                "userId": user,
                "endpointId": kept["endpointId"],
                "keyId": key_id,
                **{name: delivery[name] for name in ("generationRequestId", "deliveryId")},
            },
            {
                CallerKind.ANONYMOUS: None,
                CallerKind.OWNER: owner,
                CallerKind.UNVERIFIED: owner,
                CallerKind.OTHER_USER: stranger,
                CallerKind.ADMIN: admin,
            },
            deletable["endpointId"],
        )


@pytest.mark.parametrize("kind", CallerKind)
@pytest.mark.parametrize("function", SERVED)
def test_function_serves_exactly_the_callers_its_access_allows(
    live: Live, owner_data: OwnerData, function: str, kind: CallerKind
) -> None:
    operation, before = FUNCTIONS[function], wallet_and_ledger(live, owner_data.user_id)

    live.accounts.update_user(owner_data.user_id, email_verified=kind is not CallerKind.UNVERIFIED)

    response = live.call(function, owner_data.data(function), token=owner_data.tokens[kind])

    live.accounts.update_user(owner_data.user_id, email_verified=True)
    is_allowed = kind in ALLOWED[operation.access]
    if is_allowed and not (operation.spends and kind is CallerKind.UNVERIFIED):
        # The access is checked before the preconditions. The request to cancel has ended, and the option has changed.
        assert response.ok or refusal(response)[1] in ("FAILED_PRECONDITION", "ABORTED"), response.text
        return
    if is_allowed:
        assert refusal(response) == NOT_VERIFIED
    elif operation.names_owner or operation.access is Access.ADMIN:
        assert refusal(response) == PERMISSION_DENIED
    else:
        assert response.status_code == 404
    assert refusal(response)[2] in {error.reason for error in operation.errors}
    assert wallet_and_ledger(live, owner_data.user_id) == before


@pytest.mark.parametrize("function", [name for name in FOR_OWNERS if not FUNCTIONS[name].names_owner])
def test_answer_for_foreign_data_equals_answer_for_missing_data(
    live: Live, owner_data: OwnerData, function: str
) -> None:
    token, data = owner_data.tokens[CallerKind.OTHER_USER], owner_data.data(function)
    missing = dict.fromkeys(owner_data.ids.keys() & data.keys(), "nothing")

    text = live.call(function, data, token=token).text

    for name in missing:
        text = text.replace(str(data[name]), "nothing")
    assert text == live.call(function, {**data, **missing}, token=token).text


@pytest.mark.parametrize("function", NAMING_OWNERS)
def test_user_id_defaults_to_the_caller(live: Live, owner_data: OwnerData, function: str) -> None:
    token, data = owner_data.tokens[CallerKind.OWNER], owner_data.data(function)
    without_user_id = {name: value for name, value in data.items() if name != "userId"}

    answer = live.result(function, without_user_id, token=token)

    if FUNCTIONS[function].spends:
        assert live.request(answer["generationRequestId"])["userId"] == owner_data.user_id
    elif function == "createPurchase":
        stored = live.operator.document(f"purchases/{answer['purchaseId']}").get().to_dict() or {}
        assert stored["userId"] == owner_data.user_id
    elif function == "createApiKey":
        stored = live.operator.document(f"apiKeys/{answer['keyId']}").get().to_dict() or {}
        assert stored["userId"] == owner_data.user_id
    else:
        assert answer == live.result(function, data, token=token)


@pytest.mark.parametrize("function", NAMING_OWNERS)
def test_anonymous_call_requires_user_id(live: Live, function: str) -> None:
    without_user_id = {name: value for name, value in CALLS[function].items() if name != "userId"}

    response = live.call(function, without_user_id)

    assert refusal(response) == (400, "INVALID_ARGUMENT", "INVALID_INPUT")
    assert response.json()["error"]["details"]["violations"] == [{"field": "userId", "message": "is required"}]


@pytest.mark.parametrize("function", NAMING_OWNERS)
def test_unknown_user_is_permission_denied_for_other_users(live: Live, owner_data: OwnerData, function: str) -> None:
    data = owner_data.data(function, userId="user-nobody")

    assert live.refusal(function, data, token=owner_data.tokens[CallerKind.OTHER_USER]) == PERMISSION_DENIED


@pytest.mark.parametrize(
    "function", [name for name in NAMING_OWNERS if FUNCTIONS[name].access is Access.OWNER_OR_ADMIN]
)
def test_admin_gets_the_same_answer_as_the_owner(live: Live, owner_data: OwnerData, function: str) -> None:
    data = owner_data.data(function)

    answers = [
        live.result(function, data, token=owner_data.tokens[kind]) for kind in (CallerKind.ADMIN, CallerKind.OWNER)
    ]

    assert answers[0] == answers[1]


def test_list_has_only_the_callers_requests(live: Live) -> None:
    listed = live.result("listGenerationRequests", {"pageSize": 200}, token=live.sign_in("user-bela"))["requests"]

    assert {request["userId"] for request in listed} == {"user-bela"}


# Projects that require authentication


@pytest.mark.parametrize("function", CLOSED)
def test_other_projects_refuse_anonymous_calls(closed: Live, function: str) -> None:
    before = wallet_and_ledger(closed)

    assert closed.refusal(function, CALLS[function]) == UNAUTHENTICATED
    assert wallet_and_ledger(closed) == before


def test_other_projects_serve_signed_in_users_for_their_own_data(closed: Live) -> None:
    newcomer, token = closed.sign_up()

    assert closed.result("getUserCredits", {}, token=closed.sign_in("user-10"))["currentCredits"] == 10
    assert closed.refusal("getUserCredits", {"userId": "user-10"}, token=closed.sign_in(SEEDED)) == PERMISSION_DENIED
    assert closed.refusal("getUserCredits", {}, token=token) == (404, "NOT_FOUND", "USER_NOT_FOUND")
    assert closed.result("registerUser", {}, token=token)["userId"] == newcomer


def test_app_check_is_not_enforced_in_the_emulators(closed: Live) -> None:
    settings = (closed.suite.project.directory / "functions" / ".env.local").read_text("utf-8")
    assert "ENFORCE_APP_CHECK=true" in settings

    assert closed.result("getCatalog", {}, token=closed.sign_in(SEEDED))["models"]


# Browsers


@pytest.mark.parametrize("function", CALLED)
def test_cors_preflight_is_answered(live: Live, function: str) -> None:
    response = live.send(
        function,
        "OPTIONS",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )

    assert response.ok
    assert response.headers["Access-Control-Allow-Origin"] in {ORIGIN, "*"}
    assert response.headers["Access-Control-Allow-Methods"] == "POST"
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "content-type"} <= {name.strip() for name in allowed.split(",")}


@pytest.mark.parametrize(
    ("http_status", "body", "authorization"),
    [
        (200, {"data": {"userId": "user-100"}}, None),
        (400, {"data": {}}, None),
        (400, {}, None),
        (401, {"data": {"userId": "user-100"}}, "Bearer garbage"),
        (404, {"data": {"userId": "user-nobody"}}, None),
    ],
)
def test_every_answer_has_a_cors_header(
    live: Live, http_status: int, body: dict[str, object], authorization: str | None
) -> None:
    headers = {"Origin": ORIGIN, **({"Authorization": authorization} if authorization else {})}

    response = live.send("getUserCredits", json=body, headers=headers)

    assert response.status_code == http_status
    assert response.headers["Access-Control-Allow-Origin"] in {ORIGIN, "*"}

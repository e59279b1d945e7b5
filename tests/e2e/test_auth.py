"""Who may call for whom: open in the local demo project but for what a token says, closed in every other one.

The Auth emulator does not sign its tokens, and the Admin SDK asks for no signature under it: anything that a token says
can be forged here. What a deployed function makes of signatures is in ``tests/unit/test_tokens.py``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from imagegen.api.auth import Access
from tests.support.access import ALLOWED, Who
from tests.support.live import Live, order, refusal, until
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
OF_OWNERS = [name for name, operation in FUNCTIONS.items() if operation.access in (Access.OWNER, Access.OWNER_OR_ADMIN)]
NAMING_OWNERS = [name for name in OF_OWNERS if FUNCTIONS[name].names_owner]

CLOSED = scaled(["createGenerationRequest", "getUserCredits", "grantCredits"], list(CALLS))
"""The functions that are called in the closed project: each costs a cold start there."""

CALLS["runWeeklyReport"] = {"week": str(QUIET_WEEK)}

MALFORMED = {
    "garbage": "Bearer garbage",
    "nothing": "Bearer ",
    "another scheme": "Basic dXNlci0xMDA6aW1hZ2VnZW4=",
    "three parts of garbage": "Bearer a.b.c",
    "a list of claims": f"Bearer {unsigned([SEEDED])}",
    "claims that are no JSON": f"Bearer {encoded(b'{}')}.{encoded(b'{user-100')}.",
    "no claims": f"Bearer {unsigned({})}",
}

FORGED: dict[str, dict[str, object]] = {
    "of another project": {"aud": "demo-other", "iss": "https://securetoken.google.com/demo-other"},
    "for another audience": {"aud": "demo-other"},
    "of another issuer": {"iss": "https://accounts.example.com"},
    "of nobody": {"sub": ""},
    "of nobody at all": {"sub": None},
    "of a number": {"sub": 100},
    "of a user who does not exist": {"sub": "user-nobody"},
    "expired": {"exp": 1_700_000_000},
    "without an end": {"exp": None},
    "with an end that is no time": {"exp": "never"},
    "without a beginning": {"iat": None},
    "with a beginning that is no time": {"iat": "always"},
    "from before the account": {"iat": 1_500_000_000},
}


def _tried(flaws: Mapping[str, T], function: str) -> dict[str, T]:
    """Return all flaws in `.ci/run`; in `make test` one, which differs from function to function."""
    names = list(flaws)
    return {name: flaws[name] for name in scaled([names[list(CALLS).index(function) % len(names)]], names)}


def books(live: Live, user_id: str = SEEDED) -> object:
    """Everything that a call in the user's name could change."""
    return live.user(user_id), live.ledger(user_id)


# Tokens


@pytest.mark.parametrize("function", CALLS)
def test_a_token_that_is_presented_is_checked_even_where_none_is_needed(live: Live, function: str) -> None:
    before = books(live)

    for flaw, authorization in _tried(MALFORMED, function).items():
        response = live.send(function, json={"data": CALLS[function]}, headers={"Authorization": authorization})
        assert refusal(response) == UNAUTHENTICATED, flaw

    assert books(live) == before


@pytest.mark.parametrize("function", CALLS)
def test_no_function_believes_a_forged_token(live: Live, function: str) -> None:
    honest, before = live.sign_in(SEEDED), books(live)

    for flaw, claims in _tried(FORGED, function).items():
        assert live.refusal(function, CALLS[function], token=altered(honest, **claims)) == UNAUTHENTICATED, flaw

    assert books(live) == before


def test_without_its_flaw_a_forged_token_would_have_been_accepted(live: Live) -> None:
    assert live.result("getUserCredits", {}, token=altered(live.sign_in(SEEDED)))


ENDS: dict[str, Callable[[Live, str], object]] = {
    "revoked": lambda live, user: live.accounts.revoke_refresh_tokens(user),
    "disabled": lambda live, user: live.accounts.update_user(user, disabled=True),
    "deleted": lambda live, user: live.accounts.delete_user(user),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_token_ends_with_what_it_stands_for(live: Live, end: str) -> None:
    user, token = live.sign_up()
    live.result("registerUser", {}, token=token)
    issued = claims_of(token)["iat"]
    until(lambda: datetime.now(UTC).timestamp() > issued + 1, seconds=5)  # tokens are revoked to the second
    before = live.ledger(user)

    ENDS[end](live, user)

    for function, data in CALLS.items():
        own = {**data, "userId": user} if "userId" in data else data
        assert live.refusal(function, own, token=token) == UNAUTHENTICATED, function
    assert live.ledger(user) == before


def test_after_revoking_a_new_token_is_as_good_as_ever(live: Live) -> None:
    user, _ = live.sign_up()
    live.accounts.revoke_refresh_tokens(user)

    assert live.result("registerUser", {}, token=live.sign_in(user))["userId"] == user


def test_a_token_of_another_project_opens_nothing(live: Live, closed: Live) -> None:
    token = live.sign_in(SEEDED)

    for function in CLOSED:
        assert closed.refusal(function, CALLS[function], token=token) == UNAUTHENTICATED, function


# Who may call


@dataclass(frozen=True)
class Owned:
    """A user, the ids of what the user owns by the fields that take them, and a token of each kind of caller."""

    user_id: str
    ids: dict[str, str]
    tokens: dict[Who, str | None]

    def data(self, function: str, **fields: object) -> dict[str, object]:
        """Return the example of a call, about what the user owns."""
        example = CALLS[function]
        return {**example, **{name: id for name, id in self.ids.items() if name in example}, **fields}


@pytest.fixture(scope="module")
def owned(live: Live) -> Iterator[Owned]:
    user, unverified = live.sign_up()
    live.accounts.update_user(user, email_verified=True)
    owner, stranger, admin = (live.sign_in(id) for id in (user, "user-10", "user-admin"))
    live.result("registerUser", {}, token=owner)
    grant = {"userId": user, "credits": 100, "bucket": "paid", "reason": "tests", "idempotencyKey": "tests"}
    live.result("grantCredits", grant, token=admin)
    live.result("getWebhookSecret", {}, token=owner)  # the first delivery would make it, in the background
    with receiving(Receiver()) as receiver:
        live.result("createGenerationRequest", order(user, webhookUrl=receiver.url()), token=owner)
        [delivery] = live.result("listWebhookDeliveries", {}, token=owner)["deliveries"]
        yield Owned(
            user,
            {"userId": user, **{name: delivery[name] for name in ("generationRequestId", "deliveryId")}},
            {Who.NOBODY: None, Who.OWNER: owner, Who.UNVERIFIED: unverified, Who.STRANGER: stranger, Who.ADMIN: admin},
        )


@pytest.mark.parametrize("who", Who)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_serves_whom_its_access_allows_and_nobody_else(
    live: Live, owned: Owned, function: str, who: Who
) -> None:
    operation, before = FUNCTIONS[function], books(live, owned.user_id)

    response = live.call(function, owned.data(function), token=owned.tokens[who])

    is_allowed = who in ALLOWED[operation.access]
    if is_allowed and not (operation.spends and who is Who.UNVERIFIED):
        # A precondition is looked at after the caller: the request that is canceled here has ended.
        assert response.ok or refusal(response)[1] == "FAILED_PRECONDITION", response.text
        return
    if is_allowed:
        assert refusal(response) == NOT_VERIFIED
    elif operation.names_owner or operation.access is Access.ADMIN:
        assert refusal(response) == PERMISSION_DENIED
    else:
        assert response.status_code == 404
    assert refusal(response)[2] in {error.reason for error in operation.errors}
    assert books(live, owned.user_id) == before


@pytest.mark.parametrize("function", [name for name in OF_OWNERS if not FUNCTIONS[name].names_owner])
def test_what_belongs_to_others_is_answered_as_if_it_did_not_exist(live: Live, owned: Owned, function: str) -> None:
    token, data = owned.tokens[Who.STRANGER], owned.data(function)
    missing = dict.fromkeys(owned.ids.keys() & data.keys(), "nothing")

    text = live.call(function, data, token=token).text

    for name in missing:
        text = text.replace(owned.ids[name], "nothing")
    assert text == live.call(function, {**data, **missing}, token=token).text


@pytest.mark.parametrize("function", NAMING_OWNERS)
def test_who_names_nobody_means_themselves(live: Live, owned: Owned, function: str) -> None:
    token, data = owned.tokens[Who.OWNER], owned.data(function)
    nobody_named = {name: value for name, value in data.items() if name != "userId"}

    said = live.result(function, nobody_named, token=token)

    if FUNCTIONS[function].spends:
        assert live.request(said["generationRequestId"])["userId"] == owned.user_id
    else:
        assert said == live.result(function, data, token=token)


@pytest.mark.parametrize("function", NAMING_OWNERS)
def test_who_is_not_signed_in_has_to_name_somebody(live: Live, function: str) -> None:
    nobody_named = {name: value for name, value in CALLS[function].items() if name != "userId"}

    response = live.call(function, nobody_named)

    assert refusal(response) == (400, "INVALID_ARGUMENT", "INVALID_INPUT")
    assert response.json()["error"]["details"]["violations"] == [{"field": "userId", "message": "is required"}]


@pytest.mark.parametrize("function", NAMING_OWNERS)
def test_a_stranger_does_not_learn_whether_there_is_a_user(live: Live, owned: Owned, function: str) -> None:
    data = owned.data(function, userId="user-nobody")

    assert live.refusal(function, data, token=owned.tokens[Who.STRANGER]) == PERMISSION_DENIED


@pytest.mark.parametrize(
    "function", [name for name in NAMING_OWNERS if FUNCTIONS[name].access is Access.OWNER_OR_ADMIN]
)
def test_an_admin_sees_what_the_owner_sees(live: Live, owned: Owned, function: str) -> None:
    data = owned.data(function)

    seen = [live.result(function, data, token=owned.tokens[who]) for who in (Who.ADMIN, Who.OWNER)]

    assert seen[0] == seen[1]


def test_the_requests_of_others_are_not_in_ones_list(live: Live) -> None:
    listed = live.result("listGenerationRequests", {"pageSize": 200}, token=live.sign_in("user-bela"))["requests"]

    assert {request["userId"] for request in listed} == {"user-bela"}


# Where signing in is required


@pytest.mark.parametrize("function", CLOSED)
def test_other_projects_are_closed_by_default(closed: Live, function: str) -> None:
    before = books(closed)

    assert closed.refusal(function, CALLS[function]) == UNAUTHENTICATED
    assert books(closed) == before


def test_other_projects_are_open_to_signed_in_users_for_themselves(closed: Live) -> None:
    newcomer, token = closed.sign_up()

    assert closed.result("getUserCredits", {}, token=closed.sign_in("user-10"))["currentCredits"] == 10
    assert closed.refusal("getUserCredits", {"userId": "user-10"}, token=closed.sign_in(SEEDED)) == PERMISSION_DENIED
    assert closed.refusal("getUserCredits", {}, token=token) == (404, "NOT_FOUND", "USER_NOT_FOUND")
    assert closed.result("registerUser", {}, token=token)["userId"] == newcomer


def test_app_check_does_not_close_the_emulators(closed: Live) -> None:
    settings = (closed.suite.project.directory / "functions" / ".env.local").read_text("utf-8")
    assert "ENFORCE_APP_CHECK=true" in settings

    assert closed.result("getCatalog", {}, token=closed.sign_in(SEEDED))["models"]


# Browsers


@pytest.mark.parametrize("function", CALLS)
def test_a_browser_may_ask_whether_it_may_call(live: Live, function: str) -> None:
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
def test_a_browser_may_read_every_answer(
    live: Live, http_status: int, body: dict[str, object], authorization: str | None
) -> None:
    headers = {"Origin": ORIGIN, **({"Authorization": authorization} if authorization else {})}

    response = live.send("getUserCredits", json=body, headers=headers)

    assert response.status_code == http_status
    assert response.headers["Access-Control-Allow-Origin"] in {ORIGIN, "*"}

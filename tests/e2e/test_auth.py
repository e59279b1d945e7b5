"""Who may call for whom: open in the local demo project but for what a token says, closed in every other one.

The Auth emulator does not sign its tokens, and the Admin SDK asks for no signature under it: anything that a token says
can be forged here. What a deployed function makes of signatures is in ``tests/unit/test_tokens.py``.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.support.api import CALLABLES
from tests.support.live import Live, order, refusal, until
from tests.support.tokens import altered, claims_of, encoded, unsigned

ORIGIN = "https://app.example.com"
UNAUTHENTICATED = (401, "UNAUTHENTICATED", "UNAUTHENTICATED")
PERMISSION_DENIED = (403, "PERMISSION_DENIED", "PERMISSION_DENIED")

OWNER = "user-100"
CALLS: dict[str, dict[str, object]] = {
    "createGenerationRequest": order(OWNER),
    "getUserCredits": {"userId": OWNER},
    "getGenerationRequest": {"generationRequestId": "nothing"},
    "cancelGenerationRequest": {"generationRequestId": "nothing"},
    "listGenerationRequests": {"userId": OWNER},
    "getWebhookSecret": {"userId": OWNER},
    "listWebhookDeliveries": {"userId": OWNER},
    "resendWebhook": {"deliveryId": "nothing"},
    "getCatalog": {},
    "getCreditBalance": {"userId": OWNER},
    "registerUser": {"userId": OWNER},
    "grantCredits": {"userId": OWNER, "credits": 5, "bucket": "paid", "reason": "a gift", "idempotencyKey": "forged"},
    "getWeeklyReport": {"week": "2026-W45"},
    "listWeeklyReports": {},
    "runWeeklyReport": {"week": "2026-W45"},
}
READING = ["getUserCredits", "listGenerationRequests", "getCreditBalance", "listWebhookDeliveries"]
FOR_OWNERS = ["createGenerationRequest", "registerUser", "getWebhookSecret"]
OF_ONESELF = [*READING, *FOR_OWNERS]

MALFORMED = {
    "garbage": "Bearer garbage",
    "nothing": "Bearer ",
    "another scheme": "Basic dXNlci0xMDA6aW1hZ2VnZW4=",
    "three parts of garbage": "Bearer a.b.c",
    "a list of claims": f"Bearer {unsigned([OWNER])}",
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


def books(live: Live) -> object:
    """Everything that a call in the owner's name could change."""
    return live.user(OWNER), live.ledger(OWNER)


def test_every_function_is_called_here() -> None:
    assert sorted(CALLS) == sorted(CALLABLES)
    assert set(OF_ONESELF) == {name for name, data in CALLS.items() if "userId" in data} - {"grantCredits"}


# Tokens


@pytest.mark.parametrize("function", CALLS)
def test_a_token_that_is_presented_is_checked_even_where_none_is_needed(live: Live, function: str) -> None:
    before = books(live)

    for flaw, authorization in MALFORMED.items():
        response = live.send(function, json={"data": CALLS[function]}, headers={"Authorization": authorization})
        assert refusal(response) == UNAUTHENTICATED, flaw

    assert books(live) == before


@pytest.mark.parametrize("function", CALLS)
def test_no_function_believes_a_forged_token(live: Live, function: str) -> None:
    honest, before = live.sign_in(OWNER), books(live)

    for flaw, claims in FORGED.items():
        assert live.refusal(function, CALLS[function], token=altered(honest, **claims)) == UNAUTHENTICATED, flaw

    assert books(live) == before


def test_without_its_flaw_a_forged_token_would_have_been_accepted(live: Live) -> None:
    assert live.result("getUserCredits", {}, token=altered(live.sign_in(OWNER)))


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
    token = live.sign_in(OWNER)

    for function, data in CALLS.items():
        assert closed.refusal(function, data, token=token) == UNAUTHENTICATED, function


# Oneself, others and admins


@pytest.mark.parametrize("function", OF_ONESELF)
def test_who_names_nobody_means_themselves(live: Live, function: str) -> None:
    token = live.sign_in(OWNER)
    nobody_named = {name: value for name, value in CALLS[function].items() if name != "userId"}

    said = live.result(function, nobody_named, token=token)

    if function == "createGenerationRequest":
        assert live.request(said["generationRequestId"])["userId"] == OWNER
    else:
        assert said == live.result(function, CALLS[function], token=token)


@pytest.mark.parametrize("function", OF_ONESELF)
def test_who_is_not_signed_in_has_to_name_somebody(live: Live, function: str) -> None:
    nobody_named = {name: value for name, value in CALLS[function].items() if name != "userId"}

    response = live.call(function, nobody_named)

    assert refusal(response) == (400, "INVALID_ARGUMENT", "INVALID_INPUT")
    assert response.json()["error"]["details"]["violations"] == [{"field": "userId", "message": "is required"}]


@pytest.mark.parametrize("somebody", [OWNER, "user-nobody"])
@pytest.mark.parametrize("function", OF_ONESELF)
def test_a_signed_in_user_acts_for_nobody_else(live: Live, function: str, somebody: str) -> None:
    before = books(live)

    denied = live.refusal(function, {**CALLS[function], "userId": somebody}, token=live.sign_in("user-10"))

    assert denied == PERMISSION_DENIED
    assert books(live) == before


@pytest.mark.parametrize("function", READING)
def test_an_admin_reads_for_everybody(live: Live, function: str) -> None:
    data = {"userId": "user-ada"}

    seen = live.result(function, data, token=live.sign_in("user-admin"))

    assert seen == live.result(function, data, token=live.sign_in("user-ada"))


@pytest.mark.parametrize("function", FOR_OWNERS)
def test_an_admin_spends_registers_and_signs_for_nobody(live: Live, function: str) -> None:
    before = books(live)

    assert live.refusal(function, CALLS[function], token=live.sign_in("user-admin")) == PERMISSION_DENIED
    assert books(live) == before


def test_a_request_is_seen_by_its_owner_and_by_admins_and_does_not_exist_for_others(live: Live) -> None:
    owner, other, admin = (live.sign_in(user) for user in (OWNER, "user-10", "user-admin"))
    made = live.result("createGenerationRequest", order(OWNER), token=owner)["generationRequestId"]

    def seen(request_id: str, token: str) -> tuple[int, str]:
        response = live.call("getGenerationRequest", {"generationRequestId": request_id}, token=token)
        return response.status_code, response.text.replace(request_id, "ID")

    assert seen(made, owner) == seen(made, admin)
    assert seen(made, owner)[0] == 200
    assert seen(made, other) == seen("nothing", other)
    assert seen(made, other)[0] == 404


def test_the_requests_of_others_are_not_in_ones_list(live: Live) -> None:
    listed = live.result("listGenerationRequests", {"pageSize": 200}, token=live.sign_in("user-bela"))["requests"]

    assert {request["userId"] for request in listed} == {"user-bela"}


# Where signing in is required


@pytest.mark.parametrize("function", CALLS)
def test_other_projects_are_closed_by_default(closed: Live, function: str) -> None:
    before = books(closed)

    assert closed.refusal(function, CALLS[function]) == UNAUTHENTICATED
    assert books(closed) == before


def test_other_projects_are_open_to_signed_in_users_for_themselves(closed: Live) -> None:
    newcomer, token = closed.sign_up()

    assert closed.result("getUserCredits", {}, token=closed.sign_in("user-10"))["currentCredits"] == 10
    assert closed.refusal("getUserCredits", {"userId": "user-10"}, token=closed.sign_in(OWNER)) == PERMISSION_DENIED
    assert closed.refusal("getUserCredits", {}, token=token) == (404, "NOT_FOUND", "USER_NOT_FOUND")
    assert closed.result("registerUser", {}, token=token)["userId"] == newcomer


def test_app_check_does_not_close_the_emulators(closed: Live) -> None:
    settings = (closed.suite.project.directory / "functions" / ".env.local").read_text("utf-8")
    assert "ENFORCE_APP_CHECK=true" in settings

    assert closed.result("getCatalog", {}, token=closed.sign_in(OWNER))["models"]


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

"""Who may call for whom: open in the local demo project but for what a token says, closed in every other one.

The Auth emulator neither signs its tokens nor lets them expire, and the Admin SDK checks neither under it: what can be
forged here is everything else.
"""

import base64
import json
from collections.abc import Iterator

import pytest
import requests

from tests.support.live import Live, operator_of, order
from tools.suite import Suite, workspace

ORIGIN = "https://app.example.com"

CALLS: dict[str, dict[str, object]] = {
    "createGenerationRequest": order("user-100"),
    "getUserCredits": {"userId": "user-100"},
}


def forged(**claims: object) -> str:
    """An unsigned token for user-100, as the Auth emulator would issue it but for ``claims``."""
    honest = {
        "iss": "https://securetoken.google.com/demo-imagegen",
        "aud": "demo-imagegen",
        "sub": "user-100",
        "user_id": "user-100",
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
    }
    parts = [{"alg": "none", "typ": "JWT"}, {**honest, **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, ""])


REFUSED = {
    "garbage": "Bearer garbage",
    "nothing": "Bearer ",
    "another scheme": "Basic dXNlci0xMDA6aW1hZ2VnZW4=",
    "three parts of garbage": "Bearer a.b.c",
    "of another project": f"Bearer {forged(aud='demo-other', iss='https://securetoken.google.com/demo-other')}",
    "of another issuer": f"Bearer {forged(iss='https://accounts.example.com')}",
    "of nobody": f"Bearer {forged(sub='')}",
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The same suite in a project that has no settings file of its own."""
    directory = workspace(tmp_path_factory.mktemp("closed") / "project")
    (directory / ".firebaserc").unlink()
    (directory / ".firebaserc").write_text('{"projects": {"default": "demo-closed"}}')
    with Suite(directory, "--only", "auth,functions,firestore") as suite, operator_of(suite) as operator:
        yield Live(suite, operator)


def error(response: requests.Response) -> tuple[int, str, str]:
    """The HTTP status, the callable protocol's status, and our reason."""
    body = response.json()["error"]
    assert body["message"]
    return response.status_code, body["status"], body["details"]["reason"]


@pytest.mark.parametrize("function", CALLS)
@pytest.mark.parametrize("authorization", REFUSED.values(), ids=REFUSED)
def test_a_token_that_is_presented_is_checked_even_where_none_is_needed(
    live: Live, function: str, authorization: str
) -> None:
    before = live.credits("user-100")

    response = live.send(function, json={"data": CALLS[function]}, headers={"Authorization": authorization})

    assert error(response) == (401, "UNAUTHENTICATED", "UNAUTHENTICATED")
    assert live.credits("user-100") == before


def test_without_its_flaw_the_forged_token_would_have_been_accepted(live: Live) -> None:
    assert live.call("getUserCredits", CALLS["getUserCredits"], token=forged()).status_code == 200


@pytest.mark.parametrize("function", CALLS)
def test_a_signed_in_user_acts_for_themselves(live: Live, function: str) -> None:
    response = live.call(function, CALLS[function], token=live.sign_in("user-100"))

    assert response.status_code == 200, response.text


@pytest.mark.parametrize("somebody", ["user-100", "user-nobody"])
@pytest.mark.parametrize("function", CALLS)
def test_a_signed_in_user_acts_for_nobody_else(live: Live, function: str, somebody: str) -> None:
    before = live.credits("user-100")

    response = live.call(function, {**CALLS[function], "userId": somebody}, token=live.sign_in("user-10"))

    assert error(response) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")
    assert live.credits("user-100") == before


def test_a_browser_may_ask_whether_it_may_call(live: Live) -> None:
    response = live.send(
        "createGenerationRequest",
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


@pytest.mark.parametrize("function", CALLS)
def test_other_projects_are_closed_by_default(closed: Live, function: str) -> None:
    response = closed.call(function, CALLS[function])

    assert error(response) == (401, "UNAUTHENTICATED", "UNAUTHENTICATED")
    assert closed.ledger("user-100")[1:] == []


def test_other_projects_are_open_to_signed_in_users_for_themselves(closed: Live) -> None:
    own = closed.call("getUserCredits", {"userId": "user-10"}, token=closed.sign_in("user-10"))
    others = closed.call("getUserCredits", {"userId": "user-10"}, token=closed.sign_in("user-100"))
    newcomer, token = closed.sign_up()
    unregistered = closed.call("getUserCredits", {"userId": newcomer}, token=token)

    assert own.json()["result"]["currentCredits"] == 10
    assert error(others) == (403, "PERMISSION_DENIED", "PERMISSION_DENIED")
    assert error(unregistered) == (404, "NOT_FOUND", "USER_NOT_FOUND")


def test_a_token_of_another_project_opens_nothing(live: Live, closed: Live) -> None:
    response = closed.call("getUserCredits", CALLS["getUserCredits"], token=live.sign_in("user-100"))

    assert error(response) == (401, "UNAUTHENTICATED", "UNAUTHENTICATED")

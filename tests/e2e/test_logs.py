"""Tests that the log of the whole suite contains no tokens, private text or e-mail addresses."""

import re

import pytest

from tests.support.api import CALLABLES
from tests.support.live import Live, order
from tests.support.scale import scaled
from tests.support.tokens import altered, encoded, unsigned
from tools.seed import export

PROMPT = 'Grace\'s zebra\nunder a "Quokkas" sign'
ADDRESS = "4712 Quagga Road"
PHOTO = "https://photos.example.com/okapi.jpg"
REASON = "because of the kudu"
NAME = "Grace Hartebeest"
WORDS = ("zebra", "Quokkas", "Quagga", "okapi", "kudu", "Hartebeest")


@pytest.fixture(scope="module")
def tokens(live: Live) -> list[str]:
    """Make calls of every kind with valid and invalid tokens. Return the tokens."""
    newcomer, _ = live.sign_up()
    live.accounts.update_user(newcomer, display_name=NAME, email_verified=True)
    own, admin = live.sign_in(newcomer), live.sign_in("user-admin")
    params = order(newcomer, prompt=PROMPT, idempotencyKey="a key")
    grant = {"userId": newcomer, "credits": 1, "bucket": "paid", "reason": REASON, "idempotencyKey": newcomer}
    for function, data, token in [
        ("registerUser", {}, own),
        ("createGenerationRequest", params, own),
        ("createGenerationRequest", {**params, "input": {"type": "photo", "photoUrl": PHOTO}}, own),
        ("createGenerationRequest", order(newcomer, prompt=PROMPT, input={"type": "address", "address": ADDRESS}), own),
        ("createGenerationRequest", order(newcomer, prompt=PROMPT, model="Model Broken"), own),
        ("createGenerationRequest", order("user-100", prompt=PROMPT), own),
        ("createGenerationRequest", order(export.email("user-100"), prompt=PROMPT), None),
        ("createGenerationRequest", order(newcomer, prompt=[PROMPT], input={"type": ADDRESS}), own),
        ("listGenerationRequests", {}, own),
        ("getUserCredits", {"userId": export.email("user-100")}, admin),
        ("getUserCredits", {"prompt": PROMPT}, own),
        ("grantCredits", grant, admin),
        ("grantCredits", grant, own),
    ]:
        live.call(function, data, token=token)

    crashing = live.operator.document(f"users/{newcomer}")
    balance = live.user(newcomer)["credits"]["paid"]
    crashing.update({"credits.paid": f"{PROMPT} of {export.email(newcomer)}"})
    assert live.call("createGenerationRequest", params | {"idempotencyKey": "b"}, token=own).status_code == 500
    crashing.update({"credits.paid": balance})

    expired = altered(own, exp=1)
    head, payload, _ = own.split(".")
    invalid = [
        expired,
        altered(own, aud="somebody@example.com"),
        altered(own, sub="user-nobody"),
        own.rpartition(".")[0],
        f"{own}.",
        f"{head}.{payload}.{payload}",
        f"{head}.{payload[:-7]}.",
        f"{payload}.{head}.",
        f"{head}.{encoded(PROMPT.encode())}.",
        unsigned([NAME]),
        f"{NAME}",
        f"Bearer {own[:-9]}",
    ]
    for function in scaled(CALLABLES[:2], CALLABLES):
        for token in invalid:
            live.call(function, {}, token=token)
    for header in ({"Authorization": own}, {"Authorization": f"bearer {own}"}, {"X-Firebase-AppCheck": own}):
        live.send("getCatalog", json={"data": {}}, headers=header)
    live.send("createGenerationRequest", json={"data": params, "prompt": PROMPT}, headers={"Authorization": own})
    live.send("createGenerationRequest", data=PROMPT.encode(), headers={"Content-Type": "application/json"})
    return [own, admin, *invalid]


def test_crash_is_logged(live: Live, tokens: list[str]) -> None:
    assert tokens
    logged = live.log()
    assert '"event": "CALL_FAILED"' in logged
    assert "Traceback" in logged


def test_tokens_are_not_logged(live: Live, tokens: list[str]) -> None:
    logged = live.log()
    parts = {part for token in tokens for part in token.split(".") if len(part) > 20}
    assert [part for part in parts if part in logged] == []
    assert re.findall(r"eyJ[\w-]{5,}", logged) == []


def test_private_text_is_not_logged(live: Live, tokens: list[str]) -> None:
    assert tokens
    logged = live.log()
    assert [word for word in WORDS if word in logged] == []


def test_email_addresses_are_not_logged(live: Live, tokens: list[str]) -> None:
    assert tokens
    # The Auth emulator prints the mails that it does not send. A browser test asks for one.
    logged = re.sub(r"To verify the email address \S+, follow this link", "", live.log())
    assert re.findall(r"[\w.+-]*@example\.com", logged) == []

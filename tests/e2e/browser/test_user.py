"""Tests of the user's views of the console."""

import json
import os
import re
import subprocess
import uuid
from datetime import datetime

from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.browser.conftest import Visit
from tests.support.browser import PASSWORD, ZONE, Visitor, person
from tests.support.live import Live
from tests.support.models import BROKEN, LATE
from tests.support.scale import only_full

PAGE_SIZE = 20


def make(page: Page, model: str, prompt: str) -> None:
    """Make the smallest picture in the playground."""
    page.get_by_label("Model").select_option(model)
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_role("button", name="Make it for 1 credit").click()


def sign_up(visitor: Visitor) -> None:
    visitor.open("/sign-in")
    visitor.page.get_by_role("textbox", name="E-mail address").fill(f"{uuid.uuid4().hex}@example.com")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Create an account").click()


def balance_of(page: Page) -> Locator:
    """Return the balance in the header."""
    return page.get_by_role("banner").get_by_role("link", name=re.compile("^[0-9,]+ credits?$"))


@only_full
def test_console_opens_after_the_account_of_a_new_user(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    held: list[Route] = []
    page.route("**/registerUser", lambda route: held.append(route))  # noqa: PLW0108 - Playwright sets an attribute of it
    with page.expect_request("**/registerUser"):
        sign_up(visitor)
    expect(page.get_by_role("button", name="Create an account")).to_be_disabled()
    held[0].continue_()
    expect(balance_of(page)).to_be_visible()


@only_full
def test_trial_credits_can_be_asked_for_again_if_the_call_after_the_verification_fails(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    sign_up(visitor)
    expect(balance_of(page)).to_be_visible()

    error = {"status": "UNAVAILABLE", "message": "Firestore is down.", "details": {"reason": "SERVICE_UNAVAILABLE"}}
    headers = {"Access-Control-Allow-Origin": "*"}
    page.route("**/registerUser", lambda route: route.fulfill(json={"error": error}, headers=headers), times=1)
    page.get_by_role("button", name="Verify it now (emulator)").click()
    expect(page.get_by_role("alert")).to_contain_text("Firestore is down.")
    expect(page.get_by_label("E-mail verification")).not_to_be_visible()

    with page.expect_response("**/registerUser") as answered:
        page.get_by_role("button", name="Try again").click()
    assert answered.value.json()["result"]["totalAvailable"] == 10
    expect(page.get_by_role("alert")).not_to_be_visible()


def test_user_signs_up_and_makes_pictures(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    sign_up(visitor)
    page.get_by_role("button", name="Verify it now (emulator)").click()
    balance = balance_of(page)
    expect(balance).to_have_text("10 credits")

    # The listener tells of the completion: the page does not ask.
    make(page, "Model A", "it's a lighthouse")
    expect(page.get_by_role("img", name="Picture of: it's a lighthouse")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="completed")).to_contain_text("1 credit paid.")
    expect(balance).to_have_text("9 credits")
    assert "getGenerationRequest" not in visitor.calls
    visitor.look("playground")

    page.get_by_role("tab", name="The call").click()
    shown = page.get_by_label("The call in curl").inner_text()
    page.get_by_role("button", name="Copy an ID token").click()
    expect(page.get_by_text("The token lasts an hour")).to_be_visible()
    visitor.look("playground-call")
    token = page.evaluate("navigator.clipboard.readText()")
    run = subprocess.run(
        ["bash", "-c", shown], env={**os.environ, "ID_TOKEN": token}, check=True, capture_output=True, text=True
    )
    assert json.loads(run.stdout)["result"]["replayed"] is True
    page.get_by_role("tab", name="Picture").click()

    make(page, BROKEN, "a wreck")
    expect(page.get_by_role("status").filter(has_text="failed")).to_contain_text("1 credit refunded.")
    expect(balance).to_have_text("9 credits")
    visitor.look("playground-failed")

    make(page, LATE, "a snail")
    page.get_by_role("button", name="Cancel and refund").click()
    expect(page.get_by_role("status").filter(has_text="canceled")).to_contain_text("1 credit refunded.")
    expect(balance).to_have_text("9 credits")

    page.get_by_role("link", name="Show the time line").click()
    expect(page.get_by_role("heading", name="Time line")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="1 credit refunded")).to_contain_text("balance 9 credits")


@only_full
def test_errors_say_what_to_do(visit: Visit) -> None:
    visitor = visit()
    visitor.expect_refusal("createGenerationRequest")
    visitor.sign_in_as("No Credits")
    visitor.open("/playground")
    make(visitor.page, "Model A", "a dream")
    alert = visitor.page.get_by_role("alert")
    expect(alert).to_contain_text("INSUFFICIENT_CREDITS")
    alert.get_by_role("link", name="Your credits").click()
    expect(visitor.page.get_by_role("heading", name="Credits")).to_be_visible()


@only_full
def test_user_filters_requests_and_turns_their_pages(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    visitor.sign_in_as("Ada")
    visitor.open("/requests")
    rows = page.get_by_role("table", name="Requests").locator("tbody").get_by_role("row")
    expect(rows).to_have_count(PAGE_SIZE)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(2 * PAGE_SIZE)

    page.get_by_label("Status").select_option("failed")
    expect(rows.filter(has_text="failed")).to_have_count(PAGE_SIZE)
    assert all("failed" in text for text in rows.all_inner_texts())
    rows.first.get_by_role("link").click()
    refund = page.get_by_role("listitem").filter(has_text="refunded")
    expect(refund).to_be_visible()
    shown = refund.locator("time")
    at = datetime.fromisoformat(shown.get_attribute("datetime") or "")
    assert shown.get_attribute("title") == f"{at:%Y-%m-%d %H:%M:%S} UTC"
    assert f"{at.astimezone(ZONE):%H:%M:%S}" in shown.inner_text()


@only_full
def test_secrets_are_shown_once(visit: Visit, live: Live) -> None:
    visitor = visit()
    page = visitor.page
    visitor.sign_in(person(live))
    visitor.open("/webhooks")
    page.get_by_label("URL of a new endpoint").fill("https://hooks.example.com/images")
    page.get_by_role("button", name="Create the endpoint").click()
    expect(page.get_by_text("whsec_")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="https://hooks.example.com/images")).to_be_visible()
    visitor.look("webhooks-created")

    visitor.open("/api-keys")
    page.get_by_label("Name of a new key").fill("shop server")
    page.get_by_role("button", name="Create the key").click()
    key = page.get_by_role("region", name="The key")
    expect(key).to_be_visible()
    visitor.look("api-keys-created")
    secret = key.locator("code").inner_text()
    assert live.call("getCatalog", {}, token=secret).status_code == 200
    for view, listed in {"/webhooks": "https://hooks.example.com/images", "/api-keys": "shop server"}.items():
        visitor.open(view)
        expect(page.get_by_text(listed, exact=True)).to_be_visible()
        expect(page.get_by_text("It is shown only once.")).not_to_be_visible()

    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No API keys yet.")).to_be_visible()
    assert live.refusal("getCatalog", {}, token=secret)[2] == "UNAUTHENTICATED"


@only_full
def test_lost_connection_is_tried_again(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    visitor.expect_refusal("listApiKeys")
    visitor.sign_in_as("No Credits")
    page.route("**/listApiKeys", lambda route: route.abort(), times=1)
    visitor.open("/api-keys")
    expect(page.get_by_text("No API keys yet.")).to_be_visible()

    visitor.open("/credits")
    page.route("**/listApiKeys", lambda route: route.abort(), times=2)
    visitor.open("/api-keys")
    expect(page.get_by_role("alert")).to_contain_text("OFFLINE")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("No API keys yet.")).to_be_visible()

"""Tests that buy credits in the console, through the checkout page of the emulator of Stripe."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.browser.conftest import Visit
from tests.support.browser import person
from tests.support.buying import delivered_webhooks, press_button
from tests.support.live import Live
from tests.support.scale import only_full


@pytest.fixture(autouse=True)
def webhooks(live: Live) -> Iterator[None]:
    with delivered_webhooks(live):
        yield


def buy(page: Page) -> str:
    """Click on the smallest package. Return the id of the checkout session whose page opens."""
    page.get_by_role("button", name="Buy for $5.00").click()
    page.wait_for_url(re.compile("/checkout/"))
    return page.url.rpartition("/")[2]


@only_full
def test_credits_that_are_bought_arrive_without_a_reload(visit: Visit, live: Live) -> None:
    email = person(live)
    watcher, buyer = visit(dark=True), visit(phone=True)
    for visitor, view in ((watcher, "/credits"), (buyer, "/purchases")):
        visitor.sign_in(email)
        visitor.open(view)
    balance = watcher.page.get_by_label("Balance").get_by_text(re.compile(r"^\d+$")).first
    expect(balance).to_have_text("1")

    page = buyer.page
    session_id = buy(page)
    page.get_by_role("link", name="Cancel and return").click()
    expect(page.get_by_role("status").filter(has_text="You have left the checkout.")).to_contain_text("open")
    buyer.look("purchase-canceled")
    page.get_by_label("Your purchase", exact=True).get_by_role("link", name="Continue to pay").click()
    page.get_by_role("button", name="Pay 5.00 USD").click()
    expect(page.get_by_text("Thank you. You have bought 50 credits.")).to_be_visible()
    expect(
        page.get_by_role("table", name="Purchases").get_by_role("row", name="starter paid $5.00 50 0 0")
    ).to_be_visible()
    buyer.look("purchase-paid")

    expect(balance).to_have_text("51")
    history = watcher.page.get_by_role("table", name="Changes of the balance")
    expect(history.get_by_role("row", name="purchase +50 51")).to_be_visible()
    press_button(live, session_id, "refund", amount="250")
    expect(balance).to_have_text("26")
    expect(history.get_by_role("row", name="reversal \u221225 26")).to_be_visible()
    watcher.look("credits-refunded")
    expect(page.get_by_role("row", name="$2.50 refunded 50 25 0")).to_be_visible()

    user_id = live.accounts.get_user_by_email(email).uid
    admin = visit()
    admin.sign_in_as("Admin")
    admin.open(f"/operator/users/{user_id}")
    expect(admin.page.get_by_role("row", name="starter partially refunded $5.00")).to_be_visible()
    admin.look("user-purchases")
    admin.open("/operator/purchases")
    admin.page.get_by_label("Status").select_option("partially_refunded")
    expect(admin.page.get_by_role("row", name=user_id)).to_contain_text("$2.50 refunded")
    admin.look("purchases-of-all")


@only_full
def test_without_payments_nothing_is_on_sale(visit: Visit) -> None:
    def without_packages(route: Route) -> None:
        answer = route.fetch()
        result = {name: value for name, value in answer.json().get("result", {}).items() if name != "packages"}
        route.fulfill(response=answer, json={"result": result})

    visitor = visit()
    visitor.sign_in_as("No Credits")
    visitor.page.route("**/getCatalog", without_packages)
    visitor.open("/purchases")
    expect(visitor.page.get_by_text("No credits are on sale here")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Buy for")).to_have_count(0)


@only_full
def test_purchase_of_somebody_else_is_not_shown(visit: Visit, live: Live) -> None:
    other = live.result("createPurchase", {"userId": live.add_user(), "package": "starter"})
    visitor = visit()
    visitor.expect_refusal("reconcilePurchase")
    visitor.sign_in_as("No Credits")
    visitor.page.goto(f"/?purchaseId={other['purchaseId']}&checkout=success")
    expect(visitor.page.get_by_role("alert")).to_contain_text("PURCHASE_NOT_FOUND")
    expect(visitor.page.get_by_text("No purchases yet.")).to_be_visible()

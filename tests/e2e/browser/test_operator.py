"""Tests of the operator's views of the console, as an admin and as others."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.live import Live
from tools.seed import history

REPORT_MS = 120_000
"""The longest wait for a report of a week with requests."""


@pytest.fixture
def admin(visit: Visit) -> Visitor:
    visitor = visit()
    visitor.sign_in_as("Admin")
    return visitor


def row(page: Page, table: str, name: str) -> Locator:
    return page.get_by_role("table", name=table).get_by_role("row", name=name)


def test_admin_finds_a_user_and_grants_credits_once(admin: Visitor, live: Live) -> None:
    user_id = live.add_user(paid=5)
    page = admin.page
    admin.open("/operator/users")
    page.get_by_role("searchbox").fill(user_id)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Somebody").click()
    expect(page.get_by_role("heading", name="Somebody")).to_be_visible()
    page.get_by_label("Credits", exact=True).fill("7")
    page.get_by_label("Reason").fill("goodwill")
    key = page.get_by_label("Idempotency key").input_value()
    page.get_by_role("button", name="Grant credits").click()
    expect(page.get_by_text("Granted 7 credits. The balance after the grant is 12.")).to_be_visible()
    expect(row(page, "History, newest first", "grant +7 12")).to_be_visible()

    page.get_by_label("Reason").fill("goodwill")
    page.get_by_label("Idempotency key").fill(key)
    page.get_by_role("button", name="Grant credits").click()
    expect(page.get_by_text("Nothing was granted again.")).to_be_visible()
    assert live.credits(user_id) == 12


def test_admin_runs_and_reads_a_report(admin: Visitor) -> None:
    week, page = str(history.weeks()[-1]), admin.page
    admin.open("/operator/reports")
    page.get_by_label("Week, such as").fill(week)
    page.get_by_role("button", name="Run its report").click()
    expect(page.get_by_role("heading", name=f"Week {week}")).to_be_visible(timeout=REPORT_MS)
    spike = history.source("history")["spike"]["user"]
    expect(page.get_by_role("listitem").filter(has_text=f"{spike} (user)")).to_be_visible()
    expect(page.get_by_role("img", name="Outside the expected range")).to_be_visible()
    expect(page.get_by_role("table", name="Requests by day").get_by_role("row")).to_have_count(8)
    expect(page.get_by_text("Balanced: ")).to_be_visible()

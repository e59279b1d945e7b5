"""Tests of the operator's views of the console, as an admin and as a user."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from imagegen.documents.accounts import user_path
from tests.e2e.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.live import Live
from tests.support.models import SWITCHED
from tests.support.scale import only_full
from tools.seed import history

LAST_WEEK = str(history.weeks()[-1])
BURST_WEEK = str(history.weeks()[-3])
"""A week whose report is part of the sample data, with failures of a model as its anomaly."""

FOLLOW_MS = 20_000
"""The playground follows a change of the catalog within ten seconds. On a busy machine, its calls take some more."""

REPORT_MS = 120_000
"""The longest wait for a report of a week with requests."""

VIEWS: dict[str, dict[str, dict[str, Any]]] = {
    "/operator/operations": {"getOperations": {}},
    "/operator/reports": {"listWeeklyReports": {}},
    f"/operator/reports/{LAST_WEEK}": {"getWeeklyReport": {"week": LAST_WEEK}, "runWeeklyReport": {"week": LAST_WEEK}},
    "/operator/audit": {"getAudit": {}},
    "/operator/users": {"findUsers": {}},
    "/operator/users/user-ada": {
        "getCreditBalance": {"userId": "user-ada"},
        "listCreditTransactions": {"userId": "user-ada"},
        "listPurchases": {"userId": "user-ada"},
        "grantCredits": {
            "userId": "user-ada",
            "credits": 1,
            "bucket": "paid",
            "reason": "greed",
            "idempotencyKey": "console",
        },
    },
    "/operator/purchases": {"findPurchases": {"status": "disputed"}},
    "/operator/catalog": {
        "listCatalogOptions": {},
        "updateCatalogOption": {"kind": "model", "id": "model-a", "version": "1", "changes": {"enabled": False}},
    },
}
"""The operator's views, and the calls that each makes."""


@pytest.fixture
def admin(visit: Visit) -> Visitor:
    visitor = visit()
    visitor.sign_in_as("Admin")
    return visitor


def row(page: Page, table: str, name: str) -> Locator:
    return page.get_by_role("table", name=table).get_by_role("row", name=name)


@only_full
def test_admin_finds_a_user_and_grants_credits_once(admin: Visitor, live: Live) -> None:
    user_id = live.add_user(paid=5)
    page = admin.page
    admin.open("/operator/users")
    page.get_by_role("searchbox").fill(user_id)
    page.get_by_role("button", name="Find").click()
    page.locator(f'a[href$="/users/{user_id}"]').click()  # until the answer, the list has others of the same name
    expect(page.get_by_role("heading", name="Somebody")).to_be_visible()
    page.get_by_role("spinbutton", name="Credits").fill("7")
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


@only_full
def test_admin_reads_a_report_and_runs_it_again(admin: Visitor, live: Live) -> None:
    sales = {"currency": "usd", "purchases": 3, "amount": 2_500, "credits": 300, "amountRefunded": 500}
    live.operator.document(f"weeklyReports/{BURST_WEEK}").update({"sales": [{**sales, "amountDisputed": 0}]})
    page = admin.page
    admin.open("/operator/reports")
    page.get_by_role("link", name=BURST_WEEK).click()
    expect(page.get_by_role("heading", name=f"Week {BURST_WEEK}")).to_be_visible()
    burst = history.source("history")["burst"]["model"]
    expect(page.get_by_role("listitem").filter(has_text=f"{burst} (model)")).to_contain_text("high")
    expect(page.get_by_role("img", name="Outside the expected range: no day.")).to_be_visible()
    days = page.get_by_role("table", name="Requests by day").locator("tbody").get_by_role("row")
    expect(days).to_have_count(7)
    expect(page.get_by_text("Balanced: ")).to_be_visible()
    expect(row(page, "Sales by currency", "USD 3 $25.00 300 $5.00 $0.00")).to_be_visible()
    admin.look("report-sales")

    made = page.get_by_text("Made at").inner_text()
    page.get_by_role("button", name="Run it again").click()
    expect(page.get_by_text("Made at")).not_to_have_text(made, timeout=REPORT_MS)
    expect(days).to_have_count(7)
    expect(page.get_by_text("0 credits were sold")).to_be_visible()


@only_full
def test_admin_sees_what_the_audit_found(admin: Visitor, live: Live) -> None:
    account = live.operator.document(user_path(live.add_user(paid=5)))
    account.update({"credits.paid": 6})
    try:
        assert live.send("auditLedgers-0").status_code == 200
    finally:
        account.update({"credits.paid": 5})
    admin.open("/operator/audit")
    expect(row(admin.page, "Findings", "TOTAL")).to_contain_text("all ledgers add up to")
    admin.look("audit-findings")

    assert live.send("auditLedgers-0").status_code == 200
    admin.page.reload()
    expect(admin.page.get_by_text("Nothing is wrong.")).to_be_visible()


@only_full
def test_playground_follows_a_model_that_is_turned_off_and_on(admin: Visitor, visit: Visit) -> None:
    user = visit()
    user.sign_in_as("Hundred Credits")
    offered = user.page.get_by_label("Model").get_by_role("option", name=SWITCHED)
    expect(offered).to_be_attached()

    admin.open("/operator/catalog")
    model = row(admin.page, "Models", f"{SWITCHED} model-switched")
    model.get_by_role("button", name="Turn off").click()
    expect(model.get_by_role("button", name="Turn on")).to_be_visible()
    expect(row(admin.page, "The latest changes", SWITCHED).first).to_contain_text("enabled: true \u2192 false")
    expect(offered).not_to_be_attached(timeout=FOLLOW_MS)

    model.get_by_role("button", name="Turn on").click()
    expect(offered).to_be_attached(timeout=FOLLOW_MS)


@only_full
def test_option_that_another_admin_changed_is_loaded_again(admin: Visitor, live: Live) -> None:
    admin.expect_refusal("updateCatalogOption")
    page = admin.page
    admin.open("/operator/catalog")
    model = row(page, "Models", f"{SWITCHED} model-switched")
    model.get_by_role("button", name="Edit").click()
    form = page.get_by_role("form", name=f"Edit {SWITCHED}")
    form.get_by_label("Failure rate").fill("0.25")
    live.operator.document("models/model-switched").update({"failureRate": 0.5})
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("OPTION_CHANGED")
    admin.look("catalog-refused")
    form.get_by_role("button", name="Load it again").click()
    expect(model).to_contain_text("50.0%")

    form.get_by_label("Failure rate").fill("0")
    form.get_by_role("button", name="Save").click()
    expect(model).to_contain_text("0.0%")
    expect(form).not_to_be_visible()


def test_user_cannot_open_the_operators_views(visit: Visit, live: Live) -> None:
    user = visit()
    user.sign_in_as("Hundred Credits")
    expect(user.page.get_by_role("navigation", name="Operator")).to_have_count(0)
    token = live.sign_in("user-100")
    for view, calls in VIEWS.items():
        user.open(view)
        expect(user.page.get_by_text("This page is for operators.")).to_be_visible()
        for function, data in calls.items():
            assert live.refusal(function, data, token=token)[2] == "PERMISSION_DENIED", function
    assert not set(user.calls) & {function for calls in VIEWS.values() for function in calls}

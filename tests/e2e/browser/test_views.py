"""A look at every view of the console, light, dark and on a phone.

axe must find nothing serious or critical in them. Look at the pictures, which are in `.local/console`.
"""

from dataclasses import dataclass

import pytest
from google.cloud.firestore_v1.base_query import FieldFilter
from playwright.sync_api import expect

from tests.e2e.browser.conftest import Visit
from tests.support.browser import Visitor
from tests.support.live import Live
from tests.support.scale import only_full
from tools.seed import history

pytestmark = only_full

LOOKS: dict[str, dict[str, bool]] = {"light": {}, "dark": {"dark": True}, "phone": {"phone": True}}
USER = "Ada"
WEEKS = history.weeks()


@dataclass(frozen=True)
class View:
    """A view of a user's or the operator's, with a text that it shows when it is loaded."""

    name: str
    path: str
    text: str


def request_of_ada(live: Live, status: str) -> str:
    """Return the id of a request of the sample data."""
    requests = live.operator.collection("generationRequests").where(filter=FieldFilter("userId", "==", "user-ada"))
    request: str = next(requests.where(filter=FieldFilter("status", "==", status)).limit(1).stream()).id
    return request


def views_of_user(live: Live) -> list[View]:
    completed, failed = (request_of_ada(live, status) for status in ("completed", "failed"))
    return [
        View("playground-empty", "/playground", "No picture yet."),
        View("playground-completed", f"/playground?request={completed}", "Show the time line"),
        View("requests", "/requests", "Show more"),
        View("requests-none", "/requests?status=pending", "No request matches."),
        View("request-completed", f"/requests/{completed}", "None was sent for this request."),
        View("request-failed", f"/requests/{failed}", "refunded"),
        View("credits", "/credits", "Show more"),
        View("purchases", "/purchases", "No purchases yet."),
        View("webhooks", "/webhooks", "No webhooks yet."),
        View("api-keys", "/api-keys", "No API keys yet."),
        View("not-found", "/nowhere", "There is no such page."),
        View("for-operators", "/operator/users", "This page is for operators."),
    ]


def views_of_operator(live: Live) -> list[View]:
    return [
        View("operations", "/operator/operations", "Latest failures"),
        View("reports", "/operator/reports", str(WEEKS[0])),
        View("report", f"/operator/reports/{WEEKS[-3]}", "Top users"),
        View("report-missing", f"/operator/reports/{WEEKS[0] - 100}", "REPORT_NOT_FOUND"),
        View("audit", "/operator/audit", "The audit checks"),
        View("purchases-of-all", "/operator/purchases", "Purchases of all users."),
        View("users", "/operator/users", "user-fumiko"),
        View("user", "/operator/users/user-ada", "Show more"),
        View("catalog", "/operator/catalog", "1024x1792"),
        View("request-of-user", f"/requests/{request_of_ada(live, 'failed')}", "refunded"),
    ]


@pytest.mark.parametrize("looks", LOOKS)
def test_user_sees_all_views(visit: Visit, live: Live, looks: str) -> None:
    visitor = visit(**LOOKS[looks])
    visitor.open("/sign-in")
    visitor.look("sign-in")
    visitor.sign_in_as(USER)
    look_at(visitor, views_of_user(live))


@pytest.mark.parametrize("looks", LOOKS)
def test_operator_sees_all_views(visit: Visit, live: Live, looks: str) -> None:
    visitor = visit(**LOOKS[looks])
    visitor.expect_refusal("getWeeklyReport")
    visitor.sign_in_as("Admin")
    look_at(visitor, views_of_operator(live))


def look_at(visitor: Visitor, views: list[View]) -> None:
    for view in views:
        visitor.page.goto("about:blank")  # so that nothing of the last view is left
        visitor.open(view.path)
        expect(visitor.page.get_by_text(view.text).first).to_be_visible()
        visitor.look(view.name)

"""A person at the console: a page in a real browser, and the problems that the page had."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from tests.support.live import Live
from tests.support.scale import FULL
from tools.emulators.project import ROOT
from tools.emulators.suite import Suite
from tools.seed import history

PICTURES = ROOT / ".local" / "console"
"""The folder of the pictures of a full run."""

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

PASSWORD = history.source("users")["password"]
"""The password of all accounts of the tests."""

HOME = "Playground"
"""The heading of the view that follows signing in."""

ZONE = ZoneInfo("Asia/Tokyo")
"""The time zone of all visitors, which is never UTC."""

_AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
_FIND_BARRIERS = """
axe.run(document, {resultTypes: ["violations"]}).then(({violations}) => violations
  .filter(({impact}) => impact === "serious" || impact === "critical")
  .flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) => `${id}: ${target.join(" ")}: ${failureSummary}`)))
"""
_LOAD_PICTURES = """
Promise.all([...document.images]
  .filter(({loading}) => loading !== "lazy")
  .map((image) => image.decode().catch(() => {})))
"""
_LOCAL_SCHEMES = ("blob", "data")


@dataclass
class Visitor:
    """A page of its own session in the browser.

    ``problems`` are the errors in the console, the exceptions, and the requests to anything but the suite. A violation
    of the Content-Security-Policy is an error in the console.
    """

    page: Page
    suite: Suite
    looks: str = "light"
    problems: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """The functions that the page called."""
    _refused: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, browser: Browser, suite: Suite, *, dark: bool = False, phone: bool = False) -> Visitor:
        """Open a page in a new session. A phone's page is narrow and is touched."""
        context = browser.new_context(
            base_url=suite.hosting_url,
            color_scheme="dark" if dark else "light",
            viewport=PHONE if phone else DESKTOP,  # type: ignore[arg-type]
            has_touch=phone,
            is_mobile=phone,
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
            timezone_id=ZONE.key,
        )
        looks = "phone" if phone else "dark" if dark else "light"
        visitor = cls(context.new_page(), suite, looks)
        visitor.page.on("console", visitor._see_message)
        visitor.page.on("pageerror", lambda error: visitor.problems.append(f"exception: {error}"))
        visitor.page.on("request", visitor._see_request)
        return visitor

    def open(self, view: str) -> None:
        """Open a view by its address. Return when its heading is shown."""
        self.page.goto(f"/#{view}")
        self.page.get_by_role("heading", level=1).wait_for()

    def sign_in_as(self, name: str) -> None:
        """Sign in as a user of the sample data, with one click."""
        self.open("/sign-in")
        self.page.get_by_role("button", name=f"Sign in as {name}").click()
        self.page.get_by_role("heading", name=HOME).wait_for()

    def sign_in(self, email: str) -> None:
        """Sign in with an e-mail address and the password that all accounts of the tests have."""
        self.open("/sign-in")
        self.page.get_by_role("textbox", name="E-mail address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name=HOME).wait_for()

    def expect_refusal(self, *functions: str) -> None:
        """Accept refused calls of these functions. The browser writes an error into the console for each."""
        self._refused.update(functions)

    def barriers(self) -> list[str]:
        """Return the serious and critical findings of axe on the page as it is now."""
        # The page's policy does not allow axe. An isolated world shares the document, but not the policy.
        session = self.page.context.new_cdp_session(self.page)
        frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = session.send("Page.createIsolatedWorld", {"frameId": frame})["executionContextId"]
        session.send("Runtime.evaluate", {"expression": _AXE.read_text("utf-8"), "contextId": world})
        found = session.send(
            "Runtime.evaluate",
            {"expression": _FIND_BARRIERS, "contextId": world, "awaitPromise": True, "returnByValue": True},
        )
        session.detach()
        barriers: list[str] = found["result"]["value"]
        return barriers

    def look(self, view: str) -> None:
        """Check the view that is shown, and take a picture, in a full run.

        axe must find nothing, and nothing may be wider than the screen.
        """
        if not FULL:
            return
        self.page.evaluate(_LOAD_PICTURES)
        assert self.barriers() == [], f"{view}, {self.looks}"
        screen, content = self.page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert content <= screen, f"{view}, {self.looks}, is {content} pixels wide"
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{view}-{self.looks}.png", full_page=True)

    def close(self) -> None:
        self.page.context.close()

    def _see_message(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        function = urlsplit(message.location["url"]).path.rpartition("/")[2]
        if message.text.startswith("Failed to load resource") and function in self._refused:
            return
        self.problems.append(f"console: {message.text} ({message.location['url']})")

    def _see_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        hosts = {str(port) for port in self.suite.project.ports().values()}
        if url.scheme not in _LOCAL_SCHEMES and url.netloc not in hosts:
            self.problems.append(f"request to {request.url}")
        if url.netloc == self.suite.functions_host and request.method == "POST":
            self.calls.append(url.path.rpartition("/")[2])


def person(live: Live) -> str:
    """Add a user with one credit and an account. Return the e-mail address."""
    user_id, email = live.add_user(paid=1), f"{uuid.uuid4().hex}@example.com"
    live.accounts.create_user(uid=user_id, email=email, email_verified=True, password=PASSWORD)
    return email

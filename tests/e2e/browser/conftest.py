"""Fixtures for the tests of the console in a real browser.

Without a browser, the tests are skipped. With FULL=1, they fail.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.browser import Visitor
from tests.support.live import Live
from tests.support.scale import FULL
from tools.browser import MISSING, executable

WAIT_MS = 30_000
"""The longest wait for a change of a page. A call may start a process, which takes seconds on a busy machine."""

CUT_OFF = "Request to function failed"
"""The CLI prints this when its connection to the process of a function breaks. It then answers without CORS headers."""

Visit = Callable[..., Visitor]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Yield the system's browser.

    Playwright runs an event loop in this thread until it is closed, so that no other test could run one of its own.
    """
    path = executable()
    if path is None:
        (pytest.fail if FULL else pytest.skip)(MISSING)
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        # The sandbox needs privileges that a container does not have. The tests open the suite's own pages only.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, live: Live) -> Iterator[Visit]:
    """Yield a function that opens the console in a new session. Check afterwards that no page had a problem."""
    visitors: list[Visitor] = []

    def open_console(**options: Any) -> Visitor:
        visitors.append(Visitor.of(browser, live.suite, **options))
        visitors[-1].page.set_default_timeout(WAIT_MS)
        return visitors[-1]

    seen = len(live.suite.output())
    yield open_console
    problems = [problem for visitor in visitors for problem in visitor.problems]
    for visitor in visitors:
        visitor.close()
    if CUT_OFF in live.suite.output()[seen:]:  # the console has repeated the call
        problems = [problem for problem in problems if live.suite.functions_url not in problem]
    assert problems == []

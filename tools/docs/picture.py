"""Takes the picture of the console that the README shows."""

from io import BytesIO

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tools.browser import executable
from tools.emulators.project import ROOT
from tools.emulators.suite import Suite

PICTURE = ROOT / "docs" / "console.webp"

_VIEWPORT = {"width": 1280, "height": 780}
_USER = "Hundred Credits"
_PROMPT = "a lighthouse at dusk"
_QUALITY = 85
_TIMEOUT_MS = 120_000


def write_picture(suite: Suite) -> None:
    """Generate an image in the console of ``suite``, and write a picture of the view."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        page = browser.new_page(base_url=suite.hosting_url, viewport=_VIEWPORT)  # type: ignore[arg-type]
        page.set_default_timeout(_TIMEOUT_MS)
        _generate(page)
        picture = page.screenshot()
        browser.close()
    Image.open(BytesIO(picture)).convert("RGB").save(PICTURE, quality=_QUALITY, method=6)


def _generate(page: Page) -> None:
    page.goto("/#/sign-in")
    page.get_by_role("button", name=f"Sign in as {_USER}").click()
    page.get_by_label("Prompt").fill(_PROMPT)
    page.get_by_role("radio", name="1024x1024").check()
    page.get_by_role("button", name="Make it for").click()
    picture = page.get_by_role("img", name=_PROMPT)
    picture.wait_for()
    picture.evaluate("image => image.decode()")

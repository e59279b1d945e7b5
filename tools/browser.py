"""Finds the system's browser, for the tests of the console and for its picture in the README."""

import shutil

MISSING = "no Chromium or Chrome is installed. On Debian and Ubuntu: apt-get install chromium"

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str | None:
    """Return the path of the system's Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)

"""What the documentation says is true of this commit."""

import re
from pathlib import Path

import pytest

from tools.docs.write import README, up_to_date
from tools.emulators.project import ROOT
from tools.seed import history

PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/recipes.md",
        "docs/runbook.md",
        "docs/conformance.md",
        "docs/anomalies.md",
        "docs/benchmarks.md",
    )
]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_the_generated_parts_of_the_readme_are_up_to_date() -> None:
    text = README.read_text("utf-8")
    assert up_to_date(text) == text, "run: make docs"


def test_the_readme_names_no_week_that_is_not_in_the_seed() -> None:
    named = re.findall(r"\d{4}-W\d\d", README.read_text("utf-8"))
    assert set(named) <= {str(week) for week in history.weeks()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_command_exists(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
    assert named - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)", text, re.M)
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings
        elif not link.startswith("https://"):
            assert (page.parent / link).exists(), link

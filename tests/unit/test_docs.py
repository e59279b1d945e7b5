"""Tests of the documentation against the code, the seed and the files of this commit."""

import re
from pathlib import Path

import pytest

from imagegen.events import Event
from tools.docs.examples import EXAMPLE, shown_answers
from tools.docs.write import ARCHITECTURE, README, generated, up_to_date
from tools.emulators.project import ROOT
from tools.seed import history

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README_LINES_MAX = 150
PACKAGES = ("functions/imagegen", "simulation", "tests", "tools")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", generated(), ids=lambda page: page.name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    assert up_to_date(page) == page.read_text("utf-8"), "run: make docs"


def test_readme_is_at_most_150_lines() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= README_LINES_MAX


def test_readme_shows_the_first_example_of_the_quickstart() -> None:
    [(command, _)] = EXAMPLE.findall(README.read_text("utf-8"))
    assert command == next(iter(shown_answers()))
    assert len(shown_answers()) == 17


def test_readme_links_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([a-zA-Z/]+\.md)", README.read_text("utf-8")))
    assert linked == {str(page.relative_to(ROOT)) for page in PAGES} - {"README.md"}


def test_architecture_map_has_a_line_for_every_package() -> None:
    mapped = re.findall(r"^\| `([a-z0-9_/]+)/` \|", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)
    packages = {
        str(path.parent.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")
    }
    assert len(mapped) == len(set(mapped))
    assert set(mapped) == packages | {"console", "hosting"}


def test_operating_explains_every_log_event() -> None:
    rows = re.findall(
        r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", (ROOT / "docs" / "operating.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(re.findall(r"[A-Z_]+", " ".join(rows))) == sorted(Event)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_names_only_weeks_of_the_seed(page: Path) -> None:
    named = re.findall(r"\d{4}-W\d\d", page.read_text("utf-8"))
    assert set(named) <= {str(week) for week in history.weeks()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_command_on_a_page_exists(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
    assert named - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_repository_has_a_target(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}

"""Replaces the generated parts of a page, each of which is between two marks."""

from collections.abc import Iterable

END = "<!-- end -->"


def between(page: str, name: str, command: str, lines: Iterable[str]) -> str:
    """Return ``page`` with ``lines`` as its part ``name``, which ``command`` writes.

    Raises ValueError if a mark is missing.
    """
    before, start, rest = page.partition(f"<!-- {name}: written by `{command}` -->\n")
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the page has no generated part {name!r}")
    return before + start + "\n".join(lines) + "\n" + end + after

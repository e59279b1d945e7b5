"""The generated parts of a page, each between two marks."""

from collections.abc import Iterable

END = "<!-- end -->"


def between(page: str, name: str, command: str, lines: Iterable[str]) -> str:
    """The ``page``, with the part ``name``, which ``command`` writes, made of ``lines``.

    Raises ValueError where a mark is missing.
    """
    before, start, rest = page.partition(f"<!-- {name}: written by `{command}` -->\n")
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the page has no part {name}")
    return before + start + "\n".join(lines) + "\n" + end + after

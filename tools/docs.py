"""`make docs`: writes the parts of the README that follow from the code and the seed, and docs/openapi.json."""

from collections.abc import Iterator

from imagegen.domain.catalog import Kind
from imagegen.errors import ApiError
from tools import history, openapi, postman
from tools.project import ROOT

README = ROOT / "README.md"
END = "<!-- end -->"


def main() -> None:
    README.write_text(up_to_date(README.read_text("utf-8")), "utf-8")
    openapi.TARGET.write_text(openapi.text(), "utf-8")
    postman.TARGET.write_text(postman.text(), "utf-8")


def up_to_date(text: str) -> str:
    """The text, with what stands between each part's two marks written anew.

    Raises ValueError where a mark is missing.
    """
    for name, lines in (("options", options()), ("outcomes", outcomes())):
        before, start, rest = text.partition(f"<!-- {name}: written by `make docs` -->\n")
        _, end, after = rest.partition(END)
        if not (start and end):
            raise ValueError(f"the README has no part {name}")
        text = before + start + "\n".join(lines) + "\n" + end + after
    return text


def options() -> Iterator[str]:
    """The table of options, as the seed has them."""
    catalog = history.catalog()
    yield "| option | values |"
    yield "|---|---|"
    for kind in (Kind.MODEL, Kind.STYLE, Kind.COLOR):
        yield f"| {kind.value} | {', '.join(catalog.names(kind))} |"
    yield f"| size → credits | {', '.join(f'{size.name} → {size.credit_cost}' for size in catalog.sizes)} |"


def outcomes() -> Iterator[str]:
    """The table of everything that a call can end in."""
    yield "| situation | status | HTTP | reason | try again | billed |"
    yield "|---|---|---|---|---|---|"
    yield "| the image was made | | 200 | | | yes |"
    for error in ApiError.__subclasses__():
        code = error.code
        yield (
            f"| {error.situation} | {code.status} | {code.http_status} | `{error.reason}` "
            f"| {error.retryable} | {error.billed} |"
        )


if __name__ == "__main__":
    main()

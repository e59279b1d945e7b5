"""`make docs`: writes the generated tables of the docs, docs/openapi.json and docs/postman_collection.json."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from imagegen import settings
from imagegen.api.requests import Request
from imagegen.api.responses import Response
from imagegen.domain.catalog import Kind
from imagegen.services.account_data.collections import USER_DATA
from tools.docs import openapi, openapi_rest, postman
from tools.docs.generated_parts import between
from tools.emulators.project import ROOT
from tools.seed import history

README = ROOT / "README.md"
QUICKSTART = ROOT / "docs" / "quickstart.md"
PURCHASES = ROOT / "docs" / "purchases.md"
API = ROOT / "docs" / "api.md"
WEBHOOKS = ROOT / "docs" / "webhooks.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DEPLOYING = ROOT / "docs" / "deploying.md"
OPERATING = ROOT / "docs" / "operating.md"


def write() -> None:
    for page in generated():
        page.write_text(up_to_date(page), "utf-8")
    openapi.TARGET.write_text(openapi.text(), "utf-8")
    openapi_rest.TARGET.write_text(openapi_rest.text(), "utf-8")
    postman.TARGET.write_text(postman.text(), "utf-8")


def generated() -> Mapping[Path, Mapping[str, Callable[[], Iterator[str]]]]:
    """Return the pages with generated parts, and the function that writes each part."""
    return {
        API: {"functions": callables, "options": options, "outcomes": outcomes},
        DEPLOYING: {"parameters": parameters},
        OPERATING: {"user-data": user_data},
    }


def up_to_date(page: Path) -> str:
    """Return the text of a page with new generated parts. Raises ValueError if a mark is missing."""
    text = page.read_text("utf-8")
    for name, lines in generated()[page].items():
        text = between(text, name, "make docs", lines())
    return text


def callables() -> Iterator[str]:
    """Yield the table of the callable functions: request, result, access and purpose."""
    yield "| function | request `data` | result | who may call | |"
    yield "|---|---|---|---|---|"
    for name, operation in openapi.operations().items():
        request, result = (_shape(model) for model in (operation.request, operation.response))
        purpose = operation.description.splitlines()[0]
        yield f"| `{name}` | `{request}` | `{result}` | {operation.who_may_call} | {purpose} |"


def _shape(model: type[BaseModel]) -> str:
    """Return the JSON fields of a model, with a question mark after each optional field."""
    fields = (
        f"{field.alias}{'' if field.is_required() and not _may_be_none(field.annotation) else '?'}"
        f"{_inner(field.annotation)}"
        for field in model.model_fields.values()
    )
    return "{" + ", ".join(fields) + "}"


def _inner(annotation: Any) -> str:
    """Return the fields of the models in a field's type, or an empty string if it has none."""
    if get_origin(annotation) is list:
        return f": [{_inner(get_args(annotation)[0]).removeprefix(': ')}]"
    models = list(_models(annotation))
    return f": {' or '.join(map(_shape, models))}" if models else ""


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in a field's type."""
    if _is_model(annotation):
        yield annotation
    if get_origin(annotation) in (Union, UnionType, Annotated):
        for part in get_args(annotation):
            yield from _models(part)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, (Request, Response))


def _may_be_none(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)


def parameters() -> Iterator[str]:
    """Yield the table of the parameters, with their values in functions/.env."""
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "functions" / ".env").read_text("utf-8"), re.MULTILINE))
    yield "| parameter | set to | |"
    yield "|---|---|---|"
    for setting in vars(settings).values():
        if isinstance(setting, settings.Parameter):
            yield f"| `{setting.name}` | {values[setting.name]} | {setting.description} |"
        elif isinstance(setting, settings.Variable):
            yield f"| `{setting.name}` | | {setting.description} |"
        elif isinstance(setting, settings.Secret):
            yield f"| `{setting.name}` | a secret | {setting.description} |"


def user_data() -> Iterator[str]:
    """Yield the table of the collections with data of users: what an export and a deletion do to each."""
    yield "| collection | deletion | export | why |"
    yield "|---|---|---|---|"
    for data in USER_DATA:
        withheld = [*(["its id"] if data.withholds_id else []), *(f"`{name}`" for name in data.withheld)]
        export = f"all but {', '.join(withheld)}" if withheld else "all"
        yield f"| `{data.name}` | {data.deletion.value} | {export if data.export else 'no'} | {data.why} |"


def options() -> Iterator[str]:
    """Yield the table of the options in the sample data."""
    catalog = history.catalog()
    yield "| option | values |"
    yield "|---|---|"
    for kind in (Kind.MODEL, Kind.STYLE, Kind.COLOR):
        yield f"| {kind.value} | {', '.join(catalog.names(kind))} |"
    yield f"| size → credits | {', '.join(f'{size.name} → {size.credit_cost}' for size in catalog.sizes)} |"


def outcomes() -> Iterator[str]:
    """Yield the table of the outcomes of a call: success, and every error."""
    yield "| situation | status | HTTP | REST | reason | try again | billed |"
    yield "|---|---|---|---|---|---|---|"
    yield "| the image was made | | 200 | 201 | | | yes |"
    yield (
        "| the same call again: same result, with `replayed` and, in a callable function, the `currentCredits` of now "
        "| | 200 | 200 | | | no |"
    )
    for error in openapi.errors():
        code = error.code
        yield (
            f"| {error.situation} | {code.status} | {code.http_status} | {error.rest_status} | `{error.reason}` "
            f"| {error.retryable} | {error.billed} |"
        )

"""Validation of request data. An invalid request gets a list of all its violations."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from imagegen.api.context import Context
from imagegen.domain.catalog import Kind
from imagegen.errors import InvalidInput, Violation

VIOLATIONS_MAX = 100  # bounds the size of the answer to a long invalid request

M = TypeVar("M", bound=BaseModel)


def parse(shape: type[M], data: object, context: Context) -> M:
    """Return ``data`` as a ``shape``. Raises InvalidInput with every violation, up to ``VIOLATIONS_MAX``."""
    try:
        return shape.model_validate(data, context=context)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:VIOLATIONS_MAX]
        raise InvalidInput([_violation(problem, context) for problem in problems]) from None


def _violation(problem: Any, context: Context) -> Violation:
    field = _field(problem)
    violation: Violation = {"field": field, "message": _MESSAGES.get(problem["type"], _pydantic_message)(problem)}
    if field in set(Kind) and problem["type"] != "extra_forbidden":
        violation["allowed"] = context.catalog().names(Kind(field))
    return violation


def _field(problem: Any) -> str:
    path = [str(part) for part in problem["loc"]]
    if path[:1] in (["input"], ["reuse"]):  # tagged unions, for which Pydantic puts the tag into the path
        del path[1:2]
    if problem["type"] != "extra_forbidden":  # Pydantic reports an invalid default under the field's Python name
        path = [to_camel(part) for part in path]
    return ".".join(path) if path else "data"


def _pydantic_message(problem: Any) -> str:
    text: str = problem["msg"]
    return text[:1].lower() + text[1:]


def _items(number: int) -> str:
    return f"{number} item{'s' if number != 1 else ''}"


_MESSAGES: dict[str, Callable[[Any], str]] = {
    "missing": lambda _: "is required",
    "extra_forbidden": lambda _: "is not a known field",
    "model_type": lambda _: "must be an object",
    "model_attributes_type": lambda _: "must be an object",
    "string_type": lambda _: "must be a string",
    "string_unicode": lambda _: "must not contain half of a surrogate pair, as if it was cut inside a character",
    "int_type": lambda _: "must be an integer",
    "bool_type": lambda _: "must be true or false",
    "enum": lambda problem: f"must be {problem['ctx']['expected']}",
    "union_tag_not_found": lambda _: "must have a type",
    "union_tag_invalid": lambda problem: f"must have a type that is one of {problem['ctx']['expected_tags']}",
    "list_type": lambda _: "must be a list",
    "too_short": lambda problem: f"must have at least {_items(problem['ctx']['min_length'])}",
    "too_long": lambda problem: f"must have at most {_items(problem['ctx']['max_length'])}",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda problem: f"must have at most {problem['ctx']['max_length']} characters",
    "greater_than_equal": lambda problem: f"must be at least {problem['ctx']['ge']}",
    "less_than_equal": lambda problem: f"must be at most {problem['ctx']['le']}",
}

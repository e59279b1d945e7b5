"""Converts the names of fields between the REST API (snake_case) and the operations (camelCase)."""

import re
from typing import Any

_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)+")
_CAMEL = re.compile(r"[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)+")


def swapped(name: str) -> str:
    """Return a snake_case name in camelCase, a camelCase name in snake_case, and any other name unchanged.

    Swapping twice returns the first name. A camelCase name from a client therefore becomes a name that no operation
    knows, and the error names it as the client wrote it.
    """
    if _SNAKE.fullmatch(name):
        return re.sub("_([a-z])", lambda match: match[1].upper(), name)
    if _CAMEL.fullmatch(name):
        return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", name)
    return name


def with_swapped_names(value: Any) -> Any:
    """Return JSON data with the names of all objects swapped."""
    match value:
        case dict():
            return {swapped(name): with_swapped_names(inner) for name, inner in value.items()}
        case list():
            return [with_swapped_names(inner) for inner in value]
    return value


def swapped_path(path: str) -> str:
    """Return the path of a field, such as ``input.photoUrl``, with its names swapped."""
    return ".".join(swapped(name) for name in path.split("."))

"""Parses the parameters of API calls, and validates them with Stripe's own types."""

import re
import sys
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from stripe import RequestOptions
from stripe._stripe_object import UntypedStripeObject  # Stripe exports it under no other name
from typing_extensions import TypedDict, is_typeddict

from tools.stripe_emulator.errors import InvalidRequest

_DEPTH_MAX = 6


def parse(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the parameters of a form or a query, such as ``line_items[0][price]=…``, as nested dicts and lists.

    Raises InvalidRequest for a name that is malformed, repeated or nested too deeply.
    """
    root: dict[str, Any] = {}
    for name, value in pairs:
        match = re.fullmatch(r"(\w+)((?:\[\w*\])*)", name)
        keys = [match[1], *re.findall(r"\[(\w*)\]", match[2])] if match else []
        if not 0 < len(keys) <= _DEPTH_MAX:
            raise InvalidRequest(f"Invalid parameter name: {name[:100]}", name)
        target = root
        for key in keys[:-1]:
            target = target.setdefault(key or str(len(target)), {})
            if not isinstance(target, dict):
                raise InvalidRequest(f"Invalid parameter: {name}", name)
        key = keys[-1] or str(len(target))
        if key in target:
            raise InvalidRequest(f"Repeated parameter: {name}", name)
        target[key] = value
    return {name: _with_lists(value) for name, value in root.items()}


def _with_lists(value: Any) -> Any:
    """Return the value with each dict whose keys are 0, 1, 2… as a list."""
    if not isinstance(value, dict):
        return value
    items = {key: _with_lists(item) for key, item in value.items()}
    return list(items.values()) if list(items) == [str(number) for number in range(len(items))] else items


def validate(type: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with the values' types. Raises InvalidRequest for one that Stripe does not know."""
    try:
        validated: dict[str, Any] = _adapter(type).validate_python(parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        outer, *inner = [str(part) for part in first["loc"] if re.fullmatch(r"[a-z0-9_]+", str(part))] or [""]
        name = outer + "".join(f"[{part}]" for part in inner)
        if first["type"] == "extra_forbidden":
            raise InvalidRequest(f"Received unknown parameter: {name}", name, "parameter_unknown") from None
        if first["type"] == "missing":
            raise InvalidRequest(f"Missing required param: {name}.", name, "parameter_missing") from None
        raise InvalidRequest(f"Invalid {name}: {first['msg']}", name) from None
    return validated


def check_metadata(name: str, metadata: Mapping[str, str]) -> None:
    """Raise InvalidRequest if metadata is larger than Stripe allows."""
    if len(metadata) > 50 or any(len(key) > 40 or len(value) > 500 for key, value in metadata.items()):
        raise InvalidRequest(
            "Metadata can have up to 50 keys, of up to 40 characters, with values of up to 500 characters.", name
        )


@cache
def _adapter(type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_strict(type))


def _strict(type: Any) -> Any:
    """Return one of Stripe's types without what Stripe's API would refuse: unknown keys and unknown enum values."""
    if is_typeddict(type):
        return _strict_dict(type)
    arguments = get_args(type)
    if get_origin(type) in (typing.Union, typing.NotRequired, list, dict):
        if get_origin(type) is typing.Union:
            enums = [argument for argument in arguments if get_origin(argument) is Literal]
            # Stripe's types also accept any text for an enum, and its own objects for a dict.
            arguments = tuple(
                argument
                for argument in arguments
                if not (argument is str and enums) and get_origin(argument) is not UntypedStripeObject
            )
        strict = tuple(_strict(argument) for argument in arguments)
        return get_origin(type)[strict[0] if len(strict) == 1 else strict]
    return type


@cache
def _strict_dict(type_: Any) -> Any:
    options = RequestOptions.__annotations__  # of the client, not of the API
    annotations = {name: hint for name, hint in type_.__annotations__.items() if name not in options}
    # The names that an annotation uses are those of its module. This one is imported there for type checkers only.
    names = {**vars(sys.modules[type_.__module__]), "UntypedStripeObject": UntypedStripeObject}
    hints = get_type_hints(type("Hints", (), {"__annotations__": annotations}), names, include_extras=True)
    # TypedDict is a function of its name and fields here, which type checkers know only with literals.
    strict: Any = cast(Any, TypedDict)(type_.__name__, {name: _strict(hint) for name, hint in hints.items()})
    strict.__pydantic_config__ = ConfigDict(extra="forbid")
    return strict

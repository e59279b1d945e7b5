"""Reads the JSON body of a request, in the callable protocol or as it is.

A callable is called with a POST of the JSON object ``{"data": …}``,
https://firebase.google.com/docs/functions/callable-reference
"""

import codecs
import json
from math import isfinite
from typing import Any, NoReturn

from flask import Request

from imagegen.api import bodies
from imagegen.errors import InvalidInput

DEPTH_MAX = 50
"""Far deeper than any valid request."""
DIGITS_MAX = 400
"""The longest number that is read. The largest double has 309 digits before its point."""


def data_of(request: Request) -> Any:
    """Return the data of a call. Null is returned as an empty object. Raises InvalidInput for any other request."""
    _check_body(request)
    if request.method != "POST":
        raise malformed("method", f"must be POST, not {request.method}")
    content = _content(request)
    if not isinstance(content, dict) or content.keys() != {"data"}:
        raise malformed("body", 'must be {"data": {…}}, with no other key')
    data = content["data"]
    return {} if data is None else data


def object_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. An empty body is returned as an empty object. Raises InvalidInput."""
    _check_body(request)
    if not request.get_data():
        return {}
    content = _content(request)
    if not isinstance(content, dict):
        raise malformed("body", "must be a JSON object")
    return content


def _check_body(request: Request) -> None:
    """Raise InvalidInput if the body was not read whole."""
    problem = bodies.problem_of(request)
    if problem is not None:
        raise malformed("body", problem)


def _content(request: Request) -> Any:
    """Return the value of the JSON text in the body. Raises InvalidInput."""
    if request.mimetype != "application/json":
        raise malformed("Content-Type", "must be application/json")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise malformed("Content-Encoding", "must be identity, or left out: bodies are not decompressed")
    return _parsed(request.get_data().removeprefix(codecs.BOM_UTF8))


def malformed(field: str, message: str) -> InvalidInput:
    return InvalidInput([{"field": field, "message": message}])


def _parsed(body: bytes) -> Any:
    """Return the value of a JSON text. Raises InvalidInput.

    Half of a surrogate pair is read, so that the validation can name its field.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError as error:
        raise malformed("body", f"is not valid UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise malformed("body", f"is not valid JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """Raise InvalidInput if a value is nested more than DEPTH_MAX deep, which recursive functions could not handle."""
    level = [value]
    for _ in range(DEPTH_MAX):
        containers = [inner for inner in level if isinstance(inner, dict | list)]
        level = [inner for outer in containers for inner in (outer.values() if isinstance(outer, dict) else outer)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> InvalidInput:
    return malformed("body", f"must be nested at most {DEPTH_MAX} deep")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = set[str]()
        twice = next(name for name, _ in pairs if name in names or names.add(name))  # type: ignore[func-returns-value]
        raise malformed("body", f"has the name {json.dumps(twice[:100])} twice in one object")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise malformed("body", f"is not valid JSON: {name} is not a JSON number")


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise malformed("body", "has a number that is too large")
    return number


def _integer(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise malformed("body", f"has a number of more than {DIGITS_MAX} digits")
    return int(digits)

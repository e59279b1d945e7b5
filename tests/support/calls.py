"""Calls of the functions and of the REST API, as data."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from imagegen.api.rest.routes import Route

Headers = dict[str, str]

REST = "/api"
"""The path of the function that serves the REST API."""


@dataclass(frozen=True)
class Call:
    """A call to make. ``operation`` is its operationId in its OpenAPI document.

    ``path`` is its URL with the query, relative to the URL of all functions.
    """

    operation: str
    path: str
    body: bytes = b""
    headers: Headers = field(default_factory=lambda: {"Content-Type": "application/json"})
    method: str = "POST"

    @property
    def is_rest(self) -> bool:
        return self.path.startswith(f"{REST}/")


def of_function(function: str, data: dict[str, Any]) -> Call:
    """Return the call of a callable function."""
    return Call(function, f"/{function}", json.dumps({"data": data}).encode())


def of_route(route: Route, fields: dict[str, Any]) -> Call:
    """Return the call of a route, with the fields in the path, and otherwise in the query or the body."""
    names = re.findall("<(.*?)>", route.path)
    path = REST + re.sub("<(.*?)>", lambda name: quote(str(fields[name[1]]), safe=""), route.path)
    others = {name: value for name, value in fields.items() if name not in names}
    operation = route.operation.handle.__name__
    if route.method == "POST":
        return Call(operation, path, json.dumps(others).encode())
    return Call(operation, f"{path}?{urlencode(others)}" if others else path, method=route.method)

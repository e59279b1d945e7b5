"""Answers requests of the REST API. Errors are problem documents, https://www.rfc-editor.org/rfc/rfc9457"""

import json
import re
from http import HTTPStatus
from typing import Any

from flask import Request, Response
from werkzeug import exceptions
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Map, Rule

from imagegen.api.envelope import malformed, object_of
from imagegen.api.idempotency import REPLAYED_HEADER
from imagegen.api.operation import Received
from imagegen.api.rest.names import swapped, swapped_path, with_swapped_names
from imagegen.api.rest.routes import ROUTES, Route
from imagegen.bootstrap import Backend
from imagegen.errors import ApiError, InvalidInput, MethodNotAllowed, RouteNotFound, Unauthenticated, Violation

PROBLEM_JSON = "application/problem+json"

# A path with a slash at its end, or with two in a row, is another path and does not exist.
_MAP = Map([Rule(route.path, methods=[route.method], endpoint=route) for route in ROUTES], merge_slashes=False)


def answer(backend: Backend, request: Request) -> Response:
    """Return the answer to a request. Raises ApiError."""
    try:
        route, in_path = _MAP.bind("").match(request.path, request.method)
    except exceptions.MethodNotAllowed as error:
        methods = sorted({*(error.valid_methods or ()), "OPTIONS"})
        raise MethodNotAllowed(f"The methods of this path are: {', '.join(methods)}.", allowed=methods) from None
    except exceptions.HTTPException:
        raise RouteNotFound("There is no such path. The paths are documented in docs/api.md.") from None
    sent = object_of(request) if route.method == "POST" else _query(route, request)
    if both := sent.keys() & in_path.keys():
        raise malformed(swapped(min(both)), "must be in the path only")
    data = {**with_swapped_names(sent), **{swapped(name): value for name, value in in_path.items()}}
    result = with_swapped_names(route.operation(backend, Received(data, request.headers)))
    response = _json(result, HTTPStatus.OK)
    if route.location is not None:
        response.headers["Location"] = route.location.format(**result)
        if not (result.get("replayed") or result.get("reused")):
            response.status_code = HTTPStatus.CREATED
    if result.get("replayed"):
        response.headers[REPLAYED_HEADER] = "true"
    return response


def problem(error: ApiError) -> Response:
    """Return the problem document of an error."""
    if isinstance(error, InvalidInput):
        violations: list[Violation] = error.details["violations"]
        error = InvalidInput([{**violation, "field": swapped_path(violation["field"])} for violation in violations])
    facts = {name: value for name, value in error.details.items() if name != "reason"}
    content = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES[error.rest_status],
        "status": error.rest_status,
        "detail": error.message,
        "reason": error.reason,
        **({"details": with_swapped_names(facts)} if error.facts else {}),
    }
    response = _json(content, error.rest_status, PROBLEM_JSON)
    if (seconds := facts.get("retryAfterSeconds")) is not None:
        response.headers["Retry-After"] = str(seconds)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(facts["allowed"])
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _query(route: Route, request: Request) -> dict[str, Any]:
    """Return the parameters of a query. Digits become an integer where the operation's request has one.

    Raises InvalidInput if a parameter is given twice.
    """
    integers = {field.alias for field in route.operation.request.model_fields.values() if field.annotation is int}
    found: dict[str, Any] = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise malformed(swapped(name), "must be given only once")
        [value] = values
        is_integer = swapped(name) in integers and re.fullmatch("-?[0-9]{1,18}", value)
        found[name] = int(value) if is_integer else value
    return found


def _json(content: Any, status: int, content_type: str = "application/json") -> Response:
    response = Response(json.dumps(content), status, mimetype=content_type)
    response.headers["Cache-Control"] = "no-store"  # Hosting would keep a 404 for ten minutes
    return response

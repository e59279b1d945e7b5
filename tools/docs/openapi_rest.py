"""Generates docs/openapi-rest.json, an OpenAPI 3.1 document of the REST API, from its routes."""

import json
import re
from functools import cache
from typing import Any

from pydantic import BaseModel, create_model

from imagegen.api.idempotency import REPLAYED_HEADER
from imagegen.api.operation import Operation
from imagegen.api.rest import generations
from imagegen.api.rest.endpoint import PROBLEM_JSON
from imagegen.api.rest.names import swapped, with_swapped_names
from imagegen.api.rest.routes import ROUTES, Route
from imagegen.errors import ApiError
from tools.docs import openapi
from tools.docs.openapi import LITERAL, STRICT, Schema
from tools.emulators.project import ROOT

TARGET = ROOT / "docs" / "openapi-rest.json"
LOCAL_URL = "http://127.0.0.1:5000"
DEPLOYED_URL = "https://{project}.web.app"
INTRODUCTION = """\
AI image generation that is paid in credits, over plain HTTP. If an optional field of a body is null, the field counts
as left out. Errors are problem documents (RFC 9457) with a `reason`, which never changes. The `detail` is for people
and may change."""


@cache
def document() -> Schema:
    """Return the OpenAPI document. Do not change it, because all callers share it."""
    paths: Schema = {}
    for route in ROUTES:
        paths.setdefault(path_of(route), {})[route.method.lower()] = _operation(route)
    operations = [route.operation for route in ROUTES]
    schemas = openapi.schemas(operations, _problem)
    in_query = {route.operation.request.__name__ for route in ROUTES if _body_of(route) is None}
    names = {name for schema in schemas.values() for name in schema.get("properties", {})}
    components = {name: _in_snake_case(schema) for name, schema in sorted(schemas.items()) if name not in in_query}
    document: Schema = _with_words_swapped(
        {
            "openapi": "3.1.1",
            "info": {"title": "imagegen", "version": "1", "description": INTRODUCTION},
            "servers": [
                {"url": LOCAL_URL, "description": "The local emulator, where signing in is optional."},
                {
                    "url": DEPLOYED_URL,
                    "description": "A deployed project.",
                    "variables": {"project": {"default": "your-project", "description": "Its id."}},
                },
            ],
            "security": [*({name: []} for name in openapi.SECURITY_SCHEMES), {}],
            "paths": paths,
            "components": {"securitySchemes": openapi.SECURITY_SCHEMES, "schemas": components},
        },
        names,
    )
    return document


def text() -> str:
    """Return the text of docs/openapi-rest.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def path_of(route: Route) -> str:
    """Return the path of a route as OpenAPI writes it."""
    return route.path.replace("<", "{").replace(">", "}")


def example(operation: Operation[Any, Any]) -> Any:
    """Return the fields of an example request. They work with the sample data."""
    return with_swapped_names(openapi.example(operation))


def _operation(route: Route) -> Schema:
    operation, body = route.operation, _body_of(route)
    created = {"201": _created(operation)} if route.location else {}
    done = "An earlier call created it, with the same key or for the same image." if route.location else "Done."
    return {
        "operationId": operation.handle.__name__,
        "summary": operation.description.replace("\n", " "),
        "description": f"Who may call: {operation.who_may_call}.",
        "parameters": _parameters(route),
        **({} if body is None else {"requestBody": body}),
        "responses": {
            **created,
            "200": {"description": done, **_replayed(operation), "content": _content(operation)},
            **{
                status: {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}
                for status, description, schema, _ in openapi.refusals(operation, lambda error: error.rest_status)
            },
        },
    }


def _created(operation: Operation[Any, Any]) -> Schema:
    return {
        "description": "Created.",
        "headers": {"Location": {"description": "Its URL, relative to the called URL.", "schema": {"type": "string"}}},
        "content": _content(operation),
    }


def _content(operation: Operation[Any, Any]) -> Schema:
    return {"application/json": {"schema": openapi.reference(operation.response)}}


def _replayed(operation: Operation[Any, Any]) -> Schema:
    """Return the headers of an answer that may be a replay."""
    return {"headers": {REPLAYED_HEADER: openapi.REPLAYED}} if "replayed" in operation.response.model_fields else {}


def _names_in_path(route: Route) -> list[str]:
    return re.findall("<(.*?)>", route.path)


def _body_of(route: Route) -> Schema | None:
    """Return the body of a route, or None if all fields are in the path or in the query."""
    if route.method != "POST" or _names_in_path(route):
        return None
    content = {"schema": openapi.reference(route.operation.request), "example": example(route.operation)}
    return {"required": True, "content": {"application/json": content}}


def _parameters(route: Route) -> list[Schema]:
    operation, in_path = route.operation, _names_in_path(route)
    parameters: list[Schema] = []
    if operation.takes_key:
        parameters.append(openapi.key_parameter())
    if operation is generations.create_generation:
        parameters.append(_prefer_parameter())
    if _body_of(route) is None:
        fields = openapi.schemas([operation], _problem)[operation.request.__name__].get("properties", {})
        for name, schema in fields.items():
            place = "path" if swapped(name) in in_path else "query"
            parameters.append(
                {"name": swapped(name), "in": place, "required": place == "path", "schema": _never_null(schema)}
            )
    return parameters


def _never_null(schema: Schema) -> Schema:
    """Return the schema of a parameter, which is never null."""
    if isinstance(schema.get("type"), list):
        return {**schema, "type": schema["type"][0]}
    return openapi.without_null(schema)


def _prefer_parameter() -> Schema:
    return {
        "name": "Prefer",
        "in": "header",
        "description": f"`wait=N` waits up to N seconds for the end of the request, {generations.WAIT_MAX} at most.",
        "schema": {"type": "string"},
        "example": "wait=30",
    }


def _problem(error: type[ApiError]) -> type[BaseModel]:
    """Return the model of the problem document of an error."""
    fields: dict[str, Any] = {
        "type": (LITERAL["about:blank"], ...),
        "title": (str, ...),
        "status": (LITERAL[error.rest_status], ...),
        "detail": (str, ...),
        "reason": (LITERAL[error.reason], ...),
    }
    if error.facts:
        fields["details"] = (openapi.facts_of(error), ...)
    return create_model(error.__name__, __config__=STRICT, **fields)


def _in_snake_case(schema: Schema) -> Schema:
    """Return the schema of an object with the names of its fields in snake_case."""
    if "properties" not in schema:
        return schema
    schema = {**schema, "properties": {swapped(name): field for name, field in schema["properties"].items()}}
    if "required" in schema:
        schema["required"] = [swapped(name) for name in schema["required"]]
    return schema


def _with_words_swapped(value: Any, names: set[str]) -> Any:
    """Return the document with the names of fields in all descriptions in snake_case."""
    match value:
        case dict():
            return {
                key: _swap_words(inner, names)
                if key in ("description", "summary") and isinstance(inner, str)
                else _with_words_swapped(inner, names)
                for key, inner in value.items()
            }
        case list():
            return [_with_words_swapped(inner, names) for inner in value]
    return value


def _swap_words(text: str, names: set[str]) -> str:
    return re.sub("[a-z]+[A-Z][A-Za-z]*", lambda word: swapped(word[0]) if word[0] in names else word[0], text)

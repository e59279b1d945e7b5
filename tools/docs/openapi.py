"""Generates docs/openapi.json, an OpenAPI 3.1 document of the callable functions, from the code."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from itertools import groupby
from pkgutil import iter_modules
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

import main
from imagegen import api
from imagegen.api.fields import HEADER_KEY_LENGTH_MAX, HEADER_KEY_PATTERN
from imagegen.api.firebase import OPERATIONS
from imagegen.api.idempotency import KEY_HEADER, REPLAYED_HEADER
from imagegen.api.operation import Operation
from imagegen.errors import ApiError
from tools.emulators.project import ROOT

TARGET = ROOT / "docs" / "openapi.json"
LOCAL_URL = "http://127.0.0.1:5001/demo-imagegen/us-central1"
DEPLOYED_URL = "https://us-central1-{project}.cloudfunctions.net"
INTRODUCTION = """\
AI image generation that is paid in credits. Each operation is a Firebase callable function. You can call it with
`httpsCallable` of a Firebase client SDK or with any HTTP client. If an optional field is null, the field counts as
left out. You can send an integer in the protocol's long form, as the Apple and Android SDKs do. Each error has a
`details.reason`, which never changes. Its `message` is for people and may change."""

Schema = dict[str, Any]
SECURITY_SCHEMES: Schema = {
    "idToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The ID token of a user who signed in with Firebase Authentication. Optional in the local "
        "emulator.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "igk_…",
        "description": "An API key, which acts for its owner within its scopes. createApiKey creates it.",
    },
}
REPLAYED: Schema = {
    "description": "Says that the answer repeats the answer to an earlier call.",
    "schema": {"const": "true"},
}
STRICT = ConfigDict(extra="forbid")
LITERAL: Any = Literal  # Any, because type checkers reject a Literal of a computed value


def operations() -> dict[str, Operation[Any, Any]]:
    """Return the operations of the deployed callable functions by name, in the order of ``main``.

    Raises ValueError if an operation of ``imagegen.api`` is not deployed.
    """
    deployed = {name: OPERATIONS[name]() for name in vars(main) if name in OPERATIONS}
    modules = [import_module(f"{api.__name__}.{module.name}") for module in iter_modules(api.__path__)]
    declared = {value.name for module in modules for value in vars(module).values() if isinstance(value, Operation)}
    if missing := declared - deployed.keys():
        raise ValueError(f"not in main.py: {missing}")
    return deployed


def errors(parent: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    """Yield all errors of the API, each followed by the error of its replay, if there is one."""
    for error in parent.__subclasses__():
        yield error
        yield from errors(error)


@cache
def document() -> Schema:
    """Return the OpenAPI document. Do not change it, because all callers share it."""
    callables = dict(sorted(operations().items()))
    return {
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
        "security": [*({name: []} for name in SECURITY_SCHEMES), {}],
        "paths": {f"/{name}": {"post": _operation(name, operation)} for name, operation in callables.items()},
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "parameters": {"idempotencyKey": key_parameter()},
            "headers": {"replayed": REPLAYED},
            "schemas": dict(sorted(schemas(callables.values(), _error).items())),
        },
    }


def text() -> str:
    """Return the text of docs/openapi.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _operation(name: str, operation: Operation[Any, Any]) -> Schema:
    summary = operation.description.replace("\n", " ")
    data = reference(operation.request)
    if not any(field.is_required() for field in operation.request.model_fields.values()):
        data = {"anyOf": [data, {"type": "null"}]}
    return {
        "operationId": name,
        "summary": summary,
        "description": f"Who may call: {operation.who_may_call}.",
        "x-access": to_camel(operation.access.name.lower()),
        **({"parameters": [{"$ref": "#/components/parameters/idempotencyKey"}]} if operation.takes_key else {}),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _object(data=data), "example": {"data": example(operation)}}},
        },
        "responses": {
            "200": _response(
                "Done.",
                _object(result=reference(operation.response)),
                may_be_replayed="replayed" in operation.response.model_fields,
            ),
            **dict(_refusals(operation)),
        },
    }


def _refusals(operation: Operation[Any, Any]) -> Iterator[tuple[str, Schema]]:
    """Yield each HTTP status of an error, with the response that lists its errors."""
    for status, description, schema, replayed in refusals(operation, lambda error: error.code.http_status):
        yield status, _response(description, _object(error=schema), may_be_replayed=replayed)


def refusals(
    operation: Operation[Any, Any], status_of: Callable[[type[ApiError]], int]
) -> Iterator[tuple[str, str, Schema, bool]]:
    """Yield each HTTP status of the operation's errors, their description and schema, and whether one is a replay."""
    for status, group in groupby(sorted(operation.errors, key=status_of), key=status_of):
        errors = list(group)
        description = "\n".join(
            f"- `{error.reason}`: {error.situation}. Try again: {error.retryable}. Billed: {error.billed}."
            for error in errors
        )
        references = [reference(error) for error in errors]
        schema = references[0] if len(references) == 1 else {"oneOf": references}
        yield str(status), description, schema, any("replayed" in error.facts for error in errors)


def _response(description: str, schema: Schema, *, may_be_replayed: bool) -> Schema:
    headers = {"headers": {REPLAYED_HEADER: {"$ref": "#/components/headers/replayed"}}} if may_be_replayed else {}
    return {"description": description, **headers, "content": {"application/json": {"schema": schema}}}


def key_parameter() -> Schema:
    """Return the parameter of the Idempotency-Key header."""
    return {
        "name": KEY_HEADER,
        "in": "header",
        "description": "The idempotencyKey, if it is not in the data: a quoted string, or the bare key.",
        "schema": {"type": "string", "pattern": HEADER_KEY_PATTERN, "maxLength": HEADER_KEY_LENGTH_MAX},
    }


def example(operation: Operation[Any, Any]) -> Any:
    """Return example data of a call. The data is valid as long as the sample data has the ids that it names."""
    config: Any = operation.request.model_config  # not the JSON schema, in which pydantic sorts the fields
    [example] = config["json_schema_extra"]["examples"]
    return example


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def reference(shape: type) -> Schema:
    """Return a reference to the schema of a model or an error."""
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


# Schemas


def schemas(
    operations: Iterable[Operation[Any, Any]], model_of: Callable[[type[ApiError]], type[BaseModel]]
) -> dict[str, Schema]:
    """Return all schemas by name, with the ``model_of`` each error.

    Raises ValueError if two different schemas have the same name.
    """
    operations = list(operations)
    errors = {error: model_of(error) for operation in operations for error in operation.errors}
    schemas: dict[str, Schema] = {}
    for defined in (
        _defined([operation.request for operation in operations], "validation", _nullable),
        _defined([operation.response for operation in operations], "serialization", _never_null),
        _defined(list(errors.values()), "serialization", _never_null),
    ):
        if twice := {name for name in defined.keys() & schemas.keys() if defined[name] != schemas[name]}:
            raise ValueError(f"different schemas have the same name: {twice}")
        schemas |= defined
    return schemas


def _error(error: type[ApiError]) -> type[BaseModel]:
    """Return the model of the field ``error`` of a response."""
    details = facts_of(error, reason=LITERAL[error.reason])
    return create_model(
        error.__name__,
        __config__=STRICT,
        status=(LITERAL[error.code.status], ...),
        message=(str, ...),
        details=(details, ...),
    )


def facts_of(error: type[ApiError], **further: Any) -> type[BaseModel]:
    """Return the model of the facts of an error, with the types of ``further`` fields."""
    fields: dict[str, Any] = {name: (type, ...) for name, type in {**further, **error.facts}.items()}
    return create_model(f"{error.__name__}Details", __config__=STRICT, **fields)


def _defined(
    models: list[type[BaseModel]], mode: JsonSchemaMode, finish: Callable[[Schema], None]
) -> dict[str, Schema]:
    """Return the schemas of the models, and of all models that they refer to, by name."""
    _, top = models_json_schema(
        [(model, mode) for model in models], by_alias=True, ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Schema] = top["$defs"]
    for schema in schemas.values():
        for noise in ("title", "examples"):
            schema.pop(noise, None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
        finish(schema)
    return schemas


def _nullable(schema: Schema) -> None:
    """Let optional fields of a request be null, and a required idempotency key be in the header instead."""
    fields: dict[str, Schema] = schema.get("properties", {})
    required: list[str] = schema.get("required", [])
    if "idempotencyKey" in required:
        required.remove("idempotencyKey")
        fields["idempotencyKey"]["description"] += f" Required, here or in the {KEY_HEADER} header."
    for name in fields.keys() - set(required):
        field = without_null(fields[name])
        if field.get("default", ...) is None:
            del field["default"]
        if isinstance(field.get("type"), str) and "enum" not in field:
            fields[name] = {**field, "type": [field["type"], "null"]}
        else:
            fields[name] = {"anyOf": [field, {"type": "null"}]}


def _never_null(schema: Schema) -> None:
    """Make each nullable field of a response optional, because responses leave out fields that are None."""
    fields: dict[str, Schema] = schema.get("properties", {})
    for name, field in fields.items():
        fields[name] = without_null(field)
        if fields[name] != field:
            schema["required"] = [other for other in schema["required"] if other != name]
        if fields[name].get("default", ...) is None:
            del fields[name]["default"]


def without_null(field: Schema) -> Schema:
    """Return the schema of a field without null."""
    match field:
        case {"anyOf": [shape, {"type": "null"}], **others}:
            return {**shape, **others}
    return field

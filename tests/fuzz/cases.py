"""The calls of the fuzzer: generated from the OpenAPI document by schemathesis, or hostile calls listed here."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.strategies import SearchStrategy
from schemathesis import Case as AnyCase
from schemathesis import GenerationMode

from imagegen.api.idempotency import KEY_HEADER
from tests.support.scale import scaled

SEED = 25
GENERATED_MAX = scaled(10, 100)
"""The number of random valid calls, and of random invalid calls, for each function. Duplicates are dropped."""

Case = AnyCase[Any]
Headers = dict[str, str]


@dataclass(frozen=True)
class Call:
    """A call to make."""

    function: str
    body: bytes
    headers: Headers = field(default_factory=lambda: {"Content-Type": "application/json"})
    method: str = "POST"


def generated(document: dict[str, Any], values: Mapping[str, list[str]]) -> Iterator[Call]:
    """Generate valid and invalid calls: at each bound of the document's schemas, and random ones with a fixed seed.

    ``values`` has known values of fields, such as names of options, ids and page tokens.
    """
    schema = schemathesis.openapi.from_dict(_preferring_known_values(document, values))
    seen: set[tuple[object, ...]] = set()
    for path in document["paths"]:
        for number, case in enumerate(_cases(schema, schema[path]["POST"])):
            call = _call_of(case)
            if number % 2:  # with another key in the data, the header would get nearly every call refused
                call.headers.pop(KEY_HEADER, None)
            identity = (call.function, call.method, call.body, *sorted(call.headers.items()))
            if identity not in seen:
                seen.add(identity)
                yield call


def _cases(schema: Any, operation: Any) -> Iterator[Case]:
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    yield from schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=schema.config.generation)
    for mode in modes:
        yield from _draw(operation.as_strategy(generation_mode=mode))


def _draw(strategy: SearchStrategy[Case]) -> list[Case]:
    """Draw up to ``GENERATED_MAX`` examples of a strategy with a fixed seed."""
    drawn: list[Case] = []

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=GENERATED_MAX,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=strategy)
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    return drawn


_IGNORED_HEADERS = {
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "user-agent",
    "x-schemathesis-testcaseid",
}


def _call_of(case: Case) -> Call:
    kwargs = case.as_transport_kwargs(base_url="http://anywhere")
    headers = {name: value for name, value in kwargs["headers"].items() if name.lower() not in _IGNORED_HEADERS}
    if "json" in kwargs:
        body = json.dumps(kwargs["json"]).encode()
        headers.setdefault("Content-Type", "application/json")
    else:
        data = kwargs.get("data") or b""
        body = data if isinstance(data, bytes) else str(data).encode()
    return Call(case.path.removeprefix("/"), body, headers, case.method)


def _preferring_known_values(document: dict[str, Any], values: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return a copy of the document whose fields prefer the known values to the other values that they allow."""
    preferring = copy.deepcopy(document)
    preferring["components"]["parameters"]["idempotencyKey"]["schema"] = {"enum": values["idempotencyKey"]}
    for name, schema in preferring["components"]["schemas"].items():
        for field_name in schema.get("properties", {}).keys() & values.keys():
            known = {"enum": values[field_name]}
            property = schema["properties"][field_name]
            # Other options do not exist, and a random text is hardly ever a URL.
            known_only = name == "CreateGenerationRequest" and field_name in _ONLY_KNOWN_VALUES
            schema["properties"][field_name] = known if known_only else {"anyOf": [known, property]}
    return preferring


_ONLY_KNOWN_VALUES = {"model", "style", "color", "size", "webhookUrl"}

# Hostile calls

DEEP = 5_000
LONG = 60_000


def hostile(function: str, valid: dict[str, Any]) -> Iterator[Call]:
    """Generate calls that an attacker might make, as variations of the ``valid`` data of a function."""
    for body in _bodies(valid):
        yield Call(function, body)
    body = json.dumps({"data": valid}).encode()
    for headers in _HEADERS:
        yield Call(function, body, {"Content-Type": "application/json", **headers})
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""):
        yield Call(function, body, {"Content-Type": content_type})


_LONG_FORM = "type.googleapis.com/google.protobuf.Int64Value"
_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    10**400,
    1e308,
    0.1,
    50.0,
    -0.0,
    "",
    " ",
    ".",
    "..",
    "__all__",
    "a/b",
    "users/user-ada",
    "\u0000",
    "a\u0000b",
    "\u202euser-100",
    "user-100\u200b",
    "e\u0301",
    "\ufeff",
    "\U0001f98a",
    "x" * LONG,
    "é" * 1_500,
    "eyJhbGciOiJub25lIn0.e30.",
    "${jndi:ldap://127.0.0.1/}",
    "9999-02-30T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    {"@type": _LONG_FORM, "value": "7"},
    {"@type": _LONG_FORM, "value": "9" * 5_000},
    {"@type": _LONG_FORM, "value": "x"},
    {"@type": _LONG_FORM},
    {"@type": []},
    {"__proto__": {"admin": True}},
    [[]] * 100,
    {"": {"": None}},
]
_HEADERS: list[Headers] = [
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
    {"Authorization": "Bearer a.b.c"},
    {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJ1aWQiOiJ1c2VyLWFkbWluIiwiYWRtaW4iOnRydWV9."},
    {"Authorization": "Bearer " + "x" * 8_000},
    {"Authorization": "Bearer \xe9"},
    {"Idempotency-Key": ""},
    {"Idempotency-Key": "x" * 256},
    {"Idempotency-Key": "\xe9"},
    {"Idempotency-Key": "a\tb"},
    {"Idempotency-Key": "key-1, key-2"},
    {"X-Forwarded-Host": "example.com", "X-HTTP-Method-Override": "DELETE"},
    {"Accept": "text/html", "Accept-Encoding": "identity", "Origin": "null"},
    {"Content-Encoding": "gzip"},
]


def _bodies(valid: dict[str, Any]) -> Iterator[bytes]:
    text = json.dumps({"data": valid})
    yield from (b"", b"null", b"[]", b'"data"', b"\xff\xfe", b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"))
    yield from (text[:-1].encode(), (text + text).encode(), ("[" * DEEP + "]" * DEEP).encode())
    yield ('{"data":' * DEEP + "1" + "}" * DEEP).encode()
    yield b'{"data": {"prompt": "\\ud83d"}}'
    yield b'{"data": NaN}'
    yield b'{"data": {"pageSize": -Infinity}}'
    yield b'{"data": 1e400}'
    yield b'{"data": ' + b"9" * 5_000 + b"}"
    yield b'{"data": {"userId": "user-0"}, ' + text[1:].encode()  # a duplicate key
    yield b'{"data": {"userId": "user-0", ' + text.removeprefix('{"data": {').encode()
    for name in dict.fromkeys((*valid, "userId", "idempotencyKey", "pageToken", "input", "constructor", "")):
        for value in _VALUES:
            yield json.dumps({"data": {**valid, name: value}}).encode()

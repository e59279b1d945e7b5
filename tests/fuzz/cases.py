"""The calls of the fuzzer: generated from the OpenAPI documents by schemathesis, or hostile calls listed here."""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case as AnyCase
from schemathesis import GenerationMode

from imagegen.api.idempotency import KEY_HEADER
from imagegen.api.rest.names import swapped
from imagegen.api.rest.routes import Route
from tests.support.calls import Call, Headers, of_function, of_route
from tests.support.scale import scaled

SEED = 25
GENERATED_MAX = scaled(3, 100)
"""The number of random valid calls, and of random invalid calls, for each operation. Duplicates are dropped."""

Case = AnyCase[Any]


def generated(document: dict[str, Any], values: Mapping[str, list[str]], base: str = "") -> Iterator[Call]:
    """Generate valid and invalid calls: at each bound of the document's schemas, and random ones with a fixed seed.

    ``values`` has known values of fields, such as names of options, ids and page tokens. The paths of the document
    start after ``base``.
    """
    schema = schemathesis.openapi.from_dict(_preferring_known_values(document, values))
    seen: set[tuple[object, ...]] = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for number, case in enumerate(_cases(schema, schema[path][method.upper()])):
                call = _call_of(case, operation["operationId"], base)
                if number % 2:  # with another key in the data, the header would get nearly every call refused
                    call.headers.pop(KEY_HEADER, None)
                identity = (call.operation, call.method, call.path, call.body, *sorted(call.headers.items()))
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

    with suppress(Unsatisfiable):  # no call of an operation without fields is invalid
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


_HOST = "http://anywhere"


def _call_of(case: Case, operation: str, base: str) -> Call:
    kwargs = case.as_transport_kwargs(base_url=_HOST + base)
    url = requests.Request("GET", kwargs["url"], params=kwargs.get("params")).prepare().url or ""
    headers = {name: value for name, value in kwargs["headers"].items() if name.lower() not in _IGNORED_HEADERS}
    if "json" in kwargs:
        body = json.dumps(kwargs["json"]).encode()
        headers.setdefault("Content-Type", "application/json")
    else:
        data = kwargs.get("data") or b""
        body = data if isinstance(data, bytes) else str(data).encode()
    return Call(operation, url.removeprefix(_HOST), body, headers, case.method)


def _preferring_known_values(document: dict[str, Any], values: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return a copy of the document whose fields prefer the known values to the other values that they allow."""
    preferring = copy.deepcopy(document)
    known = {name: {"enum": some} for name, some in values.items()}
    known |= {swapped(name): schema for name, schema in known.items()}
    operations = [operation for methods in preferring["paths"].values() for operation in methods.values()]
    parameters = [parameter for operation in operations for parameter in operation.get("parameters", ())]
    for parameter in [*parameters, *preferring["components"].get("parameters", {}).values()]:
        name = parameter.get("name")
        if name == KEY_HEADER:
            parameter["schema"] = known["idempotencyKey"]
        elif name == "Prefer":  # nothing runs the requests, so a call would wait as long as it may
            parameter["schema"] = {"enum": ["wait=0", "respond-async", "wait=soon"]}
            del parameter["example"]
        elif name in known:
            parameter["schema"] = {"anyOf": [known[name], parameter["schema"]]}
    for name, schema in preferring["components"]["schemas"].items():
        for field_name in schema.get("properties", {}).keys() & known.keys():
            property = schema["properties"][field_name]
            # Other options do not exist, and a random text is hardly ever a URL.
            known_only = name.startswith("CreateGeneration") and field_name in _ONLY_KNOWN_VALUES
            schema["properties"][field_name] = (
                known[field_name] if known_only else {"anyOf": [known[field_name], property]}
            )
    return preferring


_ONLY_KNOWN_VALUES = {"model", "style", "color", "size", "webhookUrl", "webhook_url"}

# Hostile calls

DEEP = 5_000
LONG = 60_000


PATH_LENGTH_MAX = 4_000
"""The longest path of a call. Servers refuse longer ones before the backend sees them."""


def hostile(function: str, valid: dict[str, Any]) -> Iterator[Call]:
    """Generate calls that an attacker might make, as variations of the ``valid`` data of a function."""
    yield from _hostile_posts(of_function(function, valid), valid, '{"data": %s}')
    for name, value in _hostile_fields(*valid, *_NAMES):
        yield of_function(function, {**valid, name: value})


def hostile_rest(route: Route, valid: dict[str, Any]) -> Iterator[Call]:
    """Generate calls that an attacker might make, as variations of the ``valid`` fields of a route."""
    if route.method == "POST":
        body = {name: value for name, value in valid.items() if f"<{name}>" not in route.path}
        yield from _hostile_posts(of_route(route, valid), body, "%s")
    else:
        call = of_route(route, valid)
        for query in ("?", "&&==", "%ff=%ff", "limit=1&limit=1", "user_id=a;b", "%75ser_id=user-0&+=+", "user_id[]=a"):
            yield Call(call.operation, f"{call.path.partition('?')[0]}?{query}", method=call.method)
    for name, value in _hostile_fields(*valid, *map(swapped, _NAMES)):
        call = of_route(route, {**valid, name: value})
        if len(call.path) <= PATH_LENGTH_MAX:
            yield call


def _hostile_posts(call: Call, fields: dict[str, Any], envelope: str) -> Iterator[Call]:
    """Generate variations of a valid call with ``fields`` in its body."""
    for body in _bodies(fields, envelope):
        yield Call(call.operation, call.path, body)
    for headers in _HEADERS:
        yield Call(call.operation, call.path, call.body, {"Content-Type": "application/json", **headers})
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""):
        yield Call(call.operation, call.path, call.body, {"Content-Type": content_type})


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
    {"Authorization": f"Bearer igk_{'0' * 72}"},
    {"Authorization": f"Bearer igk_{'0' * 64}190a55ad"},  # with a valid checksum
    {"Authorization": "Bearer igk_" + "0" * 8_000},
    {"Idempotency-Key": ""},
    {"Idempotency-Key": "x" * 256},
    {"Idempotency-Key": "\xe9"},
    {"Idempotency-Key": "a\tb"},
    {"Idempotency-Key": "key-1, key-2"},
    {"X-Forwarded-Host": "example.com", "X-HTTP-Method-Override": "DELETE"},
    {"Accept": "text/html", "Accept-Encoding": "identity", "Origin": "null"},
    {"Content-Encoding": "gzip"},
]


def _bodies(fields: dict[str, Any], envelope: str) -> Iterator[bytes]:
    """Generate the bodies of hostile calls. ``envelope`` has a place for the JSON object of the fields."""
    content = json.dumps(fields)
    text = envelope % content
    yield from (b"", b"null", b"[]", b'"data"', b"\xff\xfe", b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"))
    yield from (text[:-1].encode(), (text + text).encode(), ("[" * DEEP + "]" * DEEP).encode())
    yield ('{"data":' * DEEP + "1" + "}" * DEEP).encode()
    for inner in ('{"prompt": "\\ud83d"}', "NaN", '{"pageSize": -Infinity}', "1e400", "9" * 5_000):
        yield (envelope % inner).encode()
    yield b'{"data": {"userId": "user-0"}, ' + text[1:].encode()  # a duplicate key
    for name in ("userId", "user_id"):
        yield (envelope % (f'{{"{name}": "user-0", ' + content[1:])).encode()


_NAMES = ("userId", "idempotencyKey", "pageToken", "input", "constructor", "")


def _hostile_fields(*names: str) -> Iterator[tuple[str, Any]]:
    """Generate each field with each hostile value."""
    for name in dict.fromkeys(names):
        for value in _VALUES:
            yield name, value

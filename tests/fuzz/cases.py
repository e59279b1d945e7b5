"""The calls: what schemathesis makes of the OpenAPI document, and what no schema thinks of."""

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

from imagegen.api.operation import KEY_HEADER
from tests.support.scale import scaled

SEED = 25
GENERATED = scaled(10, 100)
"""Valid ones and invalid ones each, for each function; fewer where there are fewer different ones."""

Case = AnyCase[Any]
Headers = dict[str, str]


@dataclass(frozen=True)
class Sent:
    """A call to make."""

    function: str
    body: bytes
    headers: Headers = field(default_factory=lambda: {"Content-Type": "application/json"})
    method: str = "POST"


def generated(document: dict[str, Any], values: Mapping[str, list[str]]) -> Iterator[Sent]:
    """Calls at every bound of the document's schemas, and at random, valid and invalid; the same on every run.

    ``values`` are those of fields that lead somewhere: names of options, ids, page tokens.
    """
    schema = schemathesis.openapi.from_dict(_leading_somewhere(document, values))
    seen: set[tuple[object, ...]] = set()
    for path in document["paths"]:
        for number, case in enumerate(_cases(schema, schema[path]["POST"])):
            sent = _sent(case)
            if number % 2:  # with a key in the data, too, that header would have nearly every call refused
                sent.headers.pop(KEY_HEADER, None)
            different = (sent.function, sent.method, sent.body, *sorted(sent.headers.items()))
            if different not in seen:
                seen.add(different)
                yield sent


def _cases(schema: Any, operation: Any) -> Iterator[Case]:
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    yield from schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=schema.config.generation)
    for mode in modes:
        yield from _drawn(operation.as_strategy(generation_mode=mode))


def _drawn(strategy: SearchStrategy[Case]) -> list[Case]:
    """``GENERATED`` examples of a strategy, the same each time."""
    drawn: list[Case] = []

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=GENERATED,
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


_NOT_OF_THE_CASE = {
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "user-agent",
    "x-schemathesis-testcaseid",
}


def _sent(case: Case) -> Sent:
    kwargs = case.as_transport_kwargs(base_url="http://anywhere")
    headers = {name: value for name, value in kwargs["headers"].items() if name.lower() not in _NOT_OF_THE_CASE}
    if "json" in kwargs:
        body = json.dumps(kwargs["json"]).encode()
        headers.setdefault("Content-Type", "application/json")
    else:
        data = kwargs.get("data") or b""
        body = data if isinstance(data, bytes) else str(data).encode()
    return Sent(case.path.removeprefix("/"), body, headers, case.method)


def _leading_somewhere(document: dict[str, Any], values: Mapping[str, list[str]]) -> dict[str, Any]:
    """The document, with those values of its fields preferred to all the others that they may have."""
    preferring = copy.deepcopy(document)
    preferring["components"]["parameters"]["idempotencyKey"]["schema"] = {"enum": values["idempotencyKey"]}
    for name, schema in preferring["components"]["schemas"].items():
        for field_name in schema.get("properties", {}).keys() & values.keys():
            known = {"enum": values[field_name]}
            property = schema["properties"][field_name]
            # Of options, there are no others than those on offer, and hardly any text is a URL.
            is_alone = name == "CreateGenerationRequest" and field_name in _OF_KNOWN_VALUES_ALONE
            schema["properties"][field_name] = known if is_alone else {"anyOf": [known, property]}
    return preferring


_OF_KNOWN_VALUES_ALONE = {"model", "style", "color", "size", "webhookUrl"}

# Without a schema

DEEP = 5_000
LONG = 60_000


def hostile(function: str, valid: dict[str, Any]) -> Iterator[Sent]:
    """Calls that only somebody who means it makes, around the ``valid`` data of a function."""
    for body in _bodies(valid):
        yield Sent(function, body)
    body = json.dumps({"data": valid}).encode()
    for headers in _HEADERS:
        yield Sent(function, body, {"Content-Type": "application/json", **headers})
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""):
        yield Sent(function, body, {"Content-Type": content_type})


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
    yield b'{"data": {"userId": "user-0"}, ' + text[1:].encode()  # twice the same key
    yield b'{"data": {"userId": "user-0", ' + text.removeprefix('{"data": {').encode()
    for name in dict.fromkeys((*valid, "userId", "idempotencyKey", "pageToken", "input", "constructor", "")):
        for value in _VALUES:
            yield json.dumps({"data": {**valid, name: value}}).encode()

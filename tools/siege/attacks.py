"""The attacks. Each is one round of a hostile client, which the siege repeats from several threads until it ends."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests

from tests.support.tokens import unsigned
from tools.siege.server import Server

TIMEOUT_SECONDS = 30
HUGE_BYTES = 31 * 1024 * 1024
"""A little less than Cloud Run accepts."""


@dataclass(frozen=True)
class Target:
    """The server, and the ID token and a valid call of the attacker's own account."""

    server: Server
    token: str
    order: Mapping[str, Any]


Round = Callable[[Target], object]


@dataclass(frozen=True)
class Attack:
    """A hostile client that repeats a round from ``threads`` threads at once."""

    name: str
    threads: int
    round: Round


def _post(target: Target, body: object, token: str | None = None, **headers: str) -> None:
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with suppress(requests.RequestException):
        requests.post(
            target.server.url,
            data=data,
            headers={"Content-Type": "application/json", **headers},
            timeout=TIMEOUT_SECONDS,
        )


def _texts_that_look_escaped(target: Target) -> None:
    data = {**target.order, "prompt": "\\é" * 900}
    _post(target, {"data": data}, unsigned({"aud": "\\\\xe9" * 900, "sub": "\\\\xe9" * 900}))


def _long_texts(target: Target) -> None:
    _post(target, {"data": {**target.order, "prompt": "狐" * 14_000}}, "eyJ" + "\xe9" * 1_000)


def _many_texts(target: Target) -> None:
    _post(target, {"data": {"prompt": [f"a{number}" for number in range(4_096)]}}, target.token)


def _deep_json(target: Target) -> None:
    _post(target, b'{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}")


def _huge_body(target: Target) -> None:
    _post(target, b" " * HUGE_BYTES)


def _preflight_with_a_huge_body(target: Target) -> None:
    with suppress(requests.RequestException):
        requests.options(target.server.url, data=b" " * HUGE_BYTES, timeout=TIMEOUT_SECONDS)


def _half_a_body(target: Target) -> None:
    with _connection(target) as connection:
        connection.sendall(_HEAD + b"{")
        _read_to_the_end(connection)


def _body_byte_by_byte(target: Target) -> None:
    with _connection(target) as connection, suppress(OSError):
        connection.settimeout(0.2)
        connection.sendall(_HEAD)
        for byte in _endless_body():
            connection.sendall(byte)
            with suppress(TimeoutError):
                if not connection.recv(4_096):
                    return


def _repeated_call(target: Target) -> None:
    _post(target, {"data": {**target.order, "idempotencyKey": "the same"}}, target.token)


def _new_calls(target: Target) -> None:
    _post(target, {"data": target.order}, target.token)


ATTACKS = (
    Attack("texts that look escaped", 4, _texts_that_look_escaped),
    Attack("long texts", 4, _long_texts),
    Attack("4,096 short texts", 4, _many_texts),
    Attack("JSON nested 30,000 deep", 4, _deep_json),
    Attack("8 bodies of 31 MiB", 8, _huge_body),
    Attack("8 preflights with 31 MiB", 8, _preflight_with_a_huge_body),
    Attack("16 half-sent bodies", 16, _half_a_body),
    Attack("16 bodies, byte by byte", 16, _body_byte_by_byte),
    Attack("one user repeats one call", 8, _repeated_call),
    Attack("one user makes new calls", 8, _new_calls),
)

_HEAD = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
    b"Connection: close\r\n\r\n"
)


def _connection(target: Target) -> socket.socket:
    return socket.create_connection((target.server.host, target.server.port), TIMEOUT_SECONDS)


def _read_to_the_end(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(4_096):
            pass


def _endless_body() -> Iterator[bytes]:
    for _ in range(60_000):
        yield b" "

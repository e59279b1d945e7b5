"""The attacks. Each is one round of a hostile client, which the siege repeats from several threads until it ends."""

import json
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from google.cloud import firestore

from imagegen.domain.generation import keyed_request_id
from tests.support.tokens import unsigned
from tools.siege.server import Server

TIMEOUT_SECONDS = 30
HUGE_BYTES = 31 * 1024 * 1024
"""A little less than Cloud Run accepts."""


CREATE, CANCEL, RESEND = "createGenerationRequest", "cancelGenerationRequest", "resendWebhook"
CREDITS, LIST, DELIVERIES = "getUserCredits", "listGenerationRequests", "listWebhookDeliveries"
SWEEP = "sweepAbandonedRequests"
READS = (CREDITS, LIST, DELIVERIES)
LONG_AGO = datetime.fromtimestamp(0, UTC)
OPTIONS = ("models/model-a", "styles/anime", "colors/neon", "sizes/512x512")


@dataclass(frozen=True)
class Target:
    """The servers by function, the database, and the attacker's ID token, valid call and completed request."""

    servers: Mapping[str, Server]
    database: firestore.Client
    token: str
    order: Mapping[str, Any]
    request_id: str

    def __getitem__(self, function: str) -> Server:
        return self.servers[function]


Round = Callable[[Target], object]


@dataclass(frozen=True)
class Attack:
    """A hostile client that repeats a round from ``threads`` threads at once.

    ``function`` is the function that it attacks, besides createGenerationRequest.
    """

    name: str
    threads: int
    round: Round
    function: str = CREATE


def _post(target: Target, body: object, token: str | None = None, function: str = CREATE) -> None:
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with suppress(requests.RequestException):
        requests.post(target[function].url, data=data, headers=headers, timeout=TIMEOUT_SECONDS)


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
        requests.options(target[CREATE].url, data=b" " * HUGE_BYTES, timeout=TIMEOUT_SECONDS)


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


def _repeated_queued_call(target: Target) -> None:
    _post(target, {"data": {**target.order, "mode": "async", "idempotencyKey": "queued"}}, target.token)


def _canceled_calls(target: Target) -> None:
    key = f"canceled-{random.randrange(30)}"
    _post(target, {"data": {**target.order, "mode": "async", "idempotencyKey": key}}, target.token)
    canceled = {"generationRequestId": keyed_request_id(target.order["userId"], key)}
    for _ in range(2):
        _post(target, {"data": canceled}, target.token, CANCEL)


def _resent_webhook(target: Target) -> None:
    _post(target, {"data": {"deliveryId": f"{target.request_id}-completed"}}, target.token, RESEND)


def _reads(function: str) -> Round:
    def read(target: Target) -> None:
        for token in (target.token, unsigned({"sub": target.order["userId"]}), "not a token", None):
            _post(target, {"data": {"userId": target.order["userId"]}}, token, function)

    return read


def _bad_documents(target: Target) -> None:
    """Write one document for each field of each kind of document, in which this field has a value of a wrong type.

    A sweep reads them all: each user has a request that has waited too long, and each webhook is overdue.
    """
    database, batch = target.database, target.database.batch()
    overdue = {"status": "pending", **dict.fromkeys(("leaseExpiresAt", "giveUpAt", "nextAttemptAt"), LONG_AGO)}
    request = _data(database, f"generationRequests/{target.request_id}") | overdue
    delivery = _data(database, f"webhookDeliveries/{target.request_id}-completed") | overdue
    for number, user in enumerate(_broken(_data(database, f"users/{target.order['userId']}"))):
        batch.set(database.document(f"users/bad-{number}"), user)
        batch.set(database.document(f"generationRequests/of-bad-{number}"), {**request, "userId": f"bad-{number}"})
    options = {path.split("/")[0]: _data(database, path) for path in OPTIONS}
    for collection, whole in {"generationRequests": request, "webhookDeliveries": delivery, **options}.items():
        for number, data in enumerate(_broken(whole)):
            batch.set(database.document(f"{collection}/bad-{number}"), data)
    batch.commit()


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
    Attack("one user repeats one queued call", 8, _repeated_queued_call),
    Attack("one user cancels queued calls", 8, _canceled_calls, CANCEL),
    Attack("one user resends one webhook", 8, _resent_webhook, RESEND),
    Attack("reads of credits", 8, _reads(CREDITS), CREDITS),
    Attack("reads of requests", 8, _reads(LIST), LIST),
    Attack("reads of webhooks", 8, _reads(DELIVERIES), DELIVERIES),
    Attack("bad documents", 1, _bad_documents, SWEEP),
)

_HEAD = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
    b"Connection: close\r\n\r\n"
)


def _connection(target: Target) -> socket.socket:
    return socket.create_connection((target[CREATE].host, target[CREATE].port), TIMEOUT_SECONDS)


def _read_to_the_end(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(4_096):
            pass


def _endless_body() -> Iterator[bytes]:
    for _ in range(60_000):
        yield b" "


def _data(database: firestore.Client, path: str) -> dict[str, Any]:
    data = database.document(path).get().to_dict()
    assert data is not None, f"{path} does not exist"
    return data


def _broken(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a copy of ``data`` for each field, also in maps, in which the field has a value of a wrong type."""
    for name, value in data.items():
        yield {**data, name: 2.5 if isinstance(value, dict) else {"wrong": 2.5}}
        if isinstance(value, dict):
            yield from ({**data, name: inner} for inner in _broken(value))

"""Tests of reading bodies: what is kept and how long it may take is bounded, whatever a client sends."""

import io
import socket
import threading
from contextlib import suppress

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from imagegen.api import bodies
from imagegen.api.bodies import BYTES_MAX, Deadlines


class CountingStream(io.RawIOBase):
    """A stream of ``size`` bytes that counts the bytes read and remembers the largest piece."""

    def __init__(self, size: float) -> None:
        self.left = size
        self.bytes_read = 0
        self.largest_piece = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole rest is read at once"
        piece = b"x" * int(min(size, self.left))
        self.left -= len(piece)
        self.bytes_read += len(piece)
        self.largest_piece = max(self.largest_piece, len(piece))
        return piece


def request_of(stream: object, **environ: object) -> Request:
    """Return a request whose body comes from a stream that the server ends, as gunicorn's does."""
    builder = EnvironBuilder(method="POST", content_type="application/json")
    return Request({**builder.get_environ(), "wsgi.input": stream, "wsgi.input_terminated": True, **environ})


@pytest.mark.parametrize("size", [0, 1, BYTES_MAX - 1, BYTES_MAX])
def test_body_within_the_limit_is_kept_whole(size: int) -> None:
    request = request_of(CountingStream(size))
    bodies.read(request)
    assert bodies.problem_of(request) is None
    assert request.get_data() == b"x" * size


@pytest.mark.parametrize("size", [BYTES_MAX + 1, 3 * BYTES_MAX, 31 * 1024 * 1024])
def test_longer_body_is_read_in_pieces_and_dropped(size: int) -> None:
    stream = CountingStream(size)
    request = request_of(stream)
    bodies.read(request)
    assert bodies.problem_of(request) == "must have at most 65536 bytes"
    assert stream.bytes_read == size
    assert stream.largest_piece <= BYTES_MAX
    assert len(request.get_data()) == BYTES_MAX + 1


def test_endless_body_is_given_up() -> None:
    stream = CountingStream(float("inf"))
    server, client = socket.socketpair()
    with server, client:
        request = request_of(stream, **{"gunicorn.socket": server})
        bodies.read(request)
        assert bodies.problem_of(request) == "must have at most 65536 bytes"
        assert stream.bytes_read <= bodies.DROPPED_BYTES_MAX + BYTES_MAX
        assert server.recv(100) == b""  # nothing is waited for any more
        server.sendall(b"an answer")
        assert client.recv(100) == b"an answer"


@pytest.mark.parametrize("pace_seconds", [None, 0.01], ids=["silent", "byte by byte"])
def test_slow_body_is_given_up_and_answered(monkeypatch: pytest.MonkeyPatch, pace_seconds: float | None) -> None:
    monkeypatch.setattr(bodies, "_deadlines", Deadlines(seconds=0.2))
    given_up = threading.Event()
    server, client = socket.socketpair()

    def send() -> None:
        client.sendall(b"{")
        with suppress(BrokenPipeError):
            while pace_seconds is not None and not given_up.wait(pace_seconds):
                client.sendall(b" ")

    sender = threading.Thread(target=send)
    with server, client, server.makefile("rb") as stream:
        sender.start()
        request = request_of(stream, **{"gunicorn.socket": server})
        bodies.read(request)
        assert bodies.problem_of(request) == "must arrive within 10 s"
        given_up.set()
        sender.join()
        assert request.get_data().strip() == b"{"
        server.sendall(b"an answer")
        assert client.recv(100) == b"an answer"


def test_body_in_time_leaves_its_connection_open() -> None:
    server, client = socket.socketpair()
    with server, client:
        request = request_of(CountingStream(10), **{"gunicorn.socket": server})
        bodies.read(request)
        assert bodies.problem_of(request) is None
        client.sendall(b"the next request")
        assert server.recv(100) == b"the next request"
